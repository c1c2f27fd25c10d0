"""What the controller publishes is what a gateway follows: both whole, with only the API server between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.contract.controller.whole_controller import NAME, TEAM, World, world
from tests.support.fakeapi import EndpointSlices

from plimsoll.gateway.parts import Unrecorded
from plimsoll.gateway.route_book import RouteBook
from plimsoll.gateway.routes import Routes
from plimsoll.gateway.targets import Targets
from plimsoll.kube.client import Client, ClientSettings
from plimsoll.kube.connection import open_connection
from plimsoll.kube.resources import MODELDEPLOYMENTS


@pytest.fixture
async def operated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A fake cluster with a controller in it."""
    async with world(tmp_path) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
        monkeypatch.setenv("POD_NAMESPACE", "default")
        monkeypatch.delenv("CONTEXT", raising=False)
        slices = asyncio.create_task(EndpointSlices(made.api.cluster).run())
        async with made.controller(resyncPeriod="3s", gateway={"enabled": True}):
            yield made
        slices.cancel()
        await asyncio.wait([slices])


@dataclass
class Following:
    """A gateway, as far as it follows."""

    routes: Routes
    targets: Targets

    @property
    def book(self) -> RouteBook:
        return self.routes.book

    def stable(self) -> tuple[str, int]:
        """Name of the stable revision and the number of its pods."""
        model = self.targets.models.get(NAME)
        return (model.stable.route.name, len(model.stable.endpoints)) if model and model.stable else ("", 0)


@asynccontextmanager
async def a_gateway(operated: World) -> AsyncIterator[Following]:
    targets = Targets(lambda _model, _revision: Unrecorded(), lambda: b"key")
    async with Client(open_connection(operated.api.url), ClientSettings(), operated.clock()) as client:
        routes = Routes(client, TEAM, targets, operated.clock())
        task = asyncio.create_task(routes.run())
        yield Following(routes, targets)
        task.cancel()
        await asyncio.wait([task])


async def test_from_the_first_revision_to_the_next_and_to_the_end(operated: World) -> None:
    async with a_gateway(operated) as gateway:
        operated.apply()
        await operated.becomes_ready()
        first = operated.stable()
        await operated.until(lambda: gateway.stable() == (first, 1))
        operated.apply(version=2)
        await operated.until(lambda: operated.ready() and operated.stable() != first)
        await operated.until(lambda: gateway.stable() == (operated.stable(), 1))
        assert gateway.book.ignored == {}
        operated.delete(MODELDEPLOYMENTS)
        await operated.until(lambda: gateway.book.held == {})


async def test_a_lost_status_resumes_above_what_gateways_hold(operated: World) -> None:
    async with a_gateway(operated) as gateway:
        operated.apply()
        await operated.becomes_ready()
        revision = operated.stable()
        await operated.until(lambda: gateway.stable() == (revision, 1))
        (before,) = gateway.book.acknowledged.values()
        operated.edit(lambda obj: obj.pop("status"), subresource="status")
        await operated.until(lambda: all(epoch > before for epoch in gateway.book.acknowledged.values()))
        assert gateway.stable() == (revision, 1)
