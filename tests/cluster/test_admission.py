"""The admission table, asked of real API servers: the oldest supported Kubernetes and the newest.

Offline, tests/unit/api/test_rules.py asks the same rows of the Python twins. The server is the judge, of the cost of
rules too: it refuses a CRD whose rules may cost too much.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.rule_table import DEFAULTING, ROWS, Defaulting, Row

from plimsoll_dev.cluster import components
from plimsoll_dev.cluster.configuration import NODE
from plimsoll_dev.cluster.controlplane import VERSIONS, control_plane
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.progress import Progress

CRD = Path(__file__).parents[2] / "crds" / "plimsoll.dev_modeldeployments.yaml"
COLLECTION = "/apis/plimsoll.dev/v1alpha1/namespaces/default/modeldeployments"


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def server(request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """A bare API server that has admitted the CRD."""
    with control_plane(request.param) as kubeconfig:
        program = components.build(components.KUBERNETES, cache_folder(os.environ), Progress()) / "kubectl"
        kubectl = Kubectl(program, kubeconfig, NODE)
        kubectl.run("apply", "--server-side", "-f", str(CRD))
        kubectl.run("wait", "--for=condition=Established", "crd/modeldeployments.plimsoll.dev")
        yield kubectl


def admitted(server: Kubectl, manifest: dict[str, Any]) -> dict[str, Any]:
    """What would be stored."""
    request = f"{COLLECTION}?dryRun=All&fieldValidation=Strict"
    stored: dict[str, Any] = json.loads(server.run("create", f"--raw={request}", "-f", "-", stdin=json.dumps(manifest)))
    return stored


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_server_answers_as_the_table_says(server: Kubectl, row: Row) -> None:
    if row.refusal is None:
        admitted(server, row.manifest)
        return
    with pytest.raises(subprocess.CalledProcessError) as refused:
        admitted(server, row.manifest)
    assert row.refusal in refused.value.stderr


@pytest.mark.parametrize("row", DEFAULTING, ids=lambda row: row.name)
def test_the_server_fills_in_what_is_absent(server: Kubectl, row: Defaulting) -> None:
    assert admitted(server, row.manifest)["spec"] == row.defaulted


def test_explain_says_what_a_change_does(server: Kubectl, tmp_path: Path) -> None:
    # A cache of its own: the one that was filled before the CRD was there does not know its short name.
    told = server.run("explain", "mdep.spec.runtime.drain", f"--cache-dir={tmp_path}")
    assert "Makes a new revision: no." in " ".join(told.split())
