"""Which pods go first: as the ReplicaSet controller chooses, so that it takes the ones that were drained.

Its order (`ActivePodsWithRanks` in the source of Kubernetes): pods without a node, pods that never ran, pods that are
not ready, then the lowest `pod-deletion-cost`. What it looks at after that is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from itertools import takewhile
from typing import TypeAlias

from plimsoll.core.world import Pod

_Health: TypeAlias = tuple[bool, bool, bool]
CHEAPEST = -(2**31)
"""Deletion cost of a pod that has drained: nobody can write a lower one."""


def active(pods: Iterable[Pod], revision: str) -> list[Pod]:
    """Returns the pods of a revision that a ReplicaSet counts: those that have not failed and do not end."""
    return [pod for pod in pods if pod.revision == revision and not pod.deleting and not pod.failure]


def chosen(pods: Iterable[Pod], count: int, draining: AbstractSet[str]) -> list[Pod]:
    """Returns the pods that are to go: those that do not serve first, then those that drain already, then the youngest.

    Equal input gives an equal choice, and so does the choice itself put into `draining`, until a pod's health changes.
    A pod that is not ready comes before one that drains, because Kubernetes would take it first.

    Args:
        pods: The active ones.
        count: How many are too many.
        draining: Names of those that were chosen before.
    """

    def rank(pod: Pod) -> tuple[_Health, bool, int, float, str]:
        return (_health(pod), pod.name not in draining, pod.deletion_cost, -pod.created_at.timestamp(), pod.name)

    return sorted(pods, key=rank)[:count] if count > 0 else []


def sure_to_go(pods: Iterable[Pod], released: Callable[[Pod], bool]) -> int:
    """Returns by how many the replicas may be lowered: Kubernetes takes that many pods, all of them released.

    Args:
        pods: The active ones.
        released: Whether a pod may go. Of pods that are equal to Kubernetes those that may not count as taken first.
    """
    order = sorted(pods, key=lambda pod: (_health(pod), pod.deletion_cost, released(pod)))
    return sum(1 for _ in takewhile(released, order))


def _health(pod: Pod) -> _Health:
    return pod.scheduled_at is not None, pod.running, pod.ready
