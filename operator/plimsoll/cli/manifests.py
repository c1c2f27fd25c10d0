"""Reads manifests from YAML the way kubectl does, keeping line numbers and noticing what YAML hides.

YAML drops the first of two equal keys without a word, and YAML 1.1 turns `no` into false; both are told here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from plimsoll.cli.problems import Problem, joined
from plimsoll.errors import Invalid

MAX_NODES = 200_000
"""More values than any manifest has: a file of nested aliases grows without bound when they are written out."""

_LIST_SUFFIX = "List"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of a file.

    Attributes:
        data: The object.
        lines: Line of each field by path, counted from 1.
        problems: What was noticed while reading.
    """

    data: dict[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def kind(self) -> str:
        """Returns the kind as written, empty when there is none."""
        return str(self.data.get("kind") or "")

    def line_of(self, path: str) -> int:
        """Returns the line of a field, or of the nearest field around it that is in the file."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def read_manifests(text: str) -> list[Manifest]:
    """Returns the objects of a file of YAML documents or JSON, `List` objects taken apart.

    Raises:
        Invalid: the text is not YAML, or a document is not an object.
    """
    manifests: list[Manifest] = []
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            manifests.extend(_objects(_Reader(loader), loader.get_node()))
    except (yaml.YAMLError, RecursionError) as error:
        raise Invalid("NotYaml", f"It is not YAML: {' '.join(str(error).split())}") from error
    return manifests


def _objects(reader: _Reader, node: yaml.Node | None) -> Iterator[Manifest]:
    data = reader.value(node, "") if node is not None else None
    if data is None:
        return
    if not isinstance(data, dict):
        raise Invalid("NotAnObject", f"A document holds a {_name_of(data)} where a Kubernetes object is expected")
    if str(data.get("kind", "")).endswith(_LIST_SUFFIX) and isinstance(data.get("items"), list):
        for index, item in enumerate(data["items"]):
            prefix = f"items[{index}]"
            yield Manifest(item, _within(reader.lines, prefix), tuple(_problems_within(reader.problems, prefix)))
    else:
        yield Manifest(data, reader.lines, tuple(reader.problems))


def _within(lines: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {path[len(prefix) :].lstrip("."): line for path, line in lines.items() if path.startswith(prefix)}


def _problems_within(problems: list[Problem], prefix: str) -> Iterator[Problem]:
    for problem in problems:
        if problem.path.startswith(prefix):
            yield Problem(problem.path[len(prefix) :].lstrip("."), problem.message)


def _name_of(value: object) -> str:
    return {list: "list", str: "string", int: "number", float: "number", bool: "boolean"}.get(type(value), "value")


class _Reader:
    """Turns the nodes of one document into JSON values."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._left = MAX_NODES
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, path: str) -> Any:
        """Returns the value of `node`, which is at `path`."""
        self._left -= 1
        if self._left < 0:
            raise Invalid("TooLarge", f"The file holds more than {MAX_NODES} values")
        self.lines.setdefault(path, node.start_mark.line + 1)
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, path)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        self._loader.flatten_mapping(node)
        for name in sorted({name for name in own if own.count(name) > 1}):
            self.problems.append(Problem(joined(path, str(name)), "is given twice; remove one of the two"))
        result = {}
        for key, child in node.value:
            name = self._scalar(key)
            if not isinstance(name, str):
                message = f"the key {key.value} is read as a {_name_of(name)}; put it in quotes"
                self.problems.append(Problem(path, message))
            below = joined(path, str(key.value))
            self.lines[below] = key.start_mark.line + 1
            result[str(key.value)] = self.value(child, below)
        return result

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        return self._loader.construct_object(node)
