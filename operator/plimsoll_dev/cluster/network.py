"""Changes to this machine's network that pods need, each found again and undone by its own name.

The node's address carries a label, the firewall rules live in chains of our own, and kernel settings are put back from
the values recorded before they were changed.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from plimsoll_dev.cluster.addresses import AddressPlan
from plimsoll_dev.cluster.packages import search_path

LABEL = "lo:plimsoll"
MASQUERADE, FORWARD = "PLIMSOLL-MASQ", "PLIMSOLL-FORWARD"
# (table, built-in chain, our chain)
CHAINS = (("nat", "POSTROUTING", MASQUERADE), ("filter", "FORWARD", FORWARD))
# What the kubelet adds, and `kube-proxy --cleanup` leaves. Another kubelet on this machine would put its own back.
KUBELET_CHAINS = (
    ("filter", "INPUT", "KUBE-FIREWALL"),
    ("filter", "OUTPUT", "KUBE-FIREWALL"),
    *((table, "", "KUBE-KUBELET-CANARY") for table in ("mangle", "filter", "nat")),
    ("mangle", "", "KUBE-IPTABLES-HINT"),
)

# 250 pods need more inotify instances than the default of 128; limits are only ever raised.
FORWARDING = "net.ipv4.ip_forward"
SYSCTLS: Mapping[str, int] = {
    FORWARDING: 1,
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
}


def run(*command: str, check: bool = True) -> str:
    """Runs a program of the system folders and gives its output."""
    environment = {**os.environ, "PATH": search_path(os.environ)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=check).stdout


def used_addresses() -> Sequence[str]:
    """Every network, address and name server this machine knows, except those of an earlier cluster of ours."""
    listed = json.loads(run("ip", "-4", "-json", "address", "show") or "[]")
    local = [
        f"{address['local']}/{address['prefixlen']}"
        for link in listed
        for address in link.get("addr_info", ())
        if address.get("label") != LABEL
    ]
    ours = {a["local"] for link in listed for a in link.get("addr_info", ()) if a.get("label") == LABEL}
    routes = json.loads(run("ip", "-4", "-json", "route", "show", "table", "all") or "[]")
    destinations = [word for route in routes for word in (route["dst"], route.get("gateway")) if word]
    return [*local, *(d for d in destinations if d not in ours), *nameservers(Path("/etc/resolv.conf"))]


def nameservers(resolver_file: Path) -> Sequence[str]:
    """The IPv4 name servers of a resolv.conf."""
    try:
        lines = resolver_file.read_text().splitlines()
    except FileNotFoundError:
        return []
    words = [line.split() for line in lines if line.startswith("nameserver")]
    return [parts[1] for parts in words if len(parts) > 1 and ":" not in parts[1]]


def resolver_file() -> Path:
    """The resolv.conf whose servers pods can reach: systemd-resolved's own, not its loopback stub."""
    behind_stub = Path("/run/systemd/resolve/resolv.conf")
    return behind_stub if behind_stub.exists() else Path("/etc/resolv.conf")


def smallest_mtu() -> int:
    """The MTU of the default route's device in bytes, 1500 without one: larger packets of pods would be lost."""
    routes = json.loads(run("ip", "-4", "-json", "route", "show", "default") or "[]")
    files = (Path("/sys/class/net") / route["dev"] / "mtu" for route in routes if "dev" in route)
    return min((int(file.read_text()) for file in files), default=1500)


def raised_sysctls(current: Mapping[str, int]) -> Mapping[str, int]:
    """The settings that must change, with their new values. Pure."""
    return {name: wanted for name, wanted in SYSCTLS.items() if name in current and current[name] < wanted}


def read_sysctls() -> Mapping[str, int]:
    """The present values of the settings above that this kernel has."""
    return {name: int(_sysctl(name).read_text()) for name in SYSCTLS if _sysctl(name).exists()}


def write_sysctls(values: Mapping[str, int]) -> None:
    """Sets kernel parameters.

    Raises:
        OSError: the kernel refuses, as in an unprivileged container.
    """
    for name, value in values.items():
        _sysctl(name).write_text(f"{value}\n")


def set_up(addresses: AddressPlan) -> None:
    """Adds the node's address and lets pods through the firewall; safe to repeat."""
    remove()
    run("ip", "address", "add", f"{addresses.node}/32", "dev", "lo", "label", LABEL)
    for table, parent, chain in CHAINS:
        _iptables(table, "-N", chain)
        # First: where Docker runs, the policy of FORWARD is DROP.
        _iptables(table, "-I", parent, "1", "-j", chain)
    pods, block = str(addresses.pods), str(addresses.block)
    _iptables("nat", "-A", MASQUERADE, "-s", pods, "!", "-d", block, "-j", "MASQUERADE")
    _iptables("filter", "-A", FORWARD, "-s", pods, "-j", "ACCEPT")
    _iptables("filter", "-A", FORWARD, "-d", pods, "-j", "ACCEPT")


def remove() -> None:
    """Undoes `set_up` of this or of an earlier run; nothing to undo is fine."""
    for table, parent, chain in (*CHAINS, *KUBELET_CHAINS):
        unlink = [("-D", parent, "-j", chain)] if parent else []
        for step in (*unlink, ("-F", chain), ("-X", chain)):
            run("iptables", "-w", "-t", table, *step, check=False)
    for address in _labelled_addresses():
        run("ip", "address", "del", f"{address}/32", "dev", "lo", check=False)


def _labelled_addresses() -> Iterable[str]:
    listed = json.loads(run("ip", "-4", "-json", "address", "show", "dev", "lo") or "[]")
    return [a["local"] for link in listed for a in link.get("addr_info", ()) if a.get("label") == LABEL]


def _iptables(table: str, *arguments: str) -> None:
    run("iptables", "-w", "-t", table, *arguments)


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")
