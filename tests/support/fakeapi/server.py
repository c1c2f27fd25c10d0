"""HTTP in front of `Cluster` and `Watches`."""

from __future__ import annotations

import itertools
import ssl
import time
from collections.abc import Iterable
from typing import Any, Self, TypeAlias

import orjson
from aiohttp import web
from tests.support.fakeapi import answers, discovery
from tests.support.fakeapi.answers import Refusal
from tests.support.fakeapi.cluster import Cluster, Target
from tests.support.fakeapi.control import add_control_routes
from tests.support.fakeapi.faults import Asked, Cut, Faults
from tests.support.fakeapi.forms import Form, form_of, whole
from tests.support.fakeapi.kinds import Kind
from tests.support.fakeapi.selectors import Matches, label_selector
from tests.support.fakeapi.storage import Stored
from tests.support.fakeapi.watching import Stream, Watches

from plimsoll.kube.resources import Key

Json: TypeAlias = dict[str, Any]

APPLY = "application/apply-patch+yaml"
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PATH_PARTS_OF_CORE = 2
_PATH_PARTS_OF_GROUP = 3


class FakeApi:
    """A fake API server; use as an async context manager, or `start` and `stop` it. Objects outlive a stop.

    Attributes:
        cluster: The objects; tests change them directly as somebody else would.
        faults: What goes wrong next.
        watches: Open watch streams and how they behave.
    tls: Serve HTTPS with this context from the next start on.
    token: The only bearer token accepted, `None` for no login.
    """

    def __init__(self, kinds: Iterable[Kind] = (), *, port: int = 0, max_history: int = 50_000) -> None:
        self.cluster = Cluster(kinds, max_history=max_history)
        self.counters = self.cluster.counters
        self.faults = Faults()
        self.watches = Watches(self.cluster.storage)
        self.tls: ssl.SSLContext | None = None
        self.token: str | None = None
        self._port = port
        self._runner: web.AppRunner | None = None
        self._snapshots: dict[str, list[tuple[Key, Stored]]] = {}
        self._tokens = itertools.count(1)

    @property
    def url(self) -> str:
        """Where it listens; the port stays the same over a stop."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Begins to listen."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        add_control_routes(app, self)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True, ssl_context=self.tls)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuses connections from now on and breaks those that are open."""
        self.watches.cut()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def compact(self) -> None:
        """Forgets all history and every continue token."""
        self.cluster.storage.compact()
        self._snapshots.clear()

    # ---- one request ----
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            self._check_login(request)
            found = discovery.answer(request.path, self.cluster.kinds.values())
            if found is not None:
                return _json(200, found)
            target = self._target(request)
            return await self._meet(request, target)
        except Refusal as refusal:
            headers = {"Retry-After": f"{refusal.retry_after:g}"} if refusal.retry_after is not None else {}
            return _json(refusal.code, refusal.status, headers)
        except ConnectionResetError:
            return web.Response(status=500)  # the client has gone: nobody reads this
        except Cut:
            if request.transport:
                request.transport.abort()
            return web.Response(status=500)

    def _check_login(self, request: web.Request) -> None:
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(401, "Unauthorized", "Unauthorized")

    async def _meet(self, request: web.Request, target: Target) -> web.StreamResponse:
        verb = _verb_of(request, target)
        asked = Asked(verb, target.resource.kind, target.namespace, target.name, target.subresource, target.manager)
        what = f"{verb} {asked.kind}" + (f"/{asked.subresource}" if asked.subresource else "")
        self.counters.requests[what] += 1
        try:
            rule = await self.faults.before(asked)
            if verb == "watch":
                return await self._watch(request, target)
            body = orjson.loads(await request.read() or b"{}") if request.can_read_body else {}
            response = self._list(request, target) if verb == "list" else self._act(request, verb, target, body)
        except Refusal as refusal:
            self.counters.failures[f"{refusal.code} {what}"] += 1
            raise
        if rule:
            raise Cut
        return response

    def _act(self, request: web.Request, verb: str, target: Target, body: Any) -> web.Response:
        match verb:
            case "get":
                return _json(200, orjson.loads(form_of(request)(orjson.dumps(self.cluster.get(target)))))
            case "create":
                return _json(201, self.cluster.create(target, body))
            case "update":
                return _json(200, self.cluster.update(target, body))
            case "apply":
                if "fieldManager" not in request.query:
                    raise answers.bad_request("fieldManager: Required value: is required for apply patch")
                existed = self.cluster.storage.get(target.resource, target.key)
                forced = request.query.get("force") == "true"
                return _json(200 if existed else 201, self.cluster.apply(target, body, force=forced))
            case "patch":
                return _json(200, self.cluster.patch(target, request.content_type, body))
            case _:
                return _json(200, self.cluster.delete(target, body))

    def _target(self, request: web.Request) -> Target:
        parts = [part for part in request.path.split("/") if part]
        core = parts[:1] == ["api"]
        head, rest = (parts[:2], parts[2:]) if core else (parts[:3], parts[3:])
        group, version = (
            ("", head[-1]) if core else (head[1], head[2]) if len(head) == _PATH_PARTS_OF_GROUP else ("?", "")
        )
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > _PATH_PARTS_OF_CORE:
            namespace, rest = rest[1], rest[2:]
        kind = self.cluster.kinds.get((group, version, rest[0] if rest else ""))
        if kind is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        name, subresource, *_ = [*rest[1:3], "", ""]
        if (subresource == "status" and not kind.status) or (subresource == "scale" and not kind.scale):
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        query = request.query
        manager = query.get("fieldManager") or request.headers.get("User-Agent", "unknown").split("/")[0]
        return Target(kind, namespace, name, subresource, manager, dry_run=query.get("dryRun") == "All", counted=True)

    # ---- collections ----
    def _list(self, request: web.Request, target: Target) -> web.Response:
        limit = int(request.query.get("limit", 0)) or None
        token = request.query.get("continue", "")
        if token:
            if token not in self._snapshots:
                raise answers.expired("The provided continue parameter is too old")
            version, rows = int(token.split("-")[0]), self._snapshots.pop(token)
        else:
            version, rows = self.cluster.storage.version, self._select(request, target)
        page, rest = (rows[:limit], rows[limit:]) if limit else (rows, [])
        metadata: Json = {"resourceVersion": str(version)}
        if rest:
            metadata |= {"continue": f"{version}-{next(self._tokens)}", "remainingItemCount": len(rest)}
            self._snapshots[metadata["continue"]] = rest
        return _list_response(target.kind, metadata, [stored.raw for _, stored in page], form_of(request, listed=True))

    def _select(self, request: web.Request, target: Target) -> list[tuple[Key, Stored]]:
        matches = _matches(request)
        rows = self.cluster.storage.select(target.resource, target.namespace)
        name = _field_name(request)
        return [(key, row) for key, row in rows if matches(row.labels) and name in {None, key[1]}]

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        query = request.query
        given = query.get("resourceVersion", "")
        stream = Stream(
            target.resource,
            target.namespace,
            _matches(request),
            position=int(given or 0) or self.cluster.storage.version,
            bookmarks=query.get("allowWatchBookmarks") in {"true", "1"},
            ends_at=time.monotonic() + float(query.get("timeoutSeconds", 3600)),
            form=form_of(request),
        )
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if given in {"", "0"}:
            rows = self._select(request, target)
            await response.write(b"".join(b'{"type":"ADDED","object":%s}\n' % stream.form(row.raw) for _, row in rows))
        await self.watches.serve(stream, response, request)
        return response


