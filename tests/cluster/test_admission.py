"""The admission table, asked of real API servers: the oldest supported Kubernetes and the newest.

Offline, tests/unit/api/test_rules.py asks the same rows of the Python twins. The server is the judge, of the cost of
rules too: it refuses a CRD whose rules may cost too much.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from kubernetes.client import ApiException, CustomObjectsApi
from kubernetes.config import new_client_from_config
from tests.support.rule_table import DEFAULTING, ROWS, Defaulting, Row

from plimsoll_dev.cluster import components
from plimsoll_dev.cluster.configuration import NODE
from plimsoll_dev.cluster.controlplane import VERSIONS, control_plane
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.progress import Progress

CRD = Path(__file__).parents[2] / "crds" / "plimsoll.dev_modeldeployments.yaml"


@dataclass(frozen=True)
class Server:
    """A bare API server that has admitted the CRD. Rows are asked without kubectl, which takes minutes."""

    kubectl: Kubectl
    objects: CustomObjectsApi

    def admitted(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """What would be stored."""
        stored = self.objects.create_namespaced_custom_object(
            *("plimsoll.dev", "v1alpha1", "default", "modeldeployments"),
            manifest,
            dry_run="All",
            field_validation="Strict",
        )
        return cast("dict[str, Any]", stored)


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with control_plane(request.param) as kubeconfig:
        program = components.build(components.KUBERNETES, cache_folder(os.environ), Progress()) / "kubectl"
        kubectl = Kubectl(program, kubeconfig, NODE)
        kubectl.run("apply", "--server-side", "-f", str(CRD))
        kubectl.run("wait", "--for=condition=Established", "crd/modeldeployments.plimsoll.dev")
        with new_client_from_config(str(kubeconfig)) as client:  # type: ignore[no-untyped-call]
            yield Server(kubectl, CustomObjectsApi(client))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_server_answers_as_the_table_says(server: Server, row: Row) -> None:
    if row.refusal is None:
        server.admitted(row.manifest)
        return
    with pytest.raises(ApiException) as refused:
        server.admitted(row.manifest)
    assert row.refusal in json.loads(refused.value.body or "{}")["message"]


@pytest.mark.parametrize("row", DEFAULTING, ids=lambda row: row.name)
def test_the_server_fills_in_what_is_absent(server: Server, row: Defaulting) -> None:
    assert server.admitted(row.manifest)["spec"] == row.defaulted


def test_explain_says_what_a_change_does(server: Server, tmp_path: Path) -> None:
    # A cache of its own: the one that was filled before the CRD was there does not know its short name.
    told = server.kubectl.run("explain", "mdep.spec.runtime.drain", f"--cache-dir={tmp_path}")
    assert "Makes a new revision: no." in " ".join(told.split())
