"""`python -m plimsoll_dev.cluster` on a machine without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.__main__ import main
from plimsoll_dev.cluster.controlplane import VERSIONS, control_plane


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLIMSOLL_STATE", str(tmp_path))


def test_status_says_how_to_start(capsys: pytest.CaptureFixture[str]):
    assert main(["status"]) == 1
    assert capsys.readouterr().out == "The cluster does not run. Start it with 'up'.\n"


def test_kubeconfig_prints_a_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["kubeconfig"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/cluster/kubeconfig\n"


def test_what_needs_a_cluster_says_so(capsys: pytest.CaptureFixture[str]):
    assert main(["gpus", "4"]) == 1
    assert "Start it with" in capsys.readouterr().err


def test_helm_is_called_with_what_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\necho $* > $(dirname $0)/asked\nexit 3\n")
    helm.chmod(0o755)
    monkeypatch.setenv("HELM", str(helm))
    assert main(["helm", "lint", "chart", "--set", "a=b"]) == 3
    assert (tmp_path / "asked").read_text() == "lint chart --set a=b\n"


def test_only_supported_versions_have_a_control_plane():
    assert set(VERSIONS) == {"1.33", "1.36"}
    with pytest.raises(Invalid, match=r"Kubernetes 1.20 is not among 1.33, 1.36"), control_plane("1.20"):
        pass
