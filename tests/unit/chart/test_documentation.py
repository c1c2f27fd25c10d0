"""Every value is described beside its default and in the schema; the README's table is generated."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml
from tests.unit.chart.rendering import CHART, ROOT

from plimsoll_dev.generate.chart_readme import chart_readme, descriptions, leaves

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")


def test_every_value_is_described() -> None:
    described = descriptions(VALUES)
    values = yaml.safe_load(VALUES)
    assert sorted(described) == sorted(path for path, _ in leaves(values, described))


def test_the_table_holds_path_default_and_comment_of_each_value() -> None:
    values = """
# -- How many
# there are.
count: 2
# No value of its own.
image:
  # -- Its tag.
  tag: ""
# -- One value, whatever is in it.
resources:
  limits: {cpu: 1}
"""
    readme = "before\n<!-- values: begin -->\nold\n<!-- values: end -->\nafter\n"
    assert chart_readme(readme, values).splitlines() == [
        "before",
        "<!-- values: begin -->",
        "| value | default | meaning |",
        "| --- | --- | --- |",
        "| `count` | `2` | How many there are. |",
        '| `image.tag` | `""` | Its tag. |',
        '| `resources` | `{"limits": {"cpu": 1}}` | One value, whatever is in it. |',
        "<!-- values: end -->",
        "after",
    ]


def test_every_value_is_in_the_schema_and_every_property_of_the_schema_has_a_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    properties = {path for path in schema_paths(schema) if path != "global"}
    known = {path for path, _ in leaves(yaml.safe_load(VALUES), properties)}
    assert properties == known


def test_the_schema_is_strict_wherever_it_has_properties() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    loose = [
        path for path, node in objects(schema, "") if "properties" in node and node["additionalProperties"] is not False
    ]
    assert loose == []


def test_the_chart_and_the_operator_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def schema_paths(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, node in schema["properties"].items():
        if "properties" in node:
            yield from schema_paths(node, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def objects(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, value in node.items():
            yield from objects(value, f"{path}/{key}")
