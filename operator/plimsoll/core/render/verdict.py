"""The ConfigMap with a revision's verdict: it belongs to the ControllerRevision and goes with it."""

from __future__ import annotations

from plimsoll.api.v1alpha1 import Metadata
from plimsoll.core.names import REPORT_DATA, VERDICT_ANNOTATION, preflight_labels, preflight_name
from plimsoll.core.render.manifest import Manifest, child_manifest, owner_reference
from plimsoll.core.world import Revision


def render_verdict(owner: Metadata, revision: Revision, verdict: str, report: str) -> Manifest:
    """Returns the ConfigMap.

    Args:
        owner: The ModelDeployment.
        revision: Who was examined; it exists, so it has a uid.
        verdict: What the controller reads back, as JSON.
        report: The whole report as JSON, empty where there is none.
    """
    return child_manifest(
        "v1",
        "ConfigMap",
        preflight_name(revision.name),
        owner,
        preflight_labels(owner.name, revision.name),
        annotations={VERDICT_ANNOTATION: verdict},
        owned_by=owner_reference("apps/v1", "ControllerRevision", revision.name, revision.uid),
        data={REPORT_DATA: report} if report else {},
    )
