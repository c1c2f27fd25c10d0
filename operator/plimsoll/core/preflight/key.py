"""The verdict key: a digest of the question that a preflight answers. Another question is asked again."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.api.base import to_wire
from plimsoll.api.v1alpha1 import ModelDeploymentSpec
from plimsoll.core.hashing import digest_of
from plimsoll.core.world import Revision


def verdict_key(spec: ModelDeploymentSpec, revision: Revision, stable: str | None, data: Mapping[str, str]) -> str:
    """Returns the key of the question whether `revision` may serve.

    Args:
        spec: Says what is asked of it.
        revision: Who is asked.
        stable: Revision that serves meanwhile, which it is compared with.
        data: Versions of the ConfigMaps that the spec names, by name.
    """
    return digest_of(
        {
            "revision": revision.name,
            "preflight": to_wire(spec.preflight) if spec.preflight else {},
            "objective": to_wire(spec.objective) if spec.objective else {},
            "data": dict(data),
            "reference": stable or "",
            "accelerator": revision.snapshot.accelerator.value,
        }
    )


def data_names(spec: ModelDeploymentSpec) -> frozenset[str]:
    """Returns the names of the ConfigMaps with golden inputs and labelled rows."""
    preflight = spec.preflight
    dataset = preflight.accuracy.dataset if preflight and preflight.accuracy else None
    return frozenset(given.name for given in (preflight and preflight.golden, dataset) if given)
