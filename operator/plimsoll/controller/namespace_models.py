"""The ModelDeployments of each namespace, as far as its gateways want to know; kept up to date change by change.

Status is written often and a namespace may hold thousands, so each change costs the reading of one object, and only
what matters to a fleet has it looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from plimsoll.controller.fleet_projection import project_model_here
from plimsoll.core.fleet.observed import ModelHere
from plimsoll.kube.store import Change, Store


class NamespaceModels:
    """Follows the cache of ModelDeployments.

    Args:
        store: The cache.
        changed: Called with a namespace in which something changed that matters.
    """

    def __init__(self, store: Store[bytes], changed: Callable[[str], None]) -> None:
        self._store = store
        self._changed = changed
        self._models: dict[str, dict[str, ModelHere]] = {}
        store.subscribe(self._follow)

    def of(self, namespace: str) -> tuple[ModelHere, ...]:
        """Returns those of a namespace, by name."""
        models = self._models.get(namespace, {})
        return tuple(models[name] for name in sorted(models))

    def namespaces(self) -> Iterable[str]:
        """Returns the namespaces that have one."""
        return self._models.keys()

    def _follow(self, change: Change) -> None:
        stored = self._store.get((change.namespace, change.name))
        model = project_model_here(stored) if stored is not None else None
        models = self._models.setdefault(change.namespace, {})
        before = models.pop(change.name, None)
        if model:
            models[change.name] = model
        if not models:
            del self._models[change.namespace]
        if model != before:
            self._changed(change.namespace)
