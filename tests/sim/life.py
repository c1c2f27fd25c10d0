"""One life of a ModelDeployment, told step by step: what a user does, time that passes, and how things stand then."""

from typing import Any

from tests.sim.model_controller import Crash, ModelController
from tests.sim.simulation import Watchman, cluster
from tests.support.builders import wire_spec
from tests.support.model_cluster import Kind, ModelCluster
from tests.support.model_jobs import ModelJobs

from plimsoll.api.v1alpha1 import ModelDeploymentStatus


class Life:
    """One cluster, one controller and somebody who watches that users stay served.

    Args:
        usual: Fields of spec that every manifest has unless it says otherwise.
    """

    def __init__(self, **usual: Any) -> None:
        self.usual = usual
        self.cluster: ModelCluster = cluster()
        self.jobs = ModelJobs(self.cluster)
        self.controller = ModelController(self.cluster, jobs=self.jobs)
        self.watchman = Watchman(self.controller)
        self.controller.after_write = self.watchman.after

    def apply(self, model: str = "a", **spec: Any) -> None:
        self.cluster.user_applies("digits", wire_spec(model, **{**self.usual, **spec}))

    def passes(self, seconds: int, step: int = 1) -> int:
        """Lets time pass and returns the number of writes."""
        before = self.cluster.writes
        for _ in range(0, seconds, step):
            self.cluster.tick(step)
            self.controller.view.refresh()
            try:
                self.controller.turn()
            except Crash:
                self.controller.restart()
            self.watchman.after(None)
        return self.cluster.writes - before

    def status(self) -> ModelDeploymentStatus:
        observed = self.controller.observe()
        assert observed is not None
        assert observed.object.status is not None
        return observed.object.status

    def true(self) -> set[str]:
        return {c.type for c in self.status().conditions or () if c.status == "True"}

    def replicas(self) -> dict[str, int]:
        return {name: obj["spec"]["replicas"] for name, obj in self.cluster.stores[Kind.DEPLOYMENT].items()}

    def reason(self) -> str:
        """Why it is ready, or is not."""
        return next(c.reason for c in self.status().conditions or () if c.type == "Ready")
