"""Words and names that others depend on: changing one is a decision, made here in sight."""

import re

import pytest
from prometheus_client import REGISTRY
from tests.architecture.repository import PACKAGE

from plimsoll.api.base import API_VERSION
from plimsoll.api.crd import CATEGORY, PLURAL, SHORT_NAME
from plimsoll.api.v1alpha1 import MAX_NAME_LENGTH, ConditionType
from plimsoll.core import names
from plimsoll.core.snapshot import RENDER_VERSION
from plimsoll.monitoring import metrics
from plimsoll_dev.generate.outputs import API_PAGE, ROOT
from plimsoll_dev.generate.reasons import documented_reasons
from plimsoll_dev.generate.reasons_used import reasons_used

USED = reasons_used(PACKAGE)


def test_field_managers() -> None:
    """A renamed manager leaves the fields of the old one behind, owned by nobody who would ever change them."""
    assert (names.FIELD_MANAGER, names.SCALE_MANAGER, names.STATUS_MANAGER, names.MARK_MANAGER) == (
        "plimsoll",
        "plimsoll-scale",
        "plimsoll-status",
        "plimsoll-mark",
    )


def test_labels_and_annotations() -> None:
    """Selectors of Deployments are immutable, and children are found by these."""
    assert (names.MODEL_LABEL, names.REVISION_LABEL) == ("plimsoll.dev/model", "plimsoll.dev/revision")
    assert (names.MANAGED_BY_LABEL, names.MANAGED_BY) == ("app.kubernetes.io/managed-by", "plimsoll")
    assert (names.DIGEST_ANNOTATION, names.INTENT_ANNOTATION) == ("plimsoll.dev/digest", "plimsoll.dev/intent")
    assert (names.REFRESH_ANNOTATION, names.RETIRED_AT_ANNOTATION) == (
        "plimsoll.dev/refresh",
        "plimsoll.dev/retired-at",
    )


def test_names_of_gateways() -> None:
    """Rights are granted by name, and Services select by the label."""
    assert (names.GATEWAY_NAME, names.MODELS_POLICY_NAME) == ("plimsoll-gateway", "plimsoll-models")
    assert names.gateway_selector() == {"plimsoll.dev/component": "gateway"}
    assert names.gateway_labels() == {"app.kubernetes.io/managed-by": "plimsoll", "plimsoll.dev/component": "gateway"}
    assert names.ADMIN_PORT == 8080


def test_the_kind_and_its_names() -> None:
    assert (API_VERSION, PLURAL, SHORT_NAME, CATEGORY) == (
        "plimsoll.dev/v1alpha1",
        "modeldeployments",
        "mdep",
        "plimsoll",
    )


def test_ports_and_conditions_are_for_ever() -> None:
    assert (names.HTTP_PORT, names.GRPC_PORT, names.METRICS_PORT) == (8000, 8001, 8002)
    assert (names.EXAMINER_PORT, names.REPORT_PORT) == (8003, 8080)
    assert [kind.value for kind in ConditionType] == ["Serving", "Ready", "Reconciling", "Stalled"]


def test_names_of_children_fit_into_a_dns_label() -> None:
    longest = names.revision_name("a" * MAX_NAME_LENGTH, "f" * 64)
    assert len(longest) == 51
    # The Deployment controller adds two random suffixes for pods; host names are cut at 63.
    assert len(f"{longest}-{'x' * 10}") <= 63


def test_the_render_version() -> None:
    """Raising it is fine; what older snapshots render as must then be kept, which golden files hold."""
    assert RENDER_VERSION == 2


@pytest.mark.parametrize("reason", sorted(USED))
def test_every_reason_that_is_given_is_documented(reason: str) -> None:
    assert reason in documented_reasons(), f"{USED[reason]} gives {reason}: add it to plimsoll_dev/generate/reasons.py"
    assert f"| `{reason}` |" in (ROOT / API_PAGE).read_text(encoding="utf-8")


def test_every_documented_reason_can_be_given() -> None:
    assert documented_reasons() - USED.keys() == set()


def test_the_search_for_reasons_finds_each_way_of_giving_one() -> None:
    assert {"Promoted", "Settled", "NameConflict", "QuotaExceeded", "PodRefused", "DigestMismatch"} <= USED.keys()
    assert {"RevisionRemoved", "RegistryUnavailable"} <= USED.keys()


def own_metrics() -> list[object]:
    return [value for name, value in vars(metrics).items() if name.isupper()]


def test_every_metric_has_help_a_unit_and_bounded_labels() -> None:
    declared = {id(metric) for metric in own_metrics()}
    described = [family for family in REGISTRY.collect() if family.name.startswith("plimsoll_")]
    assert len(described) == len(declared)
    for family in described:
        assert re.fullmatch(r"[A-Z0-9].{15,}\.", family.documentation), family.name
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels <= {"outcome", "kind", "verb", "le", "version", "hot_path"}, family.name
