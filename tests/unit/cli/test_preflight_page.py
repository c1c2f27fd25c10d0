"""The report as a page, read as HTML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from tests.support.preflight_reports import SAMPLES, good, hostile, rejected

from plimsoll.cli.preflight_views.page import page
from plimsoll.cli.preflight_views.style import DARK, LIGHT, STYLE

VOID = {"br", "meta"}


@dataclass
class Element:
    name: str
    attributes: Mapping[str, str]
    parents: tuple[str, ...]
    text: str = ""

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()


@dataclass
class Page(HTMLParser):
    """All elements of a page, in their order; ends must match beginnings."""

    source: str
    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = Element(tag, {name: value or "" for name, value in attrs}, tuple(one.name for one in self.open))
        self.elements.append(found)
        if tag not in VOID:
            self.open.append(found)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def named(self, *names: str) -> list[Element]:
        return [element for element in self.elements if element.name in names]

    def of_class(self, *classes: str) -> list[Element]:
        return [element for element in self.elements if set(classes) <= set(element.classes)]


@pytest.fixture(params=SAMPLES)
def every(request: pytest.FixtureRequest) -> Page:
    return Page(page(SAMPLES[request.param]()))


def test_it_needs_nothing_else_and_runs_nothing(every: Page) -> None:
    assert {element.name for element in every.elements} <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "header",
            "main",
            "section",
            "footer",
            "h1",
            "h2",
            "p",
            "b",
        ),
        *("br", "span", "div", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "figure"),
        *("figcaption", "svg", "desc", "defs", "pattern", "path", "line", "polyline", "polygon", "circle", "rect"),
        "text",
    }
    attributes = {name for element in every.elements for name in element.attributes}
    assert not {name for name in attributes if name.startswith("on") or name in ("href", "src", "style", "xlink:href")}
    policy = next(one.attributes["content"] for one in every.named("meta") if "http-equiv" in one.attributes)
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert re.findall(r"url\(([^)]*)\)|@import", STYLE) == ["#hatch"]


def test_hostile_text_is_text() -> None:
    source = page(hostile())
    assert source.isprintable() or all(character.isprintable() or character == "\n" for character in source)
    shown = Page(source)
    assert shown.named("h1")[0].text.startswith("Preflight of </style></svg><script>alert('1')</script>")
    assert "<script>" not in source
    assert shown.named("style")[0].text == STYLE


def test_charts_say_in_words_what_they_show(every: Page) -> None:
    ids = [element.attributes["id"] for element in every.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for chart in every.named("svg"):
        if "defs" in chart.classes:
            assert chart.attributes["aria-hidden"] == "true"
        else:
            assert chart.attributes["role"] == "img"
            assert set(chart.attributes["aria-labelledby"].split()) <= set(ids)


def test_tables_have_captions_and_headers(every: Page) -> None:
    tables = every.named("table")
    assert len(every.named("caption")) == len(tables)
    assert {head.attributes["scope"] for head in every.named("th")} <= {"col", "row"}
    regions = [element for element in every.elements if element.attributes.get("role") == "region"]
    assert [region.attributes["tabindex"] for region in regions] == ["0"] * len(tables)
    assert all(cell.attributes["role"] == "cell" for cell in every.named("td"))


def test_headings_come_in_order(every: Page) -> None:
    first, *rest = every.named("h1", "h2")
    assert (first.name, {heading.name for heading in rest} - {"h2"}) == ("h1", set())


def charts(shown: Page) -> list[str]:
    return [caption.text for caption in shown.named("figcaption")]


def test_every_chart_is_there() -> None:
    assert charts(Page(page(good()))) == [
        "Latency by batch size",
        "Time per item",
        "Throughput",
        "Capacity by replicas",
        "Latency under load",
        "Memory growth per request",
        "Error of the stated confidence",
    ]


def test_a_report_without_figures_has_no_charts() -> None:
    assert charts(Page(page(SAMPLES["error"]()))) == []


def test_measured_and_predicted_capacity_look_different() -> None:
    shown = Page(page(good()))
    # The key has one more of each, and confidence has two solid bars.
    assert len(shown.of_class("bar", "predicted")) == 4 + 1
    assert len(shown.of_class("bar", "measured")) == 1 + 1 + 2


def test_cliffs_are_marked_where_they_are() -> None:
    assert [flag.text for flag in Page(page(good())).of_class("cliff-text")] == ["item time grows"]


def test_a_size_that_does_not_work_is_marked_in_every_chart_of_sizes() -> None:
    assert [mark.text for mark in Page(page(rejected())).of_class("bad-text")] == ["failed"] * 3


def test_the_promise_and_the_budget_of_each_percentile_are_drawn() -> None:
    shown = Page(page(good()))
    # Two of each in the chart, one in its key; confidence draws chance and its key in the style of a budget.
    assert (len(shown.of_class("promise")), len(shown.of_class("budget"))) == (2 + 1, 2 + 1 + 2)


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, definition of contrast ratio."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("colour", "least"),
    [
        *((name, 4.5) for name in ("ink", "quiet", "good", "warn", "bad")),
        *((name, 3.0) for name in ("rule", "one", "two", "three")),
    ],
)
def test_contrast_is_enough(scheme: Mapping[str, str], colour: str, least: float) -> None:
    assert min(contrast(scheme[colour], scheme[ground]) for ground in ("ground", "raised")) >= least
