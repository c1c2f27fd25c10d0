"""What the controller costs at thousands of objects, against the strict fake API server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scale.latency import measure_latency
from tests.scale.saying import say
from tests.support.controller_process import ControllerProcess, running_controller
from tests.support.fakeapi.load import PER_NAMESPACE
from tests.support.fakeapi_process import FakeApiProcess, fake_api

from plimsoll.kube.resources import Key

_RELISTED_AFTER_S = 20.0
"""From the cut of the watches until everything was listed and looked at again; 5 s were enough."""


@dataclass(frozen=True, slots=True)
class WarmController:
    """A controller that was started again over children that another one had made, and has come to rest.

    Attributes:
        api: The fake it talks to.
        process: The controller.
        objects: ModelDeployments.
        created: Writes it took to make all children.
    """

    api: FakeApiProcess
    process: ControllerProcess
    objects: int
    created: int

    def start_figures(self) -> dict[str, float]:
        """Returns the cost of the warm start; call it first, for the cost grows with time."""
        return {
            "create_writes_per_object": round(self.created / self.objects, 3),
            "restart_writes": self.api.writes(),
            "warm_start_cpu_s": round(self.process.cpu_s, 2),
            "peak_rss_mb": round(self.process.peak_rss_mb, 1),
        }

    def relist_figures(self) -> dict[str, float]:
        """Compacts the history and cuts every watch, so that everything is listed and looked at again."""
        say("compacting history and cutting every watch")
        self.api.post("reset")
        before = self.process.cpu_s
        self.api.post("compact")
        self.api.post("cut-watches")
        time.sleep(_RELISTED_AFTER_S)
        return {
            "noop_writes": self.api.writes(),
            "relist_cpu_s": round(self.process.cpu_s - before, 2),
            "relist_peak_rss_mb": round(self.process.peak_rss_mb, 1),
        }


@contextmanager
def warm_controller(folder: Path, objects: int) -> Iterator[WarmController]:
    """Runs one controller until every ModelDeployment has its children, ends it, and starts the one to be measured."""
    with fake_api(folder, load=objects) as api:
        say(f"creating the children of {objects} ModelDeployments")
        with running_controller(folder, api.kubeconfig) as first:
            first.settle(objects)
            created = api.writes()
        say("starting again")
        api.post("reset")
        with running_controller(folder, api.kubeconfig) as warm:
            warm.settle(objects)
            yield WarmController(api, warm, objects, created)


def against_fake(folder: Path, objects: int) -> dict[str, float]:
    """Returns all figures measured against the fake."""
    with warm_controller(folder, objects) as warm:
        figures = warm.start_figures() | warm.relist_figures()
        # Else this would measure how fast Python can pretend to be a kubelet: that took 60 % of the fake's time,
        # and left it too busy to answer.
        warm.api.freeze_workloads()
        say("changing specs")
        return figures | measure_latency(warm.api.kubeconfig, _keys(objects)).figures()


def _keys(objects: int) -> list[Key]:
    return [(f"team-{number // PER_NAMESPACE:02}", f"model-{number:04}") for number in range(objects)]
