"""A GPU as far as it goes without one: counted by the scheduler, given to one pod, waited for by the next."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.support.team import Team

from plimsoll_dev.cluster.__main__ import main
from plimsoll_dev.cluster.target import Kind, kind_of

GPU = "nvidia.com/gpu"
ON_GPU: dict[str, Any] = {
    "runtime": {"accelerator": "Nvidia"},
    # The pod is given a GPU, and Triton is told to leave it alone: this one is built without CUDA.
    "model": {"config": {"instance_group": [{"kind": "KIND_CPU", "count": 1}]}},
}


def claim(team: Team, count: int) -> None:
    assert main(["gpus", str(count)]) == 0
    (node,) = team.names("nodes")
    team.until(
        f"the node offers {count} GPUs",
        lambda: team.get("node", node)["status"]["allocatable"].get(GPU, "0") == str(count),
        60,
    )


@pytest.fixture
def one_gpu(team: Team) -> Iterator[None]:
    if kind_of(os.environ) is not Kind.ONE_NODE:
        pytest.skip("claims a GPU for the node of the one-node cluster, which no other cluster's node may")
    claim(team, 1)
    yield
    claim(team, 0)


@pytest.mark.usefixtures("one_gpu")
def test_a_model_gets_the_gpu_and_the_next_one_waits_for_it(team: Team, uris: Mapping[str, str]) -> None:
    first = team.deploy("first", uris["digits"], **ON_GPU)
    team.until_ready(first)
    (pod,) = team.all("pods", "plimsoll.dev/model=first")
    triton = next(container for container in pod["spec"]["containers"] if container["name"] == "triton")
    assert triton["resources"]["limits"][GPU] == "1"
    second = team.deploy("second", uris["digits"], **ON_GPU)
    assert GPU in team.until_reason(second, "InsufficientCapacity")
    team.kubectl("delete", "mdep", "first")
    team.until_ready(second)
