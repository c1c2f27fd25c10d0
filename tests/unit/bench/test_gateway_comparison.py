"""How the arms of `make bench-gateway` take turns, and what is made of their figures."""

from __future__ import annotations

import os

import pytest
from tests.scale.bench_gateway.arms import Arm
from tests.scale.bench_gateway.comparison import Sample, in_turns, medians, ratios
from tests.scale.bench_gateway.messages import ANSWER, request

ARMS = {name: Arm(name, os.getpid(), "127.0.0.1", 0, 0) for name in ("direct", "gateway", "haproxy", "nginx")}


def test_arms_take_turns_forth_and_back_and_another_one_begins_each_round() -> None:
    order: list[str] = []
    in_turns(ARMS, 3, lambda arm: order.append(arm.name))
    rounds = [order[start : start + 8] for start in (0, 8, 16)]
    assert all(each == each[::-1] for each in rounds)
    assert [each[0] for each in rounds] == ["direct", "gateway", "haproxy"]


def test_a_machine_that_slows_down_within_a_round_favours_nobody() -> None:
    speed = 1000.0

    def turn(arm: Arm) -> Sample:
        nonlocal speed
        speed *= 0.9
        return Sample(speed * (2 if arm.name == "gateway" else 1), 50.0 if arm.name == "gateway" else 40.0)

    figures = ratios("http", in_turns(ARMS, 3, turn))
    assert figures["http_rps_ratio_nginx"] == figures["http_rps_ratio_haproxy"] == 2.0
    assert figures["http_rps_ratio_nginx_interval"] == [2.0, 2.0]
    assert figures["http_cpu_ratio_nginx"] == 1.25


def test_medians_are_of_each_arm() -> None:
    samples = {"nginx": [Sample(1.0, 30.04), Sample(3.0, 10.0), Sample(2.0, 40.0)]}
    assert medians("grpc", samples) == {"grpc_rps_nginx": 2, "grpc_cpu_us_nginx": 30.0}


def test_what_an_arm_uses_is_read_of_its_process() -> None:
    arm = ARMS["gateway"]
    assert arm.cpu_s() > 0
    assert arm.resident_bytes() > 1 << 20
    before = arm.descriptors()
    with open(os.devnull, encoding="ascii"):  # noqa: PTH123 - the descriptor is what matters
        assert arm.descriptors() == before + 1


@pytest.mark.parametrize("message", [ANSWER, request(64), request(65536)])
def test_messages_are_framed(message: bytes) -> None:
    assert (message[0], int.from_bytes(message[1:5], "big")) == (0, len(message) - 5)
