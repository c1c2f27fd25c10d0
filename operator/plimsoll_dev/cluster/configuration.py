"""What each process of the one-node cluster is told. Pure: from facts to texts and argument lists.

Every value that is not Kubernetes' default says why.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plimsoll_dev.cluster.addresses import AddressPlan
from plimsoll_dev.cluster.folders import Layout

NODE = "plimsoll"
DOMAIN = "cluster.local"
PAUSE_IMAGE = "plimsoll.local/pause:1"
# Not 53: the machine's own resolver may hold it on all addresses. Pods see port 53 of the Service.
DNS_PORT = 10053
API_PORT = 6443
# One cgroup of our own: `down` ends everything in it and touches nothing else.
CGROUP = "plimsoll"
MAX_PODS = 250


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found out about this machine."""

    snapshotter: str
    """`overlayfs`, or `native` where the state folder cannot hold an overlay."""
    may_raise_oom_score: bool
    """Whether CAP_SYS_RESOURCE is there; without it runc cannot lower oom_score_adj and every pod would fail."""
    mtu: int
    nameservers: Sequence[str]
    resolver_file: Path
    """The machine's resolv.conf with real addresses, for pods with dnsPolicy Default."""


def etcd_arguments(pki: Path, data: Path, client_port: int, peer_port: int) -> list[str]:
    """Etcd on loopback with its own authority; no fsync: a machine that crashes starts with a new cluster."""
    client, peer = f"https://127.0.0.1:{client_port}", f"https://127.0.0.1:{peer_port}"
    return [
        f"--data-dir={data}",
        "--name=plimsoll",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=plimsoll={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki}/etcd-ca.crt",
        f"--cert-file={pki}/etcd.crt",
        f"--key-file={pki}/etcd.key",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki}/etcd-ca.crt",
        f"--peer-cert-file={pki}/etcd.crt",
        f"--peer-key-file={pki}/etcd.key",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=4294967296",
        "--log-level=warn",
    ]


def apiserver_arguments(pki: Path, address: str, port: int, etcd_port: int, services: str) -> list[str]:
    """The API server: default admission (Pod Security, ResourceQuota included), Node and RBAC authorization."""
    return [
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--secure-port={port}",
        f"--service-cluster-ip-range={services}",
        f"--etcd-servers=https://127.0.0.1:{etcd_port}",
        f"--etcd-cafile={pki}/etcd-ca.crt",
        f"--etcd-certfile={pki}/etcd-client.crt",
        f"--etcd-keyfile={pki}/etcd-client.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        # By default the node's name comes first, and nothing resolves it.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/tokens.pub",
        f"--service-account-signing-key-file={pki}/tokens.key",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        f"--requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        "--v=1",
    ]


def controller_manager_arguments(layout: Layout) -> list[str]:
    """The controllers; one instance needs no election, and 50 deployments at once no client limit of 20 per second."""
    kubeconfig = layout.configuration / "controller-manager.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.pki}/tokens.key",
        f"--root-ca-file={layout.pki}/ca.crt",
        f"--cluster-signing-cert-file={layout.pki}/ca.crt",
        f"--cluster-signing-key-file={layout.pki}/ca.key",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
        "--v=1",
    ]


def scheduler_arguments(layout: Layout) -> list[str]:
    """The scheduler, with limits for its client as above."""
    kubeconfig = layout.configuration / "scheduler.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
        "--v=1",
    ]


def kubelet_arguments(layout: Layout, addresses: AddressPlan) -> list[str]:
    """What the kubelet takes only as flags."""
    return [
        f"--config={layout.configuration}/kubelet.json",
        f"--kubeconfig={layout.configuration}/kubelet.kubeconfig",
        f"--root-dir={layout.root}/kubelet",
        f"--hostname-override={NODE}",
        f"--node-ip={addresses.node}",
        "--v=1",
    ]


