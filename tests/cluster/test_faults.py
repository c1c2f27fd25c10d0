"""What breaks by itself: a controller killed in mid-change, a model server whose backend process died."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import pytest
from tests.support.team import Team

from plimsoll_dev.models.samples import infer_request, samples

BODY = infer_request(samples()[0].image)
SYSTEM = "plimsoll-system"
CONTROLLERS = "app.kubernetes.io/component=controller"


@pytest.mark.parametrize("pause_s", [0.0, 1.0, 4.0])
def test_controllers_killed_in_mid_change(team: Team, uris: Mapping[str, str], pause_s: float) -> None:
    """All of them at once, without a chance to say goodbye: whoever starts next finishes, and no user notices."""
    served = team.deploy("digits", uris["digits"], runtime={"drain": "3s"})
    team.until_ready(served)
    old = served.status()["stable"]
    with team.traffic(BODY, served) as stop:
        team.deploy("digits", uris["digits-v2"], runtime={"drain": "3s"})
        time.sleep(pause_s)
        kill = ("-n", SYSTEM, "delete", "pods", "-l", CONTROLLERS, "--grace-period=0", "--force")
        team.testbed.kubectl.run(*kill)
        team.until_ready(served)
        team.until("only the new revision is left", lambda: old not in team.names("deployments"))
        seen = stop()
    assert seen.failures == []
    assert len(team.names("deployments")) == 1
    assert team.names("services") == {"digits", served.status()["stable"]}


def test_a_dead_backend_process_is_noticed_although_health_says_ready(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"])
    team.until_ready(served)
    (pod,) = [item["metadata"]["name"] for item in team.all("pods", "plimsoll.dev/model=digits")]
    script = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    if open(f"/proc/{pid}/cmdline").read().split("\\0")[0].endswith("/triton_python_backend_stub"):
        os.kill(int(pid), signal.SIGKILL)
"""
    team.kubectl("exec", pod, "-c", "triton", "--", "python3", "-c", script)

    def restarts() -> int:
        statuses = team.get("pod", pod)["status"]["containerStatuses"]
        return next(int(s["restartCount"]) for s in statuses if s["name"] == "triton")

    team.until("the kubelet restarted Triton", lambda: restarts() == 1, 180)
    team.until_ready(served)


def test_another_pod_takes_the_place_of_an_evicted_one(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"])
    team.until_ready(served)
    (pod,) = team.names("pods")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": team.namespace}}
    path = f"/api/v1/namespaces/{team.namespace}/pods/{pod}/eviction"
    team.testbed.kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    team.until(
        "another pod serves", lambda: pod not in team.names("pods") and served.conditions().get("Serving") == "True"
    )
    team.until_ready(served)
