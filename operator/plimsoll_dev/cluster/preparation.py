"""Writes what the one-node cluster's processes read, and finds out what they must be told about this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from plimsoll_dev.cluster import configuration as conf
from plimsoll_dev.cluster import network
from plimsoll_dev.cluster.addresses import AddressPlan
from plimsoll_dev.cluster.configuration import Machine
from plimsoll_dev.cluster.folders import Layout
from plimsoll_dev.cluster.pki import Authority, Pair, create_authority, create_token_key

CNI_PLUGINS = Path("/usr/lib/cni")
CAP_SYS_RESOURCE = 24
# File name -> common name and organization, by which RBAC and the Node authorizer know them.
CLIENTS = {
    "admin": ("plimsoll-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "coredns": ("system:coredns", ""),
}


def examine_machine(state: Path) -> Machine:
    """Finds out what differs between a laptop, a server and a sandbox."""
    resolver = network.resolver_file()
    return Machine(
        snapshotter="overlayfs" if _holds_overlay(state) else "native",
        may_raise_oom_score=has_capability(Path("/proc/self/status").read_text(), CAP_SYS_RESOURCE),
        mtu=network.smallest_mtu(),
        nameservers=network.nameservers(resolver),
        resolver_file=resolver,
    )


def has_capability(status: str, number: int) -> bool:
    """Whether /proc/PID/status shows an effective capability. Pure."""
    mask = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(mask, 16) >> number & 1)


def write_files(layout: Layout, addresses: AddressPlan, machine: Machine) -> None:
    """Writes certificates, kubeconfigs and configuration files."""
    write_certificates(layout.pki, str(addresses.node), str(addresses.kubernetes_service))
    layout.configuration.mkdir(parents=True, exist_ok=True)
    server = f"https://{addresses.node}:{conf.API_PORT}"
    for name in (*CLIENTS, "kubelet"):
        path = layout.kubeconfig if name == "admin" else layout.configuration / f"{name}.kubeconfig"
        write_kubeconfig(path, server, layout.pki, name)
    texts = {
        "kubelet.json": conf.as_json(conf.kubelet_configuration(layout, addresses, machine)),
        "kube-proxy.json": conf.as_json(conf.proxy_configuration(layout, addresses)),
        "containerd.toml": conf.containerd_configuration(layout, machine, CNI_PLUGINS),
        "cni/10-plimsoll.conflist": conf.as_json(conf.cni_configuration(layout, addresses, machine)),
        "Corefile": conf.corefile(layout, addresses, machine),
    }
    for name, text in texts.items():
        path = layout.configuration / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def write_certificates(pki: Path, address: str, service: str) -> None:
    """Makes both authorities and every certificate; `address` is the API server's, `service` its Service's."""
    authority, etcd = create_authority(pki, "ca"), create_authority(pki, "etcd-ca")
    create_token_key(pki)
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    authority.issue("apiserver", common_name="kube-apiserver", hosts=[*names, "localhost", address, service])
    authority.issue("apiserver-kubelet", common_name="kube-apiserver-kubelet-client", organization="system:masters")
    authority.issue("front-proxy", common_name="front-proxy")
    _issue_node(authority, address)
    for name, (common_name, organization) in CLIENTS.items():
        authority.issue(name, common_name=common_name, organization=organization)
    etcd.issue("etcd", common_name="etcd", hosts=["127.0.0.1", "localhost"])
    etcd.issue("etcd-client", common_name="kube-apiserver")


def write_kubeconfig(path: Path, server: str, pki: Path, client: str) -> None:
    """Writes the kubeconfig of one client, readable by its owner only."""
    contents = [(pki / name).read_bytes() for name in ("ca.crt", f"{client}.crt", f"{client}.key")]
    path.touch(mode=0o600)
    path.write_text(conf.as_json(conf.kubeconfig(server, client, *contents)))


def _issue_node(authority: Authority, address: str) -> Pair:
    name = f"system:node:{conf.NODE}"
    return authority.issue("kubelet", common_name=name, organization="system:nodes", hosts=[conf.NODE, address])


def _holds_overlay(state: Path) -> bool:
    """Tries it: a state folder that is itself in an overlay (a container) or on NFS cannot hold another."""
    folders = {name: state / "overlay-probe" / name for name in ("lower", "upper", "work", "merged")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={folders['lower']},upperdir={folders['upper']},workdir={folders['work']}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(folders["merged"])]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if mounted:
        network.run("umount", str(folders["merged"]))
    shutil.rmtree(state / "overlay-probe")
    return mounted
