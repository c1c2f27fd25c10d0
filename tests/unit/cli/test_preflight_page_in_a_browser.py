"""The report in a real browser: what it draws and how it lays it out. Runs only where a Chromium is on PATH."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import pytest
from tests.support.preflight_reports import SAMPLES

from plimsoll.cli.preflight_views.page import page
from plimsoll.cli.preflight_views.style import DARK, LIGHT

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium on PATH")

WIDTHS = (320, 700, 1200)
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=5000"),
]

# The page itself may run nothing; the page around its frames looks at them from outside.
LOOK = """
const found = [...document.querySelectorAll('iframe')].map(frame => {
  const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow;
  const boxes = chart => [...chart.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  const beside = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1;
  const apart = (a, b) => beside(a, b) || a.bottom <= b.top + 2 || b.bottom <= a.top + 2;
  const collisions = [], outside = [];
  for (const figure of page.querySelectorAll('figure')) {
    const texts = boxes(figure), edge = figure.getBoundingClientRect();
    texts.forEach(([one, a], i) => {
      if (a.left < edge.left || a.right > edge.right) outside.push(one);
      texts.slice(i + 1).forEach(([other, b]) => { if (!apart(a, b)) collisions.push([one, other]); });
    });
  }
  return {
    name: frame.name, width: frame.width, collisions, outside,
    overflow: root.scrollWidth - root.clientWidth,
    scripts: page.scripts.length, attacked: 'attacked' in view,
    empty: [...page.querySelectorAll('.chart svg')].filter(svg => svg.getBBox().height < 50).length,
    ground: view.getComputedStyle(page.body).backgroundColor, ink: view.getComputedStyle(page.body).color,
    hatch: [...page.querySelectorAll('.predicted')].every(bar => view.getComputedStyle(bar).fill.includes('#hatch')),
  };
});
document.body.innerHTML = '<pre id="found"></pre>';
document.getElementById('found').textContent = JSON.stringify(found);
"""


@dataclass(frozen=True)
class Frame:
    """What was seen of one page at one width."""

    name: str
    width: str
    collisions: list[list[str]]
    outside: list[str]
    overflow: int
    scripts: int
    attacked: bool
    empty: int
    ground: str
    ink: str
    hatch: bool


def looked_at(folder: Path, *options: str) -> list[Frame]:
    frames = "".join(
        f'<iframe name="{name}" width="{width}" height="600" srcdoc="{escape(page(make()))}"></iframe>'
        for name, make in SAMPLES.items()
        for width in WIDTHS
    )
    around = folder / "around.html"
    around.write_text(
        f'<meta charset="utf-8">{frames}<script>onload = () => {{{LOOK}}}</script>'.replace("alert(", "attacked=("),
        encoding="utf-8",
    )
    command = [BROWSER, *OPTIONS, *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom", around.as_uri()]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r'<pre id="found">(.*)</pre>', seen, re.DOTALL)
    assert found, seen[:2000]
    return [Frame(**frame) for frame in json.loads(unescape(found[1]))]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    return looked_at(tmp_path_factory.mktemp("browser"))


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_every_page_was_seen(frames: list[Frame]) -> None:
    assert len(frames) == len(SAMPLES) * len(WIDTHS)


def test_nothing_runs(frames: list[Frame]) -> None:
    assert [frame for frame in frames if frame.scripts or frame.attacked] == []


def test_no_page_scrolls_sideways(frames: list[Frame]) -> None:
    assert [(frame.name, frame.width, frame.overflow) for frame in frames if frame.overflow > 0] == []


def test_no_words_of_a_chart_touch_or_leave_it(frames: list[Frame]) -> None:
    bad = [(frame.name, frame.width, frame.collisions, frame.outside) for frame in frames]
    assert [found for found in bad if (found[2] or found[3]) and found[0] != "hostile"] == []


def test_every_chart_is_drawn(frames: list[Frame]) -> None:
    assert [frame.name for frame in frames if frame.empty or not frame.hatch] == []


def test_colours_follow_the_reader(frames: list[Frame], tmp_path: Path) -> None:
    dark = looked_at(tmp_path, "--blink-settings=preferredColorScheme=0")
    assert {(frame.ground, frame.ink) for frame in frames} == {(rgb(LIGHT["ground"]), rgb(LIGHT["ink"]))}
    assert {(frame.ground, frame.ink) for frame in dark} == {(rgb(DARK["ground"]), rgb(DARK["ink"]))}
