"""The page's style sheet. Colours are WCAG AA in both schemes: 4.5 for words, 3 for lines; a test computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LIGHT: Final[Mapping[str, str]] = {
    "ground": "#ffffff",
    "raised": "#f6f8fa",
    "ink": "#1b1f24",
    "quiet": "#57606a",
    "grid": "#d8dee4",
    "rule": "#6e7781",
    "one": "#0b5cad",
    "two": "#a04a00",
    "three": "#7a3e9d",
    "good": "#116329",
    "warn": "#7d4e00",
    "bad": "#b3151f",
}
DARK: Final[Mapping[str, str]] = {
    "ground": "#0d1117",
    "raised": "#161b22",
    "ink": "#e6edf3",
    "quiet": "#9da7b3",
    "grid": "#2b323b",
    "rule": "#7d8590",
    "one": "#6cb6ff",
    "two": "#f0a04b",
    "three": "#d2a8ff",
    "good": "#56d364",
    "warn": "#e3b341",
    "bad": "#ff8b83",
}


def _variables(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


_RULES: Final = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.5rem 1rem 3rem;background:var(--ground);color:var(--ink);
  font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .75rem}
h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--grid)}
p{margin:.5rem 0}
.verdict{border-left:.4rem solid currentColor;background:var(--raised);padding:.75rem 1rem;margin:0 0 1rem}
.verdict b{font-size:1.15rem}
.verdict span{color:var(--ink);font-weight:400}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1.25rem;margin:.5rem 0 1rem}
dt{color:var(--quiet)}
dd{margin:0}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad);font-weight:600}.muted{color:var(--quiet)}
.scroll{overflow-x:auto;margin:1rem 0}
.scroll:focus-visible{outline:2px solid var(--one);outline-offset:2px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;overflow-wrap:break-word}
caption{text-align:left;font-weight:600;padding-bottom:.25rem}
th,td{text-align:left;vertical-align:top;padding:.3rem 1.1rem .3rem 0;border-bottom:1px solid var(--grid)}
th{font-weight:500}
thead th{color:var(--quiet);border-bottom-color:var(--rule);white-space:nowrap}
td:last-child,th:last-child{padding-right:0}
.number{text-align:right;white-space:nowrap}
td:not(.sentences){white-space:nowrap}
tbody th{min-width:5rem;max-width:24rem}
.sentences{overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:1rem;align-items:start}
figure{margin:0;padding:.75rem;background:var(--raised);border:1px solid var(--grid);border-radius:.4rem}
figure{max-width:34rem}
figcaption{font-weight:600;padding-bottom:.4rem}
.chart{overflow-x:auto}
svg{display:block;width:100%;min-width:16rem;height:auto;font-size:13px;overflow:visible}
.defs{position:absolute;width:0;height:0;min-width:0}
svg text{fill:var(--ink)}
svg .tick,svg .axis{fill:var(--quiet)}
svg .value,svg .key{font-size:12.5px}
svg .value{paint-order:stroke;stroke:var(--raised);stroke-width:4px}
.grid{stroke:var(--grid)}.rule,.zero{stroke:var(--rule)}
.curve{fill:none;stroke-width:2}
.one{--series:var(--one)}.two{--series:var(--two)}.three{--series:var(--three)}.mark.bad,.curve.bad{--series:var(--bad)}
.curve,.bound{stroke:var(--series)}.bound{stroke-width:1.5}
.curve.two{stroke-dasharray:7 3}.curve.three{stroke-dasharray:2 3}
.mark{fill:var(--series);stroke:var(--raised);stroke-width:1}
.cliff{stroke:var(--warn);stroke-width:1.5;stroke-dasharray:5 3}svg .cliff-text{fill:var(--warn);font-size:12.5px}
.note{stroke:var(--quiet);stroke-dasharray:2 3}svg .note-text{fill:var(--quiet);font-size:12.5px}
svg .bad-text{fill:var(--bad);font-size:12.5px}
.bar.measured{fill:var(--one)}
.bar.predicted{fill:url(#hatch);stroke:var(--one);stroke-width:1.5;stroke-dasharray:4 2}
#hatch path{stroke:var(--one);stroke-width:1.5}
.bar.unseen{fill:var(--grid)}
.promise{stroke:var(--bad);stroke-width:2.5}.budget{stroke:var(--warn);stroke-width:2;stroke-dasharray:6 3}
footer{margin-top:3rem;color:var(--quiet);font-size:.875rem}
@media (max-width:46rem){
  svg{font-size:15px}svg .value,svg .key,svg .cliff-text,svg .note-text,svg .bad-text{font-size:14.5px}
  .stacks,.stacks tbody,.stacks caption{display:block}
  .stacks thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
  .stacks tr{display:flex;flex-wrap:wrap;gap:0 1.1rem;padding:.4rem 0;border-bottom:1px solid var(--grid)}
  .stacks th,.stacks td{border:0;padding:0;text-align:left}
  .stacks th{flex-basis:100%;font-weight:600}
  .stacks td:not(.sentences)::before{content:attr(data-label)" ";color:var(--quiet);font-weight:400}
  .stacks .sentences{flex-basis:100%}
}
@media (max-width:30rem){
  body{padding:1rem .75rem 2rem}figure{padding:.6rem}
  dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
@media print{body{max-width:none}figure,tr{break-inside:avoid}.scroll{overflow:visible}}
"""

STYLE: Final = (
    f":root{{color-scheme:light dark;{_variables(LIGHT)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
    f"@media print{{:root{{{_variables(LIGHT)}}}}}{_RULES}"
)
