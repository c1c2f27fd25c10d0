"""The CRD is upgraded while people edit: nothing restarts, and the controller keeps following."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import yaml
from tests.support.team import Team

from plimsoll_dev.testbed.installation import CHART

CRD = CHART.parents[1] / "crds" / "plimsoll.dev_modeldeployments.yaml"
EDITS = 30


def test_the_crd_is_upgraded_under_load(team: Team, uris: Mapping[str, str]) -> None:
    served = team.deploy("digits", uris["digits"])
    team.until_ready(served)
    pods = team.names("pods")
    newer = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    spec = newer["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["tomorrow"] = {"type": "string", "maxLength": 10, "description": "A field of a later release."}
    # As helm does it: fields taken by another manager would make the next `helm upgrade` a conflict.
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-")

    def edit() -> None:
        for number in range(EDITS):
            team.patch("mdep", "digits", {"spec": {"runtime": {"drain": f"{number + 1}s"}}})

    try:
        with ThreadPoolExecutor(1) as pool:
            editing = pool.submit(edit)
            team.testbed.kubectl.run(*apply, stdin=json.dumps(newer))
            editing.result()
        team.until("the newer field is served", lambda: "tomorrow" in team.kubectl("explain", "mdep.spec"))
        team.patch("mdep", "digits", {"spec": {"tomorrow": "x", "replicas": 2}})
        team.until("the controller still follows", lambda: served.status().get("readyReplicas") == 2)
    finally:
        team.testbed.kubectl.run(*apply, stdin=CRD.read_text(encoding="utf-8"))
    assert pods <= team.names("pods")
    assert len(team.names("controllerrevisions")) == 1
