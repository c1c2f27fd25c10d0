"""`plimsoll fetch`: the init container of a model pod, from request to exit code."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from plimsoll.errors import Invalid, NotYet
from plimsoll.fetch import marker
from plimsoll.fetch.layout import ARTEFACT, PROBE, REPOSITORY, lay_out
from plimsoll.fetch.limits import PATIENCE, Patience
from plimsoll.fetch.report import Progress, TerminationMessage, configure_logging, log
from plimsoll.fetch.request import REQUEST_VARIABLE, FetchRequest
from plimsoll.fetch.sources import Mounts, opened_source
from plimsoll.fetch.storage import RESERVED_BYTES, Storage, disk_full
from plimsoll.fetch.workspace import Work, Workspace

EXIT_INVALID: Final = 2
EXIT_NOT_YET: Final = 3
EXIT_ERROR: Final = 1
_FOLDERS: Final = (REPOSITORY, PROBE, ARTEFACT)


class Terminated(BaseException):
    """SIGTERM arrived."""


def main(argv: Sequence[str] | None = None, patience: Patience = PATIENCE) -> int:
    """Bring one model and return the process's exit code.

    Args:
        argv: The arguments after `fetch`; the pod gives none.
        patience: Waits.
    """
    options = _options(argv)
    configure_logging()
    message = TerminationMessage(options.termination_log)
    progress = Progress(message, patience.report_every)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        facts = run(_request(), options, progress, patience)
    except Invalid as error:
        return _failed(error, message, progress, EXIT_INVALID)
    except NotYet as error:
        return _failed(error, message, progress, EXIT_NOT_YET)
    except (Exception, Terminated) as error:  # noqa: BLE001 - the last words must be said whatever happened
        return _failed(error, message, progress, EXIT_ERROR)
    finally:
        signal.signal(signal.SIGTERM, previous)
    message.fetched(**facts)
    log("fetched", **facts)
    return 0


def run(request: FetchRequest, options: argparse.Namespace, progress: Progress, patience: Patience) -> dict[str, Any]:
    """Bring and lay out a model, unless an earlier container already did, and return the facts for the message.

    Raises:
        Invalid: The user must act.
        NotYet: Worth another try.
    """
    models: Path = options.models
    facts = marker.finished(models, request, _FOLDERS)
    if facts is not None:
        log("already_fetched", digest=request.digest)
        return facts
    _discard(models)
    try:
        return _bring(request, options, progress, patience)
    except OSError as error:
        raise disk_full(error) or error from error


def _bring(
    request: FetchRequest, options: argparse.Namespace, progress: Progress, patience: Patience
) -> dict[str, Any]:
    models: Path = options.models
    key = hashlib.sha256(f"{request.uri} {request.digest}".encode()).hexdigest()[:16]
    workspace = Workspace(models / ".partial" / key)
    workspace.prepare()
    work = Work(workspace, Storage(models, request.storage_limit_bytes, RESERVED_BYTES), progress, patience)
    mounts = Mounts(options.credentials, options.ca, options.source)
    with opened_source(request.uri, request.digest, mounts, patience) as source:
        size = source.fetch(work)
    laid_out = lay_out(request, workspace)
    facts = {
        "digest": request.digest,
        "bytes": size,
        "seconds": round(progress.seconds, 1),
        "format": str(laid_out.format),
        "warmup": str(laid_out.warmup),
    }
    _publish(workspace, models)
    marker.write_marker(models, request, _FOLDERS, facts)
    shutil.rmtree(models / ".partial", ignore_errors=True)
    return facts


def _discard(models: Path) -> None:
    """Remove what another request, or half of this one, left; downloads are kept."""
    (models / marker.MARKER).unlink(missing_ok=True)
    for folder in _FOLDERS:
        shutil.rmtree(models / folder, ignore_errors=True)


def _publish(workspace: Workspace, models: Path) -> None:
    """Make everything durable, then visible; the server starts after this container, and sees all or nothing."""
    for folder in _FOLDERS:
        for path in sorted((workspace.staging / folder).rglob("*")):
            _sync(path)
        _sync(workspace.staging / folder)
    for folder in reversed(_FOLDERS):
        (workspace.staging / folder).rename(models / folder)
    _sync(models)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _request() -> FetchRequest:
    text = os.environ.get(REQUEST_VARIABLE)
    if text is None:
        raise Invalid("InvalidRequest", f"The environment variable {REQUEST_VARIABLE} is not set.")
    return FetchRequest.from_json(text)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="plimsoll fetch", description="Bring a model and lay it out for Triton.")
    folders: tuple[tuple[str, str, str], ...] = (
        ("--models", "/models", "where the repository is made"),
        ("--credentials", "/credentials", "where the Secret is mounted"),
        ("--ca", "/ca", "where the ConfigMap with certificate authorities is mounted"),
        ("--source", "/source", "where a claim is mounted"),
        ("--termination-log", "/dev/termination-log", "the file Kubernetes reads the last words from"),
    )
    for name, default, explained in folders:
        parser.add_argument(name, type=Path, default=Path(default), help=f"{explained} (default: {default})")
    return parser.parse_args(argv)


def _failed(error: BaseException, message: TerminationMessage, progress: Progress, code: int) -> int:
    message.failed(error, progress.received)
    if isinstance(error, Invalid | NotYet):
        log("fetch_failed", reason=error.reason, message=error.message)
    else:
        log("fetch_failed", reason=type(error).__name__, message=_where(error))
    return code


def _where(error: BaseException) -> str:
    """Say where an unexpected error came from without its text, which may hold a URL with a signature."""
    trace, place = error.__traceback__, "unknown"
    while trace is not None:
        code = trace.tb_frame.f_code
        place, trace = f"{Path(code.co_filename).name}:{trace.tb_lineno} in {code.co_name}", trace.tb_next
    return place


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated
