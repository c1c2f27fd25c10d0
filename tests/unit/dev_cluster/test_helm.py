"""Which Helm is used; building one is what `test_components` tests."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from plimsoll_dev.cluster import helm
from plimsoll_dev.cluster.progress import Progress


def program(folder: Path) -> Path:
    folder.mkdir()
    made = folder / "helm"
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return made


def test_the_named_one_wins_over_the_installed_one_over_a_built_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helm, "build", lambda _component, cache, _progress: cache / "programs")
    installed = program(tmp_path / "bin")
    nothing = {"PATH": str(tmp_path / "empty"), "PLIMSOLL_CACHE": str(tmp_path / "cache")}
    on_path = nothing | {"PATH": str(installed.parent)}
    found = [
        helm.helm_program(environment, Progress(StringIO()))
        for environment in (on_path | {"HELM": "/mine/helm"}, on_path, nothing)
    ]
    assert found == ["/mine/helm", str(installed), str(tmp_path / "cache" / "programs" / "helm")]
