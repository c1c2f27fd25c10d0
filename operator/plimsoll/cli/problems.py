"""What is wrong with a manifest, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Field as the API server writes it (`spec.model.inputs[0].name`), empty for the object itself.
        message: What is wrong, and the way out.
    """

    path: str
    message: str

    @override
    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def joined(path: str, name: str) -> str:
    """Returns the path of field `name` of the object at `path`."""
    return f"{path}.{name}" if path else name
