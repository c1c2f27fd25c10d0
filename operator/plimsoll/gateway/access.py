"""The keys that a gateway takes now, and who was refused.

A refusal is counted here and nowhere else: it is no request that a revision was given, so it says nothing about one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from plimsoll.core.access.admission import Denial, denial_of
from plimsoll.core.access.credential import Credential
from plimsoll.core.access.keyring import KeyRing


class Access:
    """Lets requests in by their keys; without keys nobody.

    Attributes:
        denials: Requests that were refused, by protocol and reason.
    """

    __slots__ = ("_ring", "denials")

    def __init__(self) -> None:
        self._ring = KeyRing()
        self.denials: Counter[tuple[str, Denial]] = Counter()

    def replace(self, ring: KeyRing) -> None:
        """Takes these keys from now on; requests of open connections too are judged by them."""
        for key in ring.keys:
            known = self._ring.find(key.digest)
            if known is not None:
                key.used = known.used
        self._ring = ring

    def judge(self, credential: Credential, protocol: str) -> Denial | None:
        """Returns why a request is refused, None where it is let in; counts either."""
        denial = denial_of(credential, self._ring)
        if denial is not None:
            self.denials[protocol, denial] += 1
        return denial

    def uses(self) -> Mapping[str, int]:
        """Returns how many requests showed the keys of each name."""
        uses: Counter[str] = Counter()
        for key in self._ring.keys:
            uses[key.name] += key.used
        return uses
