"""When evidence is unavailable, and what is said then."""

import pytest

from plimsoll.core.records.availability import EvidenceUnavailable, Hearing, unavailable

HEARD = Hearing(0.4)
REFUSED = Hearing(31.0, "the connection was refused")


@pytest.mark.parametrize(
    ("gateways", "wanted"),
    [
        pytest.param([], None, id="no gateway is no failure to hear one"),
        pytest.param([HEARD, HEARD], None, id="all are heard"),
        pytest.param([Hearing(30.0, "it stalled")], None, id="not for long enough"),
        pytest.param([HEARD, REFUSED], EvidenceUnavailable(1, 2, "the connection was refused"), id="one is not"),
        pytest.param([Hearing(99.0)], EvidenceUnavailable(1, 1, "no line comes"), id="nobody knows why"),
    ],
)
def test_unavailable(gateways: list[Hearing], wanted: EvidenceUnavailable | None) -> None:
    assert unavailable(gateways, 30.0) == wanted


def test_the_message_does_not_change_while_the_silence_lasts() -> None:
    first, later = (unavailable([HEARD, Hearing(s, REFUSED.why)], 30.0) for s in (31.0, 500.0))
    assert first
    assert later
    assert first.message == later.message
    assert first.message.startswith("1 of 2 gateways of this namespace are not heard by the controller (the connection")
