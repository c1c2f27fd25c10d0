"""The processes of the one-node cluster, with their command lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plimsoll_dev.cluster import configuration, packages
from plimsoll_dev.cluster.folders import Layout
from plimsoll_dev.cluster.processes import Process
from plimsoll_dev.cluster.settings import Settings

# Started in this order; stopped in the reverse, except that pods end before their runtime.
CONTROL = ("etcd", "kube-apiserver", "containerd")
WORKERS = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns")


def processes_of(layout: Layout, settings: Settings) -> Mapping[str, Process]:
    """The processes by name, in the order in which they start."""
    commands = command_lines(layout, settings)
    return {
        name: Process(name, commands[name], layout.logs / f"{name}.log", layout.processes / f"{name}.json")
        for name in (*CONTROL, *WORKERS)
    }


def command_lines(layout: Layout, settings: Settings) -> Mapping[str, Sequence[str]]:
    """The command line of each process. Pure."""
    addresses = settings.addresses
    client_port, peer_port = settings.etcd_ports
    services, node = str(addresses.services), str(addresses.node)
    arguments = {
        "etcd": configuration.etcd_arguments(layout.pki, layout.root / "etcd", client_port, peer_port),
        "kube-apiserver": configuration.apiserver_arguments(
            layout.pki, node, configuration.API_PORT, client_port, services
        ),
        "containerd": [f"--config={layout.configuration}/containerd.toml", "--log-level=warn"],
        "kube-controller-manager": configuration.controller_manager_arguments(layout),
        "kube-scheduler": configuration.scheduler_arguments(layout),
        "kubelet": configuration.kubelet_arguments(layout, addresses),
        "kube-proxy": [f"--config={layout.configuration}/kube-proxy.json"],
        "coredns": [f"-conf={layout.configuration}/Corefile"],
    }
    from_debian = ("etcd", "containerd")
    return {
        name: [name if name in from_debian else str(settings.program(name)), *given]
        for name, given in arguments.items()
    }


def environment_of(layout: Layout) -> Mapping[str, str]:
    """Only what the processes need: a proxy or a KUBECONFIG of the caller must not reach them."""
    return {"PATH": packages.SYSTEM_FOLDERS, "HOME": str(layout.root)}
