"""`plimsoll plan FILE`: what the controller would do, and why. Nothing is asked of a cluster, and nothing is done."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from plimsoll.api.base import KIND
from plimsoll.cli.exit_codes import ExitCode
from plimsoll.cli.manifests import Manifest, read_manifests
from plimsoll.cli.plan_report import report_json, report_text
from plimsoll.cli.validate import problems_of, read_text
from plimsoll.cli.world import worlds
from plimsoll.config import ControllerConfig, DefaultSettings, parse_config
from plimsoll.core.plan import plan
from plimsoll.core.snapshot import Defaults
from plimsoll.errors import Invalid

_NO_DIGEST = "@sha256:" + "0" * 64
BUILT_IN = ControllerConfig(
    defaults=DefaultSettings(triton_image=f"tritonserver{_NO_DIGEST}"), fetch_image=f"plimsoll{_NO_DIGEST}"
)
"""Used without --config: images that say that they are none."""


def run_plan(file: str, observed: str | None, config: str | None, now: str | None, output: str) -> ExitCode:
    """Prints the plan for every ModelDeployment in `file`."""
    try:
        defaults, moment = _defaults(config), _moment(now)
        wanted = read_manifests(read_text(file))
        cluster = read_manifests(read_text(observed)) if observed else []
        if not _all_valid(file, wanted):
            return ExitCode.REFUSED
        reports = [(world, plan(world, moment)) for world in worlds(wanted, cluster, defaults, moment)]
    except (OSError, UnicodeDecodeError) as error:
        print(f"Cannot be read: {error}", file=sys.stderr)
        return ExitCode.UNUSABLE
    except Invalid as error:
        print(error.message, file=sys.stderr)
        return ExitCode.UNUSABLE
    if output == "json":
        print(json.dumps([report_json(*report) for report in reports], indent=2))
    else:
        print("\n\n".join(report_text(*report) for report in reports))
    return ExitCode.OK


def _defaults(config: str | None) -> Defaults:
    settings = parse_config(Path(config).read_text(encoding="utf-8")) if config else BUILT_IN
    return settings.resolved_defaults()


def _moment(now: str | None) -> datetime:
    if now is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(now)
    except ValueError as error:
        raise Invalid("InvalidTime", f"--now {now} is not a time; write it as 2026-01-31T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _all_valid(file: str, manifests: Sequence[Manifest]) -> bool:
    """A plan for what the API server would refuse tells nothing."""
    ours = [manifest for manifest in manifests if manifest.kind == KIND]
    if not ours:
        print(f"{file}: holds no {KIND}", file=sys.stderr)
    problems = [(manifest, problem) for manifest in ours for problem in problems_of(manifest)]
    for manifest, problem in problems:
        print(f"{file}:{manifest.line_of(problem.path)}: {problem}", file=sys.stderr)
    return bool(ours) and not problems
