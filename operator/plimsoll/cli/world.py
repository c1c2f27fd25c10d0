"""From files to what the controller would observe: the same projection as in the cluster, over the same caches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from plimsoll.api.base import KIND
from plimsoll.cli.manifests import Manifest
from plimsoll.controller.observe import Stores, observe
from plimsoll.controller.preflight_projection import content_digest
from plimsoll.core.conditions import rfc3339
from plimsoll.core.gate import config_maps_needed
from plimsoll.core.names import MANAGED_BY, MANAGED_BY_LABEL, MODEL_LABEL
from plimsoll.core.snapshot import Defaults
from plimsoll.core.world import Observed
from plimsoll.errors import Invalid
from plimsoll.kube.resources import CONFIGMAPS, Key, key_of

_NAMESPACE = "default"


def worlds(
    wanted: Iterable[Manifest], cluster: Iterable[Manifest], defaults: Defaults, now: datetime
) -> Iterator[Observed]:
    """Yields what would be observed of each ModelDeployment in `wanted` once it has been applied to `cluster`.

    Args:
        wanted: Manifests as a person writes them; objects of other kinds count as being in the cluster.
        cluster: Objects as the API server returns them.
        defaults: The chart's defaults.
        now: Creation time of objects that have none.

    Raises:
        Invalid: an object of the cluster cannot be read.
    """
    written = list(wanted)
    others = [*cluster, *(manifest for manifest in written if manifest.kind != KIND)]
    stores, data = _filled(others, now), _config_maps(others)
    for manifest in written:
        if manifest.kind == KIND:
            yield _with_data(_applied(manifest.data, stores, defaults), data)


def _filled(manifests: Iterable[Manifest], now: datetime) -> Stores:
    stores = Stores()
    by_kind = {resource.kind: store for resource, store in stores.by_resource().items()}
    for manifest in manifests:
        store = by_kind.get(manifest.kind)
        if store is None or not _watched(manifest.data):
            continue
        try:
            store.put_if_newer(_completed(manifest.data, now))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            name = manifest.data.get("metadata", {}).get("name", "without a name")
            raise Invalid("Unreadable", f"{manifest.kind} {name} cannot be read: {error!r}") from error
    return stores


def _config_maps(manifests: Iterable[Manifest]) -> Mapping[Key, str]:
    """Returns the versions of all ConfigMaps: a preflight may depend on some that are not ours."""
    found = [manifest.data for manifest in manifests if manifest.kind == CONFIGMAPS.kind]
    return {
        (obj["metadata"].get("namespace", _NAMESPACE), obj["metadata"].get("name", "")): content_digest(obj)
        for obj in found
    }


def _with_data(observed: Observed, data: Mapping[Key, str]) -> Observed:
    namespace = observed.object.metadata.namespace
    versions = {name: data.get((namespace, name), "") for name in config_maps_needed(observed)}
    return dataclasses.replace(observed, config_map_versions=versions)


def _watched(obj: dict[str, Any]) -> bool:
    """The controller sees ModelDeployments, and of other kinds what carries its labels."""
    labels = obj.get("metadata", {}).get("labels") or {}
    return obj["kind"] == KIND or (labels.get(MANAGED_BY_LABEL) == MANAGED_BY and MODEL_LABEL in labels)


def _completed(obj: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Adds what the API server would have added to an object written by hand."""
    server = {"namespace": _NAMESPACE, "uid": "", "creationTimestamp": rfc3339(now)}
    return {**obj, "metadata": {**server, **obj["metadata"]}}


def _applied(manifest: dict[str, Any], stores: Stores, defaults: Defaults) -> Observed:
    """Returns the world after `kubectl apply` of a manifest: its spec over the identity and status that are stored."""
    metadata = {**manifest["metadata"]}
    metadata.setdefault("namespace", _namespace_of(metadata["name"], stores))
    key = key_of({"metadata": metadata})
    before = observe(stores, key, defaults, None)
    status = manifest.get("status")
    if before:
        stored = before.object.metadata
        metadata = {"uid": stored.uid, "generation": stored.generation, **metadata}
        metadata["annotations"] = {**(stored.annotations or {}), **(metadata.get("annotations") or {})}
        status = before.object.status.model_dump(mode="json", by_alias=True) if before.object.status else status
    stores.model_deployments.delete(key, "")
    stores.model_deployments.put_if_newer({**manifest, "metadata": metadata, "status": status})
    after = observe(stores, key, defaults, None)
    assert after is not None  # noqa: S101 - it was put there by the line above
    return _next_generation(before, after)


def _namespace_of(name: str, stores: Stores) -> str:
    """Returns the namespace in which the cluster has a ModelDeployment of that name, if it is only one."""
    found = [namespace for namespace, known in list(stores.model_deployments.keys()) if known == name]
    return found[0] if len(found) == 1 else _NAMESPACE


def _next_generation(before: Observed | None, after: Observed) -> Observed:
    """The API server counts a generation when spec changes."""
    if before is None or before.object.spec == after.object.spec:
        return after
    metadata = after.object.metadata.model_copy(update={"generation": before.object.metadata.generation + 1})
    changed = after.object.model_copy(update={"metadata": metadata})
    return dataclasses.replace(after, object=changed)
