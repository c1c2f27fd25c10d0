"""The kinds the fake serves, and what the real API server does to each on the way in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.support.fakeapi import schema
from tests.support.fakeapi.defaults import (
    default_deployment,
    default_job,
    default_network_policy,
    default_service,
)
from tests.support.fakeapi.schema import Node

from plimsoll.api.crd import structural_schema
from plimsoll.api.v1alpha1 import ModelDeployment
from plimsoll.kube import resources as known
from plimsoll.kube.resources import Resource

Json: TypeAlias = dict[str, Any]

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)


@dataclass(frozen=True, slots=True)
class Kind:
    """One served kind.

    Attributes:
        resource: Where it is served.
        node: How it merges.
        status: Whether it has a status subresource, so that status is ignored elsewhere.
        scale: Whether it has a scale subresource.
        generation: Whether `metadata.generation` counts changes outside metadata and status.
        unconditional: Whether a PUT may leave `metadata.resourceVersion` out.
        default: Fills in what the server fills in, in place.
        immutable: Paths that no update may change.
    """

    resource: Resource
    node: Node = schema.PLAIN
    status: bool = False
    scale: bool = False
    generation: bool = False
    unconditional: bool = True
    default: Callable[[Json], None] = lambda _: None
    immutable: tuple[tuple[str, ...], ...] = ()


def custom_kind(resource: Resource, openapi: Mapping[str, Any]) -> Kind:
    """A custom resource with status and scale, merged and defaulted as its schema says."""
    return Kind(
        resource,
        node=schema.custom_resource(openapi),
        status=True,
        scale=True,
        generation=True,
        unconditional=False,
        default=lambda obj: fill_defaults(obj, openapi),
    )


def fill_defaults(value: Any, openapi: Mapping[str, Any]) -> None:
    """Defaults of a structural schema, in place, as the API server applies them."""
    match value:
        case dict():
            for name, child in (openapi.get("properties") or {}).items():
                if name not in value and "default" in child:
                    value[name] = child["default"]
                if name in value:
                    fill_defaults(value[name], child)
            extra = openapi.get("additionalProperties")
            if isinstance(extra, dict):
                for child in value.values():
                    fill_defaults(child, extra)
        case list():
            for item in value:
                fill_defaults(item, openapi.get("items") or {})
        case _:
            pass


BUILT_IN = (
    Kind(known.SERVICES, node=schema.SERVICE, status=True, default=default_service),
    Kind(
        known.DEPLOYMENTS,
        node=schema.WORKLOAD,
        status=True,
        scale=True,
        generation=True,
        default=default_deployment,
        immutable=(("spec", "selector"),),
    ),
    Kind(known.CONTROLLERREVISIONS, immutable=(("data",),)),
    Kind(known.PODS, node=schema.POD, status=True),
    Kind(known.CONFIGMAPS),
    Kind(known.SECRETS),
    Kind(
        known.JOBS,
        node=schema.WORKLOAD,
        status=True,
        generation=True,
        default=default_job,
        immutable=(("spec", "template"), ("spec", "podFailurePolicy"), ("spec", "completions")),
    ),
    Kind(known.SERVICEACCOUNTS),
    Kind(known.ROLEBINDINGS, immutable=(("roleRef",),)),
    Kind(known.PODDISRUPTIONBUDGETS, status=True, generation=True),
    Kind(known.NETWORKPOLICIES, generation=True, default=default_network_policy),
    Kind(known.EVENTS),
    Kind(known.ENDPOINTSLICES, generation=True, immutable=(("addressType",),)),
    Kind(known.LEASES, unconditional=False),
    Kind(known.CUSTOMRESOURCEDEFINITIONS, status=True, generation=True),
    Kind(NAMESPACES, status=True),
)


@functools.cache
def model_deployments() -> Kind:
    """Our own kind, merged and defaulted as the CRD we ship says."""
    return custom_kind(known.MODELDEPLOYMENTS, structural_schema(ModelDeployment))
