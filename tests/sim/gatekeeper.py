"""Looks on while a gate is in force, and says when something passed that should not have."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.sim.model_controller import ModelController
from tests.support.builders import digits, revision_of
from tests.support.model_cluster import JsonObject, Kind
from tests.support.model_jobs import ModelJobs

from plimsoll.api.preflight_report import Outcome
from plimsoll.core.actions import Action, Apply, ChildKind, Create, WriteStatus
from plimsoll.core.names import ATTEMPT_ANNOTATION, KEY_ANNOTATION, NO_REVISION, PREFLIGHT_LABEL, VERDICT_ANNOTATION


@dataclass
class Gatekeeper:
    """What the gate promises, checked after each write and whenever time has passed.

    Attributes:
        passed: Revisions of which a preflight said that they may serve.
        promoted: Revisions that status has named.
        errors: When the last error on a question was recorded, by question.
        examined: Attempts, by question, with their times.
    """

    controller: ModelController
    jobs: ModelJobs
    passed: set[str] = field(default_factory=set)
    promoted: set[str] = field(default_factory=set)
    errors: dict[str, datetime] = field(default_factory=dict)
    examined: dict[str, list[datetime]] = field(default_factory=dict)

    def excuses(self, model: str) -> None:
        """This one may serve without having passed: the user says so."""
        revision = revision_of(digits(model)).name
        self.passed.add(revision)
        self.promoted.add(revision)

    def after(self, action: Action | None) -> None:
        match action:
            case Create(kind=ChildKind.JOB, manifest=manifest):
                self._begun(manifest)
            case (
                Create(kind=ChildKind.CONFIG_MAP, manifest=manifest)
                | Apply(kind=ChildKind.CONFIG_MAP, manifest=manifest)
            ):
                self._recorded(manifest)
            case WriteStatus():
                self._named(action)
            case _:
                pass
        selected = self.controller.cluster.selected(self.controller.name)
        assert selected in (None, NO_REVISION) or selected in self.promoted, f"{selected} serves and was not promoted"

    def _recorded(self, manifest: JsonObject) -> None:
        """What is kept is what a preflight said, and an error is what nobody said."""
        revision = manifest["metadata"]["labels"][PREFLIGHT_LABEL]
        verdict = json.loads(manifest["metadata"]["annotations"][VERDICT_ANNOTATION])
        outcome = Outcome(verdict["outcome"])
        if outcome is Outcome.ERROR:
            self.errors[verdict["key"]] = self.controller.now()
            return
        assert (revision, verdict["key"], outcome) in self.jobs.answered, f"nobody said that {revision} {outcome}"
        if outcome is Outcome.PASSED:
            self.passed.add(revision)

    def _named(self, action: WriteStatus) -> None:
        stable = action.status.stable
        if stable is None or stable in self.promoted:
            return
        obj = self.controller.view.objects[Kind.MODEL_DEPLOYMENT][self.controller.name]
        assert stable in self.passed or obj["spec"]["replicas"] == 0, f"{stable} is promoted and has not passed"
        self.promoted.add(stable)

    def _begun(self, manifest: JsonObject) -> None:
        """The pause before an attempt: 10 s after the first error, then twice as long each time, up to 10 min."""
        annotations = manifest["metadata"]["annotations"]
        key, attempt = annotations[KEY_ANNOTATION], int(annotations[ATTEMPT_ANNOTATION])
        self.examined.setdefault(key, []).append(self.controller.now())
        heard = self.controller.view.lag(Kind.CONFIG_MAP) == 0
        if attempt > 1 and key in self.errors and heard:
            pause = min(timedelta(seconds=10 * 2 ** (attempt - 2)), timedelta(minutes=10))
            waited = self.controller.now() - self.errors[key]
            assert waited >= pause - timedelta(seconds=1), f"attempt {attempt} began after {waited}"
