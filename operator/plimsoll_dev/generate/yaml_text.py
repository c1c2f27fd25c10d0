"""YAML for people: key order as given, no aliases, no tags."""

from __future__ import annotations

from typing import Any

import yaml
from typing_extensions import override

_WIDTH = 120


class _PlainDumper(yaml.SafeDumper):
    """Writes shared values out each time: an alias makes a diff and a template unreadable."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def yaml_text(value: Any) -> str:
    """Returns `value` as a YAML document."""
    text: str = yaml.dump(value, Dumper=_PlainDumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
    return text
