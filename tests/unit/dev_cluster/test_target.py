"""Which cluster is used, and what a given one is recognised as."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster import target
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.cluster.target import GivenTarget, Kind, KindTarget, choose_kind, given_target


@pytest.mark.parametrize(
    ("environment", "docker", "kind", "chosen"),
    [
        ({}, False, False, Kind.ONE_NODE),
        ({}, True, False, Kind.ONE_NODE),
        ({}, False, True, Kind.ONE_NODE),
        ({}, True, True, Kind.KIND),
        ({"KUBECONFIG": "/k"}, True, True, Kind.GIVEN),
        ({"CONTEXT": "prod"}, False, False, Kind.GIVEN),
        ({"KUBECONFIG": "", "CONTEXT": ""}, False, False, Kind.ONE_NODE),
        ({"PLIMSOLL_STATE": "/s", "KUBECONFIG": "/s/cluster/kubeconfig"}, True, True, Kind.ONE_NODE),
        ({"PLIMSOLL_STATE": "/s", "KUBECONFIG": "/s/cluster/kubeconfig", "CONTEXT": "x"}, True, True, Kind.GIVEN),
    ],
)
def test_the_choice(environment: dict[str, str], chosen: Kind, *, docker: bool, kind: bool):
    assert choose_kind(environment, docker_answers=docker, kind_installed=kind) is chosen


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"}))
    return path


def test_a_kind_cluster_is_recognised_by_its_context_and_never_deleted(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
):
    given = given_target({"KUBECONFIG": str(kubeconfig), "CONTEXT": "kind-dev"})
    assert given == KindTarget(kubeconfig, "dev", ours=False)
    assert given.context == "kind-dev"
    monkeypatch.setattr(target.subprocess, "run", lambda *_, **__: pytest.fail("nothing may run"))
    given.down()


def test_the_context_in_use_is_taken_when_none_is_named(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(target, "_installed", Path)
    monkeypatch.setattr(target, "_run", lambda *command: "prod\n" if "current-context" in command else "")
    assert given_target({"KUBECONFIG": str(kubeconfig)}) == GivenTarget(kubeconfig, "prod", "")


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(Invalid, match=r"absent is not a file"):
        given_target({"KUBECONFIG": str(tmp_path / "absent")})


def test_a_given_cluster_needs_a_registry_for_images(kubeconfig: Path, tmp_path: Path):
    with pytest.raises(Invalid, match="Set PLIMSOLL_REGISTRY"):
        GivenTarget(kubeconfig, "prod", "").load_image(tmp_path / "a.tar", "localhost/plimsoll/operator:1")


def test_a_given_cluster_gets_images_under_their_digest(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(target, "_installed", Path)
    monkeypatch.setattr(target, "image_digest", lambda _: "sha256:" + "ab" * 32)
    monkeypatch.setattr(target, "_run", lambda *command: calls.append(command) or "")
    given = GivenTarget(kubeconfig, "prod", "registry.example/team")
    reference = given.load_image(tmp_path / "a.tar", "localhost/plimsoll/operator:1")
    assert reference == f"registry.example/team/operator@sha256:{'ab' * 32}"
    assert calls[0][-1] == "docker://registry.example/team/operator:abababababab"
    assert "--preserve-digests" in calls[0]


def test_down_leaves_a_given_cluster_alone():
    said = StringIO()
    target.down({"KUBECONFIG": "/k"}, Progress(said))
    assert "left as it is" in said.getvalue()
