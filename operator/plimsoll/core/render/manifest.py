"""What all children share: identity, owner and the digest annotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plimsoll.api.base import API_VERSION, KIND
from plimsoll.api.v1alpha1 import Metadata
from plimsoll.core.hashing import manifest_digest_of
from plimsoll.core.names import DIGEST_ANNOTATION

Manifest = dict[str, Any]


def child_manifest(
    api_version: str,
    kind: str,
    name: str,
    owner: Metadata,
    labels: Mapping[str, str],
    **content: Any,
) -> Manifest:
    """Returns a child owned by ModelDeployment `owner`, with the digest of its content as an annotation.

    The owner reference does not block the owner's deletion: nothing here needs to outlive or delay it.

    Args:
        api_version: As in the manifest.
        kind: As in the manifest.
        name: Its name.
        owner: The ModelDeployment.
        labels: Its labels.
        content: `spec`, `data`, ...; `annotations`; `owned_by` where a child of `owner` owns it instead.
    """
    annotations: dict[str, str] = content.pop("annotations", {})
    owned_by: Manifest = content.pop("owned_by", None) or owner_reference(API_VERSION, KIND, owner.name, owner.uid)
    manifest: Manifest = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": dict(labels),
            "annotations": dict(annotations),
            "ownerReferences": [owned_by],
        },
        **content,
    }
    return digested(manifest)


def digested(manifest: Manifest) -> Manifest:
    """Adds the digest of a manifest to its annotations, and returns it."""
    manifest["metadata"]["annotations"][DIGEST_ANNOTATION] = manifest_digest_of(manifest)
    return manifest


def owner_reference(api_version: str, kind: str, name: str, uid: str) -> Manifest:
    """Returns a reference to the controlling owner that does not block its deletion."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
