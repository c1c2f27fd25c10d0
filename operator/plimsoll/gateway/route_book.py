"""The routes that a gateway follows: what it holds of every model, brought up to date from the stores on demand.

No I/O and no time. `routes.Routes` fills the stores and says when.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from plimsoll.core.routing.build import Held, follow, route, why_ignored
from plimsoll.core.routing.endpoints import Slice, merge
from plimsoll.core.routing.table import Endpoint
from plimsoll.gateway.projection import SERVICE_LABEL, project_model, project_slice
from plimsoll.gateway.targets import Targets
from plimsoll.kube.store import Change, Store, itself, owner_by_label

_log = logging.getLogger(__name__)


class RouteBook:
    """Routes of one namespace.

    Attributes:
        targets: What is made to follow.
        models: What the API server says about ModelDeployments.
        slices: What it says about the EndpointSlices of revisions, owned by the revision's Service.
        held: What is followed, by model.
        ignored: Why what the API server says about a model is not followed; only models of which that is so.
        acknowledged: Epoch that is followed, by uid of the ModelDeployment. It is entered after the targets follow, and
            not before a slice of each of its revisions was seen: who hears that all gateways follow leads users here.
        trusted: A live controller has shaken hands with this process.
    """

    def __init__(self, namespace: str, targets: Targets, wake: Callable[[], None]) -> None:
        """Makes an empty one.

        Args:
            namespace: Where all objects are.
            targets: They are made to follow.
            wake: Called when there is something to update; often, so it must be cheap.
        """
        self.models = Store(project_model, itself)
        self.slices: Store[Slice] = Store(project_slice, owner_by_label(SERVICE_LABEL))
        self.held: dict[str, Held] = {}
        self.ignored: dict[str, str] = {}
        self.acknowledged: dict[str, int] = {}
        self.trusted = False
        self._namespace = namespace
        self.targets = targets
        self._wake = wake
        self._users: dict[str, set[str]] = {}
        self._merged: dict[str, tuple[Endpoint, ...]] = {}
        self._stale_models: set[str] = set()
        self._stale_revisions: set[str] = set()
        self.models.subscribe(self._model_changed)
        self.slices.subscribe(self._slice_changed)

    def trust(self) -> None:
        """Gives candidates their weights: a live controller watches over them. Never taken back in this process."""
        if not self.trusted:
            self.trusted = True
            self._stale_models.update(self.held)
            self._wake()

    def update(self) -> None:
        """Follows everything that changed since the last time, in one step that costs as much as what changed."""
        revisions, self._stale_revisions = self._stale_revisions, set()
        models, self._stale_models = self._stale_models, set()
        for revision in revisions:
            self._merged.pop(revision, None)
            models |= self._users.get(revision, set())
        for model in models:
            self._update(model)

    def _update(self, model: str) -> None:
        declared = self.models.get((self._namespace, model))
        before = self.held.get(model)
        if declared is None:
            if before:
                self._forget(model, before)
            return
        held = self.held[model] = follow(before, declared)
        self._used_by(model, before.revisions if before else (), held.revisions)
        new = route(model, held, self._endpoints, trusted=self.trusted)
        followed = self.targets.models.get(model)
        if followed is None or followed.route != new:
            self.targets.follow(new)
        if before and before.uid != held.uid:
            self.acknowledged.pop(before.uid, None)
        if held.epoch and self._knows_pods(held):
            self.acknowledged[held.uid] = held.epoch
        self._note(model, why_ignored(held, declared))

    def _knows_pods(self, held: Held) -> bool:
        """Tells whether what is known of the pods may be true: Kubernetes makes an empty slice where there are none."""
        seen = self.slices.owners()
        return all((self._namespace, revision) in seen for revision in held.revisions)

    def _forget(self, model: str, held: Held) -> None:
        del self.held[model]
        self._used_by(model, held.revisions, ())
        self.targets.forget(model)
        self.acknowledged.pop(held.uid, None)
        self.ignored.pop(model, None)

    def _used_by(self, model: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        for revision in after:
            self._users.setdefault(revision, set()).add(model)
        for revision in before:
            if revision not in after:
                self._users[revision].discard(model)
                if not self._users[revision]:
                    del self._users[revision]
                    self._merged.pop(revision, None)

    def _note(self, model: str, why: str) -> None:
        if not why:
            self.ignored.pop(model, None)
        elif self.ignored.get(model) != why:
            self.ignored[model] = why
            _log.warning("routes.ignored", extra={"model": model, "why": why})

    def _endpoints(self, revision: str) -> tuple[Endpoint, ...]:
        found = self._merged.get(revision)
        if found is None:
            found = self._merged[revision] = merge(self.slices.owned_by((self._namespace, revision)))
        return found

    def _model_changed(self, change: Change) -> None:
        self._stale_models.add(change.name)
        self._wake()

    def _slice_changed(self, change: Change) -> None:
        if change.owner:
            self._stale_revisions.add(change.owner[1])
            self._wake()
