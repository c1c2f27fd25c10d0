"""The record of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll_dev.cluster.settings import Settings, read_settings, write_settings

SETTINGS = Settings(
    boot="b",
    block="10.245.0.0/16",
    programs={"kubernetes-1.36": "/cache/k", "helm": "/cache/h"},
    snapshotter="overlayfs",
    etcd_ports=[1, 2],
    sysctls={"net.ipv4.ip_forward": 0},
)


def test_what_is_written_is_read(tmp_path: Path):
    write_settings(tmp_path / "settings.json", SETTINGS)
    assert read_settings(tmp_path / "settings.json") == SETTINGS
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("text", [None, "", "{", '{"boot": "b"}', '{"unknown": 1}'])
def test_what_cannot_be_read_is_no_cluster(tmp_path: Path, text: str | None):
    """`down` then finds what runs by its command lines."""
    if text is not None:
        (tmp_path / "settings.json").write_text(text)
    assert read_settings(tmp_path / "settings.json") is None


def test_programs_and_addresses():
    assert SETTINGS.program("kubectl") == Path("/cache/k/kubectl")
    assert SETTINGS.program("helm") == Path("/cache/h/helm")
    assert str(SETTINGS.addresses.node) == "10.245.255.1"
