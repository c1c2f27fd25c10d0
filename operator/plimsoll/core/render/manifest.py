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
    """
    annotations: dict[str, str] = content.pop("annotations", {})
    manifest: Manifest = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": dict(labels),
            "annotations": dict(annotations),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": owner.name,
                    "uid": owner.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        **content,
    }
    manifest["metadata"]["annotations"][DIGEST_ANNOTATION] = manifest_digest_of(manifest)
    return manifest
