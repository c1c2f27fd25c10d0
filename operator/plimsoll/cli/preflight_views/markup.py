"""HTML and SVG from parts: text and attributes are escaped here and nowhere else, so nothing can be forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, NewType

from plimsoll.cli.preflight_views.wording import plain

Markup = NewType("Markup", str)
"""Finished markup. Only `element`, `text` and `joined` make it."""

NOTHING: Final = Markup("")
_VOID: Final = frozenset({"br", "meta"})


def text(content: str) -> Markup:
    """Returns foreign text as markup that shows it."""
    return Markup(escape(plain(content)))


def joined(parts: Iterable[Markup], between: str = "") -> Markup:
    """Returns parts one after the other."""
    return Markup(escape(between).join(parts))


def element(name: str, /, *children: Markup, **attributes: str | float | None) -> Markup:
    """Returns an element.

    Args:
        name: Ours, never foreign.
        children: What is in it.
        attributes: By their names with `_` for `-`, and `_` after a word of Python (`class_`); None leaves one out.
    """
    written = "".join(f' {_attribute(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None)
    end = "" if name in _VOID else f"{''.join(children)}</{name}>"
    return Markup(f"<{name}{written}>{end}")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    # A tenth of a pixel is enough, and keeps pages of many points small.
    return escape(plain(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0"))
