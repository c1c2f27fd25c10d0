"""Which addresses a cluster gets on which machine."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.addresses import CANDIDATES, AddressPlan, choose_addresses

LAPTOP = ["127.0.0.1/8", "192.168.1.20/24", "default", "192.168.1.1"]


@pytest.mark.parametrize(
    ("case", "used", "block"),
    [
        ("nothing in the way", LAPTOP, "10.244.0.0/16"),
        ("a machine without any network", [], "10.244.0.0/16"),
        ("another cluster's pods", [*LAPTOP, "10.244.3.0/24"], "10.245.0.0/16"),
        ("a single name server reached through the default route", [*LAPTOP, "10.244.0.53"], "10.245.0.0/16"),
        ("an address whose network is wider than its own part", ["10.245.9.9/15"], "10.246.0.0/16"),
        ("IPv6 says nothing about IPv4", ["fd00::1/64", "fe80::1"], "10.244.0.0/16"),
        ("the default route written as a network", ["0.0.0.0/0"], "10.244.0.0/16"),
        ("the last twelve blocks taken", [f"10.{n}.0.0/16" for n in range(244, 256)], "10.243.0.0/16"),
    ],
)
def test_the_first_block_that_overlaps_nothing_is_chosen(case: str, used: list[str], block: str):
    assert str(choose_addresses(used).block) == block, case


def test_a_machine_whose_networks_cover_everything_is_told_what_to_do():
    with pytest.raises(Invalid, match=r"All 55 address blocks .* Remove a route") as refused:
        choose_addresses(["10.0.0.0/8"])
    assert refused.value.reason == "NoFreeAddresses"


@pytest.mark.parametrize("block", CANDIDATES, ids=str)
def test_the_parts_of_a_block_lie_in_it_and_do_not_overlap(block: IPv4Network):
    plan = AddressPlan(block)
    assert plan.pods.subnet_of(block)
    assert plan.services.subnet_of(block)
    assert not plan.pods.overlaps(plan.services)
    assert plan.node in block
    assert plan.node not in plan.pods
    assert plan.node not in plan.services


def test_the_addresses_of_the_first_block():
    plan = AddressPlan(IPv4Network("10.244.0.0/16"))
    assert str(plan.pods) == "10.244.0.0/17"
    assert str(plan.services) == "10.244.128.0/18"
    assert str(plan.kubernetes_service) == "10.244.128.1"
    assert str(plan.dns) == "10.244.128.10"
    assert str(plan.node) == "10.244.255.1"
