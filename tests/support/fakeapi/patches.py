"""RFC 7386 merge patches and RFC 6902 JSON patches."""

from __future__ import annotations

import copy
from typing import Any


class PatchFailed(Exception):  # noqa: N818 - an outcome
    """A JSON patch whose test failed or whose path does not exist."""


def merge_patch(target: Any, patch: Any) -> Any:
    """The target after the patch; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def json_patch(target: Any, operations: list[dict[str, Any]]) -> Any:
    """The target after all operations; it is not changed.

    Raises:
        PatchFailed: An operation could not be carried out, so none was.
    """
    result = copy.deepcopy(target)
    for operation in operations:
        try:
            _operate(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise PatchFailed(f"{operation.get('op')} {operation.get('path')}") from error
    return result


def _operate(root: Any, operation: dict[str, Any]) -> None:
    parent, name = _resolve(root, operation["path"])
    match operation["op"]:
        case "test":
            if _get(parent, name) != operation["value"]:
                raise ValueError
        case "remove":
            del parent[_index(parent, name)]
        case "replace":
            _get(parent, name)
            parent[_index(parent, name)] = operation["value"]
        case "add" if isinstance(parent, list):
            parent.insert(len(parent) if name == "-" else int(name), operation["value"])
        case "add":
            parent[name] = operation["value"]
        case _:
            raise ValueError


def _resolve(root: Any, path: str) -> tuple[Any, str]:
    *parents, name = [part.replace("~1", "/").replace("~0", "~") for part in path.removeprefix("/").split("/")]
    for part in parents:
        root = _get(root, part)
    return root, name


def _get(parent: Any, name: str) -> Any:
    return parent[_index(parent, name)]


def _index(parent: Any, name: str) -> Any:
    return int(name) if isinstance(parent, list) else name
