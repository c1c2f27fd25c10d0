"""The lines of the simulated gateways that `make bench-collect` listens to are lines as gateways write them."""

import pytest
from tests.scale.simulated_gateways import Load, Template, host_of
from tests.support.records import NOW

from plimsoll.core.records.record import CELLS_PER_S, Cut
from plimsoll.core.records.wire import decode


@pytest.mark.parametrize("cut_s", [0.25, 1.0])
def test_a_line(cut_s: float) -> None:
    cut = decode(Template.of(7, Load(3, cut_s)).filled(42, NOW))
    assert isinstance(cut, Cut)
    assert (cut.seq, cut.at, len(cut.records)) == (42, NOW, 3)
    for record in cut.records:
        assert (record.span_s, record.in_flight_before) == (cut_s, 0)
        numbers = [cell.number for cells in record.cells.values() for cell in cells]
        assert len(numbers) == 2 * int(cut_s * CELLS_PER_S)
        assert max(numbers) == int(NOW * CELLS_PER_S) - 1


def test_every_gateway_has_an_address_of_its_own() -> None:
    assert len({host_of(gateway) for gateway in range(1000)}) == 1000
