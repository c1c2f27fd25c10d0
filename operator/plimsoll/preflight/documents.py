"""Reading JSON files of the model's owner: from a path, or from the examiner beside the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from plimsoll.api.preflight_report import InputSource
from plimsoll.errors import Invalid, PlimsollError
from plimsoll.preflight.request import DataFile, Examiner

MAX_BYTES: Final = 64 * 2**20
_TIMEOUT_S: Final = 30.0


class UnreadableError(PlimsollError):
    """The file cannot be reached now: an outage, which says nothing about the model."""

    def __init__(self, message: str) -> None:
        super().__init__("FileUnreadable", message)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file."""

    source: InputSource
    location: str
    content: Any


async def first_document(files: Sequence[DataFile], examiner: Examiner | None) -> Document | None:
    """Reads the first file that exists; None when none does and all are optional.

    Raises:
        Invalid: `FileMissing`, `FileTooLarge` or `FileMalformed`.
        UnreadableError: An outage.
    """
    for file in files:
        data = await _read(file.location, examiner)
        if data is not None:
            return Document(file.source, file.location, _parsed(data, file.location))
        if not file.optional:
            raise Invalid(
                "FileMissing", f"{file.location} does not exist. Provide it, or take its name out of the spec."
            )
    return None


async def _read(location: str, examiner: Examiner | None) -> bytes | None:
    if not location.startswith(("http://", "https://")):
        return await asyncio.to_thread(_read_path, Path(location))
    headers = {"Authorization": f"Bearer {examiner.token}"} if examiner and examiner.token else {}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_S, headers=headers) as client:
            response = await client.get(location)
    except httpx.TransportError as error:
        raise UnreadableError(f"{location} cannot be read: {str(error) or type(error).__name__}") from error
    if response.status_code == httpx.codes.NOT_FOUND:
        return None
    if not response.is_success:
        raise UnreadableError(f"{location} cannot be read: HTTP status {response.status_code}")
    return _bounded(response.content, location)


def _read_path(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(MAX_BYTES + 1), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error


def _bounded(data: bytes, location: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise Invalid("FileTooLarge", f"{location} is larger than {MAX_BYTES // 2**20} MiB. Use fewer cases.")
    return data


def _parsed(data: bytes, location: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Invalid("FileMalformed", f"{location} is not JSON: {why:.200}. Correct the file.") from error
