"""Which requests go to the candidate: stratified random.

In each block of 1,000 requests the candidate's slots are a keyed random permutation, so its share is exact within one
per block, and no client with a period of its own meets always the same side.
"""

from __future__ import annotations

import hashlib
from array import array
from typing import Final

from plimsoll.api.routing import WHOLE

_RANK_BYTES: Final = 4
_WHOLE: Final = WHOLE


class Split:
    """One gateway's sequence of tosses for one model.

    Args:
        key: Random, and another one in every gateway and for every model: equal keys toss equally.
    """

    __slots__ = ("_block", "_key", "_position", "_ranks")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._block = 0
        self._position = WHOLE
        self._ranks: list[int] = []

    def toss(self, weight_permille: int) -> bool:
        """Takes the next slot and returns whether it is the candidate's, whose weight may change at any time."""
        position = self._position
        if position == _WHOLE:
            self._ranks = permutation(self._key, self._block)
            self._block += 1
            position = 0
        self._position = position + 1
        return self._ranks[position] < weight_permille


def permutation(key: bytes, block: int) -> list[int]:
    """Returns the numbers below 1,000 in an order that `key` and `block` alone decide.

    They are ranked by as many numbers of 32 bits from SHAKE-128 (FIPS 202). Two equal ones, of which there is one pair
    in 8,600 blocks, stand in ascending order: far too seldom to be seen in a share.
    """
    random = array("I")
    random.frombytes(hashlib.shake_128(key + block.to_bytes(8, "big")).digest(WHOLE * _RANK_BYTES))
    ranks = [0] * WHOLE
    for rank, slot in enumerate(sorted(range(WHOLE), key=random.__getitem__)):
        ranks[slot] = rank
    return ranks
