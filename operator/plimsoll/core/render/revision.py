"""The ControllerRevision: where a snapshot is kept, immutable."""

from __future__ import annotations

from plimsoll.api.v1alpha1 import Metadata
from plimsoll.core.names import INTENT_ANNOTATION, REFRESH_ANNOTATION, revision_labels
from plimsoll.core.render.manifest import Manifest, child_manifest
from plimsoll.core.snapshot import Snapshot


def render_revision(owner: Metadata, snapshot: Snapshot, *, number: int, intent: str, refresh: str) -> Manifest:
    """Returns the ControllerRevision of `snapshot`.

    Args:
        owner: The ModelDeployment.
        snapshot: What the revision is.
        number: Grows by one with each revision of the owner; also Triton's version number.
        intent: Digest of the spec that asked for it.
        refresh: Value of the refresh annotation, empty when there was none.
    """
    name = snapshot.name_for(owner.name)
    annotations = {INTENT_ANNOTATION: intent, **({REFRESH_ANNOTATION: refresh} if refresh else {})}
    return child_manifest(
        "apps/v1",
        "ControllerRevision",
        name,
        owner,
        revision_labels(owner.name, name),
        annotations=annotations,
        data=snapshot.to_json(),
        revision=number,
    )
