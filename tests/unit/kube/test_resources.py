"""Where objects are served."""

from __future__ import annotations

import pytest

from plimsoll.kube.resources import (
    CUSTOMRESOURCEDEFINITIONS,
    DEPLOYMENTS,
    ENDPOINTSLICES,
    MODELDEPLOYMENTS,
    PODS,
    Resource,
    key_of,
    version_number,
)


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource", "path"),
    [
        (PODS, "ns", "a", None, "/api/v1/namespaces/ns/pods/a"),
        (ENDPOINTSLICES, "ns", "a", None, "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices/a"),
        (DEPLOYMENTS, "ns", "a", "scale", "/apis/apps/v1/namespaces/ns/deployments/a/scale"),
        (
            MODELDEPLOYMENTS, "ns", "a", "status",
            "/apis/plimsoll.dev/v1alpha1/namespaces/ns/modeldeployments/a/status",
        ),
        (
            CUSTOMRESOURCEDEFINITIONS, "", "x", None,
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/x",
        ),
    ],
)  # fmt: skip
def test_path_of_an_object(resource: Resource, namespace: str, name: str, subresource: str | None, path: str) -> None:
    assert resource.object_path(namespace, name, subresource) == path


@pytest.mark.parametrize(
    ("resource", "namespace", "path"),
    [
        (PODS, None, "/api/v1/pods"),
        (PODS, "", "/api/v1/pods"),
        (PODS, "ns", "/api/v1/namespaces/ns/pods"),
        (CUSTOMRESOURCEDEFINITIONS, "ns", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
    ],
)
def test_path_of_a_collection(resource: Resource, namespace: str | None, path: str) -> None:
    assert resource.collection_path(namespace) == path


@pytest.mark.parametrize(("namespace", "name"), [("", "a"), (None, "a"), ("ns", "")])
def test_half_an_address_never_becomes_a_collection(namespace: str | None, name: str) -> None:
    with pytest.raises(ValueError, match="needs a namespace and a name"):
        PODS.object_path(namespace, name)


def test_api_version() -> None:
    assert PODS.api_version == "v1"
    assert DEPLOYMENTS.api_version == "apps/v1"


def test_key_of_a_cluster_scoped_object() -> None:
    assert key_of({"metadata": {"name": "x"}}) == ("", "x")


@pytest.mark.parametrize(
    ("text", "number"),
    [("42", 42), ("0", 0), ("", 0), (None, 0), ("4a", 0), ("-1", 0), ("99999999999999999999", 10**20 - 1)],
)
def test_version_number(text: str | None, number: int) -> None:
    assert version_number(text) == number