def kubelet_configuration(layout: Layout, addresses: AddressPlan, machine: Machine) -> dict[str, Any]:
    """KubeletConfiguration for a developer's machine: cgroup v1 or v2, swap, and a disk that is nearly full."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(addresses.node),
        "healthzBindAddress": str(addresses.node),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{layout.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{layout.pki}/kubelet.crt",
        "tlsPrivateKeyFile": f"{layout.pki}/kubelet.key",
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "podLogsDir": f"{layout.root}/pod-logs",
        "clusterDNS": [str(addresses.dns)],
        "clusterDomain": DOMAIN,
        "resolvConf": str(machine.resolver_file),
        "maxPods": MAX_PODS,
        # systemd may be absent; cgroupfs works with and without it.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # Images are imported, not pulled: one that is collected on a disk over 85 % full could never come back.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        # A developer's disk is often over 90 % full. emptyDir limits are enforced all the same.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "serializeImagePulls": False,
        "logging": {"verbosity": 1},
    }


def proxy_configuration(layout: Layout, addresses: AddressPlan) -> dict[str, Any]:
    """KubeProxyConfiguration: iptables, node ports on the node's own address only, no change to conntrack limits."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{layout.configuration}/kube-proxy.kubeconfig"},
        "hostnameOverride": NODE,
        "mode": "iptables",
        "clusterCIDR": str(addresses.pods),
        "detectLocalMode": "ClusterCIDR",
        "nodePortAddresses": [f"{addresses.node}/32"],
        "healthzBindAddress": f"{addresses.node}:10256",
        "metricsBindAddress": f"{addresses.node}:10249",
        "iptables": {"localhostNodePorts": False},
        # Sandboxes refuse to write these limits, and the proxy would end.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "logging": {"verbosity": 1},
    }


def containerd_configuration(layout: Layout, machine: Machine, cni_plugins: Path) -> str:
    """The runtime's TOML in version 2 of its format, which 1.6 to 2.x read."""
    restrict = "false" if machine.may_raise_oom_score else "true"
    return f"""version = 2
root = "{layout.root}/containerd/root"
state = "{layout.root}/containerd/run"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
address = "{layout.containerd_socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = {restrict}
# Network namespaces under our own folder, so that `down` finds them.
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_plugins}"
conf_dir = "{layout.configuration}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{machine.snapshotter}"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def cni_configuration(layout: Layout, addresses: AddressPlan, machine: Machine) -> dict[str, Any]:
    """Pod networking: a routed link per pod.

    Routed rather than bridged: replies from a Service in the same subnet then always pass the machine's NAT, without
    the br_netfilter module. NetworkPolicies are not enforced, and `hostPort` is not offered.
    """
    ranges = [[{"subnet": str(addresses.pods)}]]
    ipam = {"type": "host-local", "ranges": ranges, "dataDir": f"{layout.root}/cni", "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "0.4.0",
        "name": "plimsoll",
        "plugins": [{"type": "ptp", "ipMasq": False, "mtu": machine.mtu, "ipam": ipam}],
    }


def corefile(layout: Layout, addresses: AddressPlan, machine: Machine) -> str:
    """CoreDNS: the cluster's names, everything else by the machine's name servers."""
    forward = f"    forward . {' '.join(machine.nameservers)}\n" if machine.nameservers else ""
    return f""".:{DNS_PORT} {{
    bind {addresses.node}
    errors
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {layout.configuration}/coredns.kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
{forward}    cache 5
}}
"""


def kubeconfig(server: str, user: str, authority: bytes, certificate: bytes, key: bytes) -> dict[str, Any]:
    """A kubeconfig that carries its PEM contents, so that it can be copied; `user` is only a label in the file."""
    encoded = [base64.b64encode(content).decode() for content in (authority, certificate, key)]
    credentials = {"client-certificate-data": encoded[1], "client-key-data": encoded[2]}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NODE, "cluster": {"server": server, "certificate-authority-data": encoded[0]}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": NODE, "context": {"cluster": NODE, "user": user}}],
        "current-context": NODE,
    }


def cluster_objects(addresses: AddressPlan) -> Mapping[str, Any]:
    """What an administrator would install: the DNS Service with its endpoint outside the cluster, and its RBAC."""
    metadata = {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}}
    protocols = (("dns", "UDP"), ("dns-tcp", "TCP"))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": str(addresses.dns),
            "ports": [{"name": n, "port": 53, "targetPort": DNS_PORT, "protocol": p} for n, p in protocols],
        },
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(addresses.node)], "conditions": {"ready": True}}],
        "ports": [{"name": n, "port": DNS_PORT, "protocol": p} for n, p in protocols],
    }
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch", "get"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "plimsoll-coredns"},
        "rules": rules,
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "plimsoll-coredns"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "plimsoll-coredns"},
        "subjects": [{"kind": "User", "apiGroup": rbac, "name": "system:coredns"}],
    }
    return {"apiVersion": "v1", "kind": "List", "items": [service, endpoints, role, binding]}


def as_json(document: Mapping[str, Any]) -> str:
    """JSON, which is also YAML: every component reads it."""
    return json.dumps(document, indent=2) + "\n"
