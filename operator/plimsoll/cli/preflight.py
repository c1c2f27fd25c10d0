"""`plimsoll preflight`: shows the report of a revision, or makes one here. What each exit code means is in --help."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from plimsoll.api.preflight_report import Outcome, PreflightReport
from plimsoll.cli.exit_codes import ExitCode
from plimsoll.cli.preflight_arguments import misfit
from plimsoll.cli.preflight_local.refused import ModelRefused
from plimsoll.cli.validate import read_text
from plimsoll.errors import Invalid, PlimsollError

_EXIT: Final = {
    Outcome.PASSED: ExitCode.OK,
    Outcome.REJECTED: ExitCode.REFUSED,
    Outcome.ERROR: ExitCode.UNUSABLE,
}
_NARROWEST: Final = 72
"""Tables of narrower terminals would be columns of single letters; these wrap lines instead."""


def run(options: argparse.Namespace) -> int:
    """Finds or makes the report, shows it, and returns the exit code."""
    wrong = misfit(options)
    if wrong:
        return _failed(wrong)
    try:
        if options.local is not None:
            from plimsoll.cli.preflight_local.run import run_local  # noqa: PLC0415 - numpy and gRPC take half a second

            report = run_local(options)
            document = json.loads(report.model_dump_json(by_alias=True))
        else:
            document = _parsed(_stored(options))
            report = _report(document)
        _show(report, document, options)
    except ModelRefused as error:
        print(f"{error.message} ({error.reason})", file=sys.stderr)
        return ExitCode.REFUSED
    except (PlimsollError, OSError, UnicodeDecodeError) as error:
        return _failed(error.message if isinstance(error, PlimsollError) else f"Cannot be read or written: {error}")
    return _EXIT[report.outcome]


def _failed(sentence: str) -> ExitCode:
    print(f"plimsoll preflight: {sentence}", file=sys.stderr)
    return ExitCode.UNUSABLE


def _stored(options: argparse.Namespace) -> str:
    if options.report is not None:
        return read_text(options.report)
    from plimsoll.cli.preflight_cluster import Wanted, stored_report  # noqa: PLC0415 - aiohttp takes half a second

    wanted = Wanted(options.name, options.namespace, options.revision)
    given = {"KUBECONFIG": options.kubeconfig, "CONTEXT": options.context}
    return stored_report(wanted, {**os.environ, **{name: value for name, value in given.items() if value}})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid("ReportUnreadable", "The report is not JSON. Run the preflight again.") from error


def _report(document: Any) -> PreflightReport:
    try:
        return PreflightReport.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "document"
        raise Invalid(
            "ReportUnreadable",
            f"The report cannot be understood ({where}: {error.errors()[0]['msg']}). Use the version of plimsoll that "
            f"made it.",
        ) from error


def _show(report: PreflightReport, document: Any, options: argparse.Namespace) -> None:
    if options.html:
        from plimsoll.cli.preflight_views.page import page  # noqa: PLC0415 - not needed in the other views

        Path(options.html).write_text(page(report), encoding="utf-8")
    if options.json:
        print(json.dumps(document, indent=2))
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    from plimsoll.cli.preflight_views.terminal import print_report  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    console.width = max(console.width, _NARROWEST)
    print_report(report, console)