def _verb_of(request: web.Request, target: Target) -> str:
    verb = _VERBS.get(request.method, "get")
    if verb == "get" and not target.name:
        return "watch" if request.query.get("watch") in {"1", "true"} else "list"
    return "apply" if request.content_type == APPLY else verb


def _matches(request: web.Request) -> Matches:
    try:
        return label_selector(request.query.get("labelSelector", ""))
    except ValueError as error:
        raise answers.bad_request(str(error)) from error


def _field_name(request: web.Request) -> str | None:
    selector = request.query.get("fieldSelector", "")
    if selector and not selector.startswith("metadata.name="):
        raise answers.bad_request(f"field label not supported: {selector}")
    return selector.removeprefix("metadata.name=") or None


def _list_response(kind: Kind, metadata: Json, raws: list[bytes], form: Form) -> web.Response:
    head: Json = {"kind": f"{kind.resource.kind}List", "apiVersion": kind.resource.api_version, "metadata": metadata}
    if form is not whole:
        raws = [form(raw) for raw in raws]
    elif "." not in kind.resource.group or kind.resource.group.endswith(".k8s.io"):
        # Items of built-in kinds come without apiVersion and kind, items of custom resources with them.
        identity = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
        skip = len(orjson.dumps(identity)) - 1
        raws = [b"{" + raw[skip + 1 :] for raw in raws]
    body = orjson.dumps(head)[:-1] + b',"items":[' + b",".join(raws) + b"]}"
    return web.Response(body=body, content_type="application/json")


def _json(status: int, obj: Json, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(obj), content_type="application/json", headers=headers)
