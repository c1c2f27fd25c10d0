"""Exit codes of the commands for people; `plimsoll fetch` and `plimsoll controller` have their own."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; a higher number wins where several things were done."""

    OK = 0
    """Done; for `validate`: everything is valid."""
    REFUSED = 1
    """The answer is no: a manifest is invalid, a source refuses."""
    UNUSABLE = 2
    """The command could not do its work: wrong arguments, a file that cannot be read."""
