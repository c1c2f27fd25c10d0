"""What the processes are told."""

from __future__ import annotations

import base64
import dataclasses
import tomllib
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from plimsoll_dev.cluster import configuration
from plimsoll_dev.cluster.addresses import AddressPlan
from plimsoll_dev.cluster.commands import CONTROL, WORKERS, command_lines, environment_of, processes_of
from plimsoll_dev.cluster.components import ONE_NODE
from plimsoll_dev.cluster.configuration import Machine
from plimsoll_dev.cluster.folders import Layout
from plimsoll_dev.cluster.settings import Settings

LAYOUT = Layout(Path("/state/cluster"))
ADDRESSES = AddressPlan(IPv4Network("10.244.0.0/16"))
SANDBOX = Machine(
    snapshotter="native",
    may_raise_oom_score=False,
    mtu=1400,
    nameservers=["192.0.2.53"],
    resolver_file=Path("/etc/resolv.conf"),
)
SERVER = dataclasses.replace(SANDBOX, snapshotter="overlayfs", may_raise_oom_score=True)
SETTINGS = Settings(
    boot="b",
    block="10.244.0.0/16",
    programs={component.name: f"/cache/{component.name}" for component in ONE_NODE},
    snapshotter="overlayfs",
    etcd_ports=[2001, 2002],
    sysctls={},
)
KUBELET = configuration.kubelet_configuration(LAYOUT, ADDRESSES, SANDBOX)


@pytest.mark.parametrize(
    ("why", "field", "value"),
    [
        ("fifty ModelDeployments with two revisions each fit", "maxPods", 250),
        ("a cgroup v1 machine is no error", "failCgroupV1", False),
        ("a machine with swap is no error", "failSwapOn", False),
        ("systemd may be absent", "cgroupDriver", "cgroupfs"),
        ("`down` ends what runs in our cgroup and nothing else", "cgroupRoot", "/plimsoll"),
        ("imported images cannot be pulled again", "imageGCHighThresholdPercent", 100),
        ("pods find Services by name", "clusterDNS", ["10.244.128.10"]),
        ("nobody outside the machine reaches it", "address", "10.244.255.1"),
        ("everything lies in the state folder", "podLogsDir", "/state/cluster/pod-logs"),
    ],
)
def test_the_kubelet(why: str, field: str, value: object):
    assert KUBELET[field] == value, why


def test_a_nearly_full_disk_evicts_nothing():
    disk = {name: limit for name, limit in KUBELET["evictionHard"].items() if "fs." in name}
    assert set(disk) == {"nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"}
    assert set(disk.values()) == {"0%"}


def test_nobody_talks_to_the_kubelet_without_a_certificate():
    assert KUBELET["authentication"]["anonymous"] == {"enabled": False}
    assert KUBELET["authorization"] == {"mode": "Webhook"}


@pytest.mark.parametrize(
    ("machine", "snapshotter", "restricted"), [(SANDBOX, "native", True), (SERVER, "overlayfs", False)]
)
def test_containerd_fits_the_machine(machine: Machine, snapshotter: str, *, restricted: bool):
    written = tomllib.loads(configuration.containerd_configuration(LAYOUT, machine, Path("/usr/lib/cni")))
    cri = written["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["containerd"]["snapshotter"] == snapshotter
    assert cri["restrict_oom_score_adj"] is restricted
    assert cri["sandbox_image"] == configuration.PAUSE_IMAGE
    assert cri["cni"] == {"bin_dir": "/usr/lib/cni", "conf_dir": "/state/cluster/configuration/cni"}
    assert all(str(written[name]).startswith("/state/cluster/") for name in ("root", "state"))


def test_pods_get_the_mtu_of_the_machine_and_addresses_from_the_plan():
    (plugin,) = configuration.cni_configuration(LAYOUT, ADDRESSES, SANDBOX)["plugins"]
    assert plugin["mtu"] == 1400
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.244.0.0/17"}]]


def test_services_are_reached_on_the_nodes_own_address_only():
    proxy = configuration.proxy_configuration(LAYOUT, ADDRESSES)
    assert proxy["nodePortAddresses"] == ["10.244.255.1/32"]
    assert proxy["conntrack"] == {"maxPerCore": 0, "min": 0}


@pytest.mark.parametrize(
    ("nameservers", "forwards"), [(["192.0.2.53", "192.0.2.54"], "forward . 192.0.2.53 192.0.2.54"), ([], None)]
)
def test_names_outside_the_cluster_go_to_the_machines_servers(nameservers: list[str], forwards: str | None):
    machine = dataclasses.replace(SANDBOX, nameservers=nameservers)
    lines = [line.strip() for line in configuration.corefile(LAYOUT, ADDRESSES, machine).splitlines()]
    assert [line for line in lines if line.startswith("forward")] == ([forwards] if forwards else [])
    assert "bind 10.244.255.1" in lines


def test_the_dns_service_points_at_the_node():
    items = {item["kind"]: item for item in configuration.cluster_objects(ADDRESSES)["items"]}
    assert items["Service"]["spec"]["clusterIP"] == "10.244.128.10"
    assert "selector" not in items["Service"]["spec"]
    assert items["EndpointSlice"]["endpoints"][0]["addresses"] == ["10.244.255.1"]
    ports = {(port["protocol"], port["port"]) for port in items["EndpointSlice"]["ports"]}
    assert ports == {("UDP", configuration.DNS_PORT), ("TCP", configuration.DNS_PORT)}
    assert all("create" not in rule["verbs"] for rule in items["ClusterRole"]["rules"])


def test_a_kubeconfig_can_be_copied_to_another_folder():
    written = configuration.kubeconfig("https://10.244.255.1:6443", "admin", b"CA", b"CERT", b"KEY")
    assert base64.b64decode(written["clusters"][0]["cluster"]["certificate-authority-data"]) == b"CA"
    assert base64.b64decode(written["users"][0]["user"]["client-certificate-data"]) == b"CERT"
    assert base64.b64decode(written["users"][0]["user"]["client-key-data"]) == b"KEY"
    assert written["current-context"] == "plimsoll"


def test_each_process_names_a_file_of_the_state_folder():
    """That is how one that was started without being recorded is found again."""
    commands = command_lines(LAYOUT, SETTINGS)
    assert set(commands) == {*CONTROL, *WORKERS}
    for name, command in commands.items():
        assert any("/state/cluster/" in word for word in command[1:]), name
        assert Path(command[0]).name == name
        assert all(word.startswith("-") for word in command[1:]), name


def test_etcd_and_the_api_server_trust_an_authority_of_their_own():
    etcd = command_lines(LAYOUT, SETTINGS)["etcd"]
    assert "--client-cert-auth" in etcd
    assert "--trusted-ca-file=/state/cluster/pki/etcd-ca.crt" in etcd
    assert "--listen-client-urls=https://127.0.0.1:2001" in etcd


def test_admission_is_kubernetes_own():
    api = command_lines(LAYOUT, SETTINGS)["kube-apiserver"]
    assert "--authorization-mode=Node,RBAC" in api
    assert not any(word.startswith("--disable-admission-plugins") for word in api)
    assert not any(word.startswith("--anonymous-auth") for word in api)


def test_processes_start_in_order_with_nothing_of_the_callers_environment():
    assert list(processes_of(LAYOUT, SETTINGS)) == [*CONTROL, *WORKERS]
    assert set(environment_of(LAYOUT)) == {"PATH", "HOME"}
