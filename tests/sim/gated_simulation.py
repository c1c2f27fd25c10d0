"""Chaos with a gate: preflights go wrong, verdicts are lost, questions change, and nothing unproved ever serves."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.sim.gatekeeper import Gatekeeper
from tests.sim.model_controller import ModelController
from tests.sim.simulation import Simulation
from tests.support.builders import digits, revision_of
from tests.support.model_cluster import JsonObject, Kind
from tests.support.model_jobs import ModelJobs, Trial

from plimsoll.core.actions import Action
from plimsoll.core.names import PREFLIGHT_LABEL, VERDICT_ANNOTATION

BAD = revision_of(digits("b")).name
"""Is rejected where the question is the strict one."""
STRICT, RELAXED = "2m", "1m"
"""Budgets, which stand for questions."""
MISHAPS = (Trial.ERRORS, Trial.DIES, Trial.LIES, Trial.HANGS, Trial.EVICTED)


@dataclass
class GatedSimulation(Simulation):
    """A simulation whose manifests have a gate."""

    question: str = STRICT
    jobs: ModelJobs = field(init=False)
    gatekeeper: Gatekeeper = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.jobs = ModelJobs(self.cluster, self._trial)
        self.controller.jobs = self.jobs
        self.gatekeeper = Gatekeeper(self.controller, self.jobs)

    def _trial(self, request: JsonObject) -> Trial:
        if self.crashes and self.dice.random() < 0.3:
            return self.dice.choice(MISHAPS)
        if request["revision"] == BAD and "budget" not in request["preflight"]:
            return Trial.REJECTS
        return self.dice.choice((Trial.PASSES, Trial.PASSES, Trial.LEAKS))

    def _spec(self) -> JsonObject:
        return {**super()._spec(), "preflight": {"budget": self.question}}

    def _user_edits(self) -> None:
        """As a rule to something that starts: what does not is never examined."""
        self.model = self.dice.choice("aabbbcd")
        self._apply()

    def _after_write(self, action: Action) -> None:
        super()._after_write(action)
        self.gatekeeper.after(action)

    def _watch(self, controller: ModelController) -> None:
        super()._watch(controller)
        self.gatekeeper.controller = controller

    def _step(self) -> None:
        super()._step()
        self.gatekeeper.after(None)

    def _acts(self) -> list[Callable[[], None]]:
        return [
            *super()._acts(),
            self._user_asks_otherwise,
            self._verdict_is_lost,
            self._verdict_is_damaged,
            self._job_is_deleted,
            self._node_of_a_preflight_is_drained,
            self._network_policy_changes,
        ]

    def _user_asks_otherwise(self) -> None:
        self.question = RELAXED if self.question == STRICT else STRICT
        self._apply()

    def _verdict_is_lost(self) -> None:
        for name in list(self.cluster.stores[Kind.CONFIG_MAP])[:1]:
            self.cluster.delete(Kind.CONFIG_MAP, name)

    def _verdict_is_damaged(self) -> None:
        for name, obj in list(self.cluster.stores[Kind.CONFIG_MAP].items())[:1]:
            annotations = {**obj["metadata"]["annotations"], VERDICT_ANNOTATION: '{"outcome":"Passed"}'}
            self.cluster.put(
                Kind.CONFIG_MAP, name, {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}
            )

    def _job_is_deleted(self) -> None:
        for name in list(self.cluster.stores[Kind.JOB]):
            self.cluster.delete(Kind.JOB, name)

    def _node_of_a_preflight_is_drained(self) -> None:
        for pod in self.jobs.pods():
            self.jobs.drain(pod)

    def _network_policy_changes(self) -> None:
        self.jobs.reachable = not self.jobs.reachable

    def _clock_jumps(self) -> None:
        super()._clock_jumps()
        self.gatekeeper.errors.clear()  # nobody can tell how long a pause across a jump was

    def _is_good(self, target: JsonObject) -> bool:
        name = target["metadata"]["name"]
        rejected = name == BAD and self.question == STRICT and name != self.watchman.selected
        return super()._is_good(target) and not rejected

    def check_settled(self) -> None:
        super().check_settled()
        pods = [
            name for name, obj in self.cluster.stores[Kind.POD].items() if PREFLIGHT_LABEL in obj["metadata"]["labels"]
        ]
        assert [*self.cluster.stores[Kind.JOB], *pods] == []
        verdicts = {f"{name}-preflight" for name in self.cluster.stores[Kind.CONTROLLER_REVISION]}
        assert set(self.cluster.stores[Kind.CONFIG_MAP]) <= verdicts
