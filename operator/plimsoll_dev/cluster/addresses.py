"""Chooses addresses for pods, Services and the node that no network of this machine already uses. Pure.

One block of 65,536 addresses (10.N.0.0/16) holds everything, so that one check and one route rule cover it:
pods in the lower half, Services above, and the node's own address, which lives on the loopback device: it survives a
change of the machine's network and nobody outside the machine can reach it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_interface

from plimsoll.errors import Invalid

# 10.244 and its neighbours are what Kubernetes users expect; 10.0 to 10.200 is where offices, VPNs and clouds live.
CANDIDATES: Sequence[IPv4Network] = tuple(
    IPv4Network(f"10.{second}.0.0/16") for second in (*range(244, 256), *range(243, 200, -1))
)


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """The networks of one cluster."""

    block: IPv4Network

    @property
    def pods(self) -> IPv4Network:
        """32,768 pod addresses."""
        return next(self.block.subnets(new_prefix=17))

    @property
    def services(self) -> IPv4Network:
        """16,384 Service addresses."""
        return list(self.block.subnets(new_prefix=18))[2]

    @property
    def dns(self) -> IPv4Address:
        """The Service address of the cluster's DNS."""
        return self.services[10]

    @property
    def kubernetes_service(self) -> IPv4Address:
        """The Service address of the API server, given by Kubernetes."""
        return self.services[1]

    @property
    def node(self) -> IPv4Address:
        """The node's address: API server, kubelet and node ports listen here."""
        return self.block[-255]


def choose_addresses(used: Iterable[str]) -> AddressPlan:
    """The first candidate block that overlaps nothing in `used` (addresses, or networks with a prefix length).

    Raises:
        Invalid: every candidate is taken.
    """
    taken = [network for text in used if (network := _ipv4_network(text)) is not None]
    for block in CANDIDATES:
        if not any(block.overlaps(network) for network in taken):
            return AddressPlan(block)
    raise Invalid(
        "NoFreeAddresses",
        f"All {len(CANDIDATES)} address blocks from 10.201.0.0/16 to 10.255.0.0/16 overlap networks of this machine "
        "(ip route show table all). Remove a route, for example by leaving a VPN, and try again.",
    )


def _ipv4_network(text: str) -> IPv4Network | None:
    """The network, or None for IPv6 and for the default route, which overlaps everything and says nothing."""
    if text in {"default", "0.0.0.0/0"}:
        return None
    network = ip_interface(text).network
    return network if isinstance(network, IPv4Network) else None
