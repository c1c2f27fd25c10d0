"""What a gateway keeps of the objects it watches: little, comparable, and without what it does not use."""

from __future__ import annotations

from typing import Final, TypeVar

from pydantic import ValidationError

from plimsoll.api.base import ApiModel
from plimsoll.api.cache import Cache
from plimsoll.api.degradation import Fallback, KillSwitch
from plimsoll.api.preflight import Objective
from plimsoll.api.preflight_status import Interface, PreflightStatus
from plimsoll.api.requests import Overload, Requests
from plimsoll.api.routing import Routing, Traffic
from plimsoll.core.cache.policy import CachePolicy, policy_of
from plimsoll.core.confidence.policy import confidence_policy_of
from plimsoll.core.kill_switch.policy import kill_policy_of
from plimsoll.core.names import RESET_KILL_SWITCH_ANNOTATION
from plimsoll.core.routing.build import Declared, problem_of
from plimsoll.core.routing.endpoints import Slice, is_ready
from plimsoll.core.routing.ladder import ladder_of
from plimsoll.core.routing.limits import limits_of
from plimsoll.core.routing.table import Endpoint
from plimsoll.core.validation.rules import rules_of
from plimsoll.kube.resources import JsonObject

Part = TypeVar("Part", bound=ApiModel)

SERVICE_LABEL: Final = "kubernetes.io/service-name"
"""On an EndpointSlice: whose it is. The headless Service of a revision has the revision's name."""


def project_model(obj: JsonObject) -> Declared:
    """Keeps of a ModelDeployment what routes are made of. What cannot be read is left out, with the reason."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    traffic = _traffic(spec.get("traffic"))
    problems = [] if traffic else [f"This gateway does not know spec.traffic {spec['traffic']}."]
    routing: Routing | None = None
    try:
        routing = Routing.model_validate(status["routing"]) if status.get("routing") is not None else None
        problem = problem_of(routing) if routing else ""
    except ValidationError as error:
        problem = _told("status.routing", error)
    if problem:
        routing = None
        problems.append(problem)
    requests = _part(Requests, spec, "requests", problems)
    overload = _part(Overload, spec, "overload", problems)
    limits = limits_of(requests, overload, _part(Objective, spec, "objective", problems))
    ladder = ladder_of(
        _whole(Fallback, spec, "fallback", problems),
        overload,
        kill_policy_of(_part(KillSwitch, spec, "killSwitch", problems)),
        (obj["metadata"].get("annotations") or {}).get(RESET_KILL_SWITCH_ANNOTATION, ""),
    )
    cache = _cache(spec.get("cache"), problems)
    rules = rules_of(requests, _found(PreflightStatus, status, "preflight", problems))
    stable_rules = rules_of(requests, _found(Interface, status, "stableInterface", problems))
    confidence = confidence_policy_of(requests.confidence if requests else None)
    uid, told = obj["metadata"]["uid"], " ".join(problems)
    return Declared(
        *(uid, traffic, routing, told, limits, cache, requests),
        rules=rules,
        ladder=ladder,
        confidence=confidence,
        stable_rules=stable_rules,
    )


def _told(path: str, error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, (path, *e['loc'])))}: {e['msg']}" for e in error.errors()) + "."


def _cache(value: object, problems: list[str]) -> CachePolicy | None:
    try:
        return policy_of(None if value is None else Cache.model_validate(value))
    except ValueError:
        problems.append("This gateway cannot read spec.cache, so it keeps no answers.")
        return None


def _found(kind: type[Part], status: JsonObject, name: str, problems: list[str]) -> Part | None:
    """Reads what a preflight found, all of it or nothing."""
    value = status.get(name)
    try:
        return None if value is None else kind.model_validate(value)
    except ValidationError:
        problems.append(f"This gateway cannot read status.{name}, so it checks no values of the revision in it.")
        return None


def _whole(kind: type[Part], spec: JsonObject, name: str, problems: list[str]) -> Part | None:
    """Reads one field of spec that means nothing without any of its own."""
    given = spec.get(name)
    try:
        return None if given is None else kind.model_validate(given)
    except ValidationError as error:
        problems.append(_told(f"spec.{name}", error))
        return None


def _part(kind: type[Part], spec: JsonObject, name: str, problems: list[str]) -> Part | None:
    """Reads one field of spec; of what cannot be read the defaults stand, and the rest of it holds."""
    given = spec.get(name)
    if given is None:
        return None
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        problems.append(_told(f"spec.{name}", error))
        wrong = {e["loc"][0] for e in error.errors() if e["loc"]}
    readable = {key: value for key, value in given.items() if key not in wrong} if isinstance(given, dict) else {}
    return kind.model_validate(readable)


def _traffic(value: object) -> Traffic | None:
    """None stands for a value of a newer version of the API."""
    if value is None:
        return Traffic.NORMAL
    return Traffic(value) if value in {known.value for known in Traffic} else None


def project_slice(obj: JsonObject) -> Slice:
    """Keeps the pods of an EndpointSlice: those that take requests with their addresses, those that end by name.

    An endpoint that is no pod has no name to drain it by, and an address that is a host name is none of a pod.
    """
    family = obj.get("addressType")
    if family not in {"IPv4", "IPv6"}:
        return Slice()
    usable: list[Endpoint] = []
    ending: list[str] = []
    for endpoint in obj.get("endpoints") or ():
        target = endpoint.get("targetRef") or {}
        addresses = endpoint.get("addresses")
        if target.get("kind") != "Pod" or not target.get("name") or not addresses:
            continue
        conditions = endpoint.get("conditions") or {}
        if conditions.get("terminating"):
            ending.append(target["name"])
        elif is_ready(ready=conditions.get("ready"), serving=conditions.get("serving")):
            usable.append(Endpoint(target["name"], addresses[0]))
    return Slice(family == "IPv6", tuple(usable), tuple(ending))
