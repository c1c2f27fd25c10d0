"""Every value is described beside its default, in the schema, and in the table of the chart's README.

After a wanted change: UPDATE_GOLDEN=1 pytest tests/unit/chart.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml
from tests.unit.chart.rendering import CHART, ROOT

VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")
README = CHART / "README.md"
BEGIN, END = "<!-- values: begin -->\n", "<!-- values: end -->\n"


def test_every_value_is_described() -> None:
    described = set(descriptions())
    values = yaml.safe_load(VALUES)
    assert sorted(described) == sorted(path for path, _ in leaves(values, described))


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


def test_the_table_in_the_readme_is_current() -> None:
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    current = before + BEGIN + table() + END + after
    if "UPDATE_GOLDEN" in os.environ:
        README.write_text(current, encoding="utf-8")
    assert README.read_text(encoding="utf-8") == current


def test_the_chart_and_the_operator_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def table() -> str:
    described = descriptions()
    rows = [
        f"| `{path}` | `{json.dumps(default)}` | {described[path]} |"
        for path, default in leaves(yaml.safe_load(VALUES), set(described))
    ]
    return "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows]) + "\n"


def descriptions() -> dict[str, str]:
    """The `# --` comment above each key of values.yaml, by the key's path."""
    found: dict[str, str] = {}
    path: list[str] = []
    comment: list[str] = []
    for line in VALUES.splitlines():
        if match := re.match(r"^( *)([A-Za-z]+):", line):
            path[len(match[1]) // 2 :] = [match[2]]
            if comment and comment[0].startswith("-- "):
                found[".".join(path)] = " ".join(comment).removeprefix("-- ")
            comment = []
        elif match := re.match(r"^ *# (.*)$", line):
            comment.append(match[1])
        else:
            comment = []
    return found


def leaves(node: dict[str, Any], stop: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and defaults, down to the paths in `stop` or to what is not a map."""
    for key, value in node.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and path not in stop:
            yield from leaves(value, stop, f"{path}.")
        else:
            yield path, value


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
