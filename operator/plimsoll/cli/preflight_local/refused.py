"""A model that is refused before there is a report."""

from __future__ import annotations

from plimsoll.errors import Invalid


class ModelRefused(Invalid):
    """The answer is no: what is in the folder cannot be served, or Triton does not load it."""
