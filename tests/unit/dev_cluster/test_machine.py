"""What is read from the machine, what is changed, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster import leftovers, network, packages, preparation
from plimsoll_dev.cluster.folders import Layout, cache_folder, state_folder
from plimsoll_dev.cluster.onenode import require_possible
from plimsoll_dev.cluster.progress import Progress

MOUNTINFO = """\
21 1 0:5 / /proc rw - proc proc rw
30 1 8:1 / / rw - ext4 /dev/vda rw
31 30 0:40 / /state/cluster/containerd/run/a rw - overlay overlay rw
32 30 0:41 / /state/cluster/kubelet/pods/x/volumes/with\\040space rw - tmpfs tmpfs rw
33 32 0:42 / /state/cluster/kubelet/pods/x/volumes/with\\040space/inner rw - tmpfs tmpfs rw
34 30 0:43 / /state/cluster-of-another rw - tmpfs tmpfs rw
"""


def test_mounts_are_found_below_one_folder_innermost_first():
    assert leftovers.mounts_below(Path("/state/cluster"), MOUNTINFO) == [
        "/state/cluster/kubelet/pods/x/volumes/with space/inner",
        "/state/cluster/kubelet/pods/x/volumes/with space",
        "/state/cluster/containerd/run/a",
    ]


def test_a_folder_with_a_mount_that_stays_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Otherwise the removal would empty whatever is mounted there."""
    (tmp_path / "kept").touch()
    monkeypatch.setattr(leftovers, "unmount_below", lambda _: None)
    monkeypatch.setattr(leftovers, "mounts_below", lambda *_: [f"{tmp_path}/mounted"])
    with pytest.raises(OSError, match=r"mounted is still mounted\. Unmount it"):
        leftovers.remove_folder(tmp_path)
    assert (tmp_path / "kept").exists()


def test_log_links_of_other_clusters_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leftovers, "LOG_LINKS", tmp_path)
    monkeypatch.setattr(leftovers, "KUBELET_SOCKET", tmp_path / "plugins" / "kubelet.sock")
    (tmp_path / "ours.log").symlink_to("/state/cluster/pod-logs/0.log")
    (tmp_path / "theirs.log").symlink_to("/var/log/pods/0.log")
    leftovers.remove_links(Path("/state/cluster"))
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.log"]


@pytest.mark.parametrize(
    ("current", "raised"),
    [
        ({"net.ipv4.ip_forward": 0}, {"net.ipv4.ip_forward": 1}),
        ({"net.ipv4.ip_forward": 1}, {}),
        ({"fs.inotify.max_user_instances": 128}, {"fs.inotify.max_user_instances": 8192}),
        ({"fs.inotify.max_user_watches": 10_000_000}, {}),
        ({}, {}),
    ],
    ids=["forwarding is off", "is on", "a low limit", "a limit that is higher already", "a kernel without them"],
)
def test_kernel_settings_are_only_ever_raised(current: dict[str, int], raised: dict[str, int]):
    assert network.raised_sysctls(current) == raised


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.1\nsearch example\nnameserver 192.0.2.2\n", ["192.0.2.1", "192.0.2.2"]),
        ("# nameserver 192.0.2.1\nnameserver fd00::1\nnameserver\n", []),
    ],
)
def test_name_servers(tmp_path: Path, text: str, servers: list[str]):
    (tmp_path / "resolv.conf").write_text(text)
    assert network.nameservers(tmp_path / "resolv.conf") == servers
    assert network.nameservers(tmp_path / "absent") == []


@pytest.mark.parametrize(("mask", "has"), [("000001fffeffffff", False), ("000001ffffffffff", True), ("0", False)])
def test_the_capability_that_some_sandboxes_lack(mask: str, *, has: bool):
    status = f"Name:\tx\nCapEff:\t{mask}\nCapBnd:\t000001ffffffffff\n"
    assert preparation.has_capability(status, preparation.CAP_SYS_RESOURCE) is has


@pytest.mark.parametrize(
    ("environment", "cache", "state"),
    [
        ({"HOME": "/home/a"}, "/home/a/.cache/plimsoll", "/home/a/.local/state/plimsoll/cluster"),
        ({"PLIMSOLL_CACHE": "/c", "PLIMSOLL_STATE": "/s", "HOME": "/home/a"}, "/c", "/s/cluster"),
    ],
)
def test_folders(environment: dict[str, str], cache: str, state: str):
    assert str(cache_folder(environment)) == cache
    assert str(state_folder(environment)) == state


def test_the_lock_is_outside_of_what_down_removes():
    layout = Layout(Path("/state/cluster"))
    assert not layout.lock.is_relative_to(layout.root)


def test_only_missing_packages_are_installed(tmp_path: Path):
    present = tmp_path / "ptp"
    present.touch()
    wanted = {"sh": "dash", str(present): "plugins", "no-such-program": "b", "neither-this": "a", "nor-this": "a"}
    assert packages.missing_packages(wanted) == ["a", "b"]


def test_system_folders_are_searched_even_if_they_are_not_on_path():
    assert packages.search_path({"PATH": "/home/a/bin"}).startswith("/home/a/bin:")
    assert "/usr/sbin" in packages.search_path({})


@pytest.mark.parametrize(
    ("apt", "user", "message"),
    [(None, 0, "These Debian packages"), ("/usr/bin/apt-get", 1000, "Run as root: apt-get install")],
)
def test_what_cannot_be_installed_is_named(
    apt: str | None, user: int, message: str, monkeypatch: pytest.MonkeyPatch, progress_log: Progress
):
    monkeypatch.setattr(packages, "missing_packages", lambda _: ["etcd-server"])
    monkeypatch.setattr(packages.shutil, "which", lambda *_, **__: apt)
    monkeypatch.setattr(packages.os, "geteuid", lambda: user)
    with pytest.raises(Invalid, match=rf"{message}.*etcd-server"):
        packages.install({}, progress_log)


@pytest.mark.parametrize(
    ("system", "user", "folder", "reason"),
    [
        ("Darwin", 0, "/state", "NotLinux"),
        ("Linux", 1000, "/state", "NotRoot"),
        ("Linux", 0, "/state/" + "x" * 80, "PathTooLong"),
    ],
)
def test_machines_without_a_chance_are_refused_before_anything_is_changed(
    system: str, user: int, folder: str, reason: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("os.geteuid", lambda: user)
    with pytest.raises(Invalid) as refused:
        require_possible(Layout(Path(folder)))
    assert refused.value.reason == reason


def test_our_cgroup_on_version_1_can_hold_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A new cpuset is empty: nothing can run in it until it has processors and memory."""
    monkeypatch.setattr(leftovers, "CGROUPS", tmp_path)
    for name, content in {
        "memory/cgroup.procs": "",
        "cpuset/cgroup.procs": "",
        "cpuset/plimsoll/cpuset.cpus": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1")
    leftovers.create_cgroup()
    assert (tmp_path / "memory" / "plimsoll").is_dir()
    assert (tmp_path / "cpuset" / "plimsoll" / "cpuset.cpus").read_text() == "0-1"


def test_our_cgroup_on_version_2_gets_the_controllers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leftovers, "CGROUPS", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    leftovers.create_cgroup()
    assert (tmp_path / "plimsoll").is_dir()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_only_processes_of_our_cgroup_are_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leftovers, "CGROUPS", tmp_path)
    for folder, pids in {"memory": "1\n2\n", "memory/plimsoll": "", "memory/plimsoll/pod": "30\n31\n"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cgroup.procs").write_text(pids)
    assert leftovers.contained_processes() == [30, 31]
