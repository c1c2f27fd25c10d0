"""Lives of a ModelDeployment with a name: what a user or an administrator does, and what must come of it."""

from dataclasses import replace

import pytest
from tests.sim.life import Life
from tests.support.builders import UPGRADED_DEFAULTS
from tests.support.model_cluster import CHILDREN, NAMESPACE, JsonObject, Kind

from plimsoll.core.names import MODEL_LABEL, RETIRED_AT_ANNOTATION, REVISION_LABEL


@pytest.fixture
def life() -> Life:
    return Life()


def test_creation_costs_four_objects_and_a_status_per_stage(life: Life) -> None:
    life.apply()
    assert life.passes(60) == 4 + 5
    assert life.true() == {"Serving", "Ready"}
    assert life.controller.announced == ["RevisionCreated", "Promoted"]


def test_a_year_of_resyncs_and_restarts_writes_nothing(life: Life) -> None:
    life.apply(replicas=3)
    life.passes(60)
    for _ in range(20):
        life.controller.restart()
        assert life.passes(86_400 * 18, step=86_400) == 0


def test_an_upgrade_writes_nothing_and_restarts_no_pod(life: Life) -> None:
    life.apply()
    life.passes(60)
    pods = set(life.cluster.pods)
    life.controller.defaults = UPGRADED_DEFAULTS
    life.controller.restart()
    assert life.passes(60) == 0
    assert set(life.cluster.pods) == pods


def test_a_scale_up_after_a_year_is_not_called_stalled(life: Life) -> None:
    life.apply()
    life.passes(60)
    life.cluster.tick(365 * 86_400)
    life.apply(replicas=3)
    for _ in range(20):
        life.passes(1)
        assert "Stalled" not in life.true()
    assert len(life.cluster.ready_pods(life.status().stable)) == 3


def test_a_pod_that_dies_after_a_year_is_not_called_stalled(life: Life) -> None:
    life.apply(replicas=2)
    life.passes(60)
    life.cluster.tick(365 * 86_400)
    life.cluster.wounds(next(iter(life.cluster.pods)))
    for _ in range(20):
        life.passes(1)
        assert life.true() >= {"Serving", "Ready"}
        assert "Stalled" not in life.true()
    assert life.true() == {"Serving", "Ready"}


@pytest.mark.parametrize(
    ("model", "reason"), [("d", "NotFound"), ("e", "ServerCrashed"), ("f", "InsufficientCapacity")]
)
def test_a_bad_version_leaves_the_old_one_serving_and_says_why_once(life: Life, model: str, reason: str) -> None:
    life.apply()
    life.passes(60)
    old = life.status().stable
    life.apply(model)
    life.passes(700, step=5)
    assert life.true() == {"Serving", "Stalled"}
    assert (life.status().stable, life.cluster.selected("digits")) == (old, old)
    assert life.controller.announced.count(reason) == 1
    # A crash loop, a missing model or a full cluster for a day: told already.
    assert life.passes(86_400, step=300) == 0
    life.apply()
    life.passes(60)
    assert life.true() == {"Serving", "Ready"}
    assert list(life.replicas()) == [old]


def test_a_spec_edited_while_the_controller_is_down(life: Life) -> None:
    life.apply("a")
    life.passes(60)
    for model in "bcba":
        life.apply(model)
        life.cluster.tick(100)
    life.apply("b", replicas=2)
    life.controller.restart()
    life.passes(90)
    assert life.true() == {"Serving", "Ready"}
    assert list(life.replicas().values()) == [2]
    assert len(life.cluster.stores[Kind.CONTROLLER_REVISION]) == 2


def foreign_service() -> JsonObject:
    spec = {"selector": {"app": "theirs"}, "ports": [{"port": 80}]}
    return {"metadata": {"name": "digits", "namespace": NAMESPACE}, "spec": spec}


def test_a_foreign_service_is_never_adopted_and_costs_no_pod(life: Life) -> None:
    life.cluster.stranger_makes(Kind.SERVICE, foreign_service())
    theirs = life.cluster.get(Kind.SERVICE, "digits")
    life.apply()
    life.passes(60)
    assert life.cluster.get(Kind.SERVICE, "digits") == theirs
    assert not life.cluster.stores[Kind.CONTROLLER_REVISION]
    assert not life.cluster.stores[Kind.DEPLOYMENT]
    assert "Stalled" in life.true()
    assert life.controller.announced.count("NameConflict") == 1
    assert "Service digits exists" in next(c.message for c in life.status().conditions or () if c.type == "Stalled")
    life.cluster.delete(Kind.SERVICE, "digits")
    life.passes(60)
    assert life.true() == {"Serving", "Ready"}


@pytest.mark.parametrize(
    ("kind", "label"),
    [*((kind, MODEL_LABEL) for kind in CHILDREN), (Kind.DEPLOYMENT, REVISION_LABEL), (Kind.SERVICE, REVISION_LABEL)],
)
def test_a_child_that_lost_a_label_gets_it_back(life: Life, kind: Kind, label: str) -> None:
    life.apply(replicas=3)
    life.passes(60)
    pods, stable = set(life.cluster.pods), str(life.status().stable)
    labelled = life.cluster.stores[kind][stable]["metadata"]["labels"]
    life.cluster.user_unlabels(kind, stable, label)
    life.passes(20)
    assert life.cluster.stores[kind][stable]["metadata"]["labels"] == labelled
    assert set(life.cluster.pods) == pods
    assert (life.replicas(), life.true()) == ({stable: 3}, {"Serving", "Ready"})
    assert life.passes(60) == 0


def test_a_label_that_comes_back_takes_no_replicas_from_an_autoscaler(life: Life) -> None:
    life.apply()
    life.passes(60)
    stable = str(life.status().stable)
    life.cluster.autoscaler_scales(stable, 4)
    life.passes(30)
    life.cluster.user_unlabels(Kind.DEPLOYMENT, stable, MODEL_LABEL)
    for _ in range(30):
        life.passes(1)
        assert life.replicas() == {stable: 4}


def test_a_selector_that_somebody_extended_is_as_it_was(life: Life) -> None:
    life.apply()
    life.passes(60)
    selector = life.cluster.stores[Kind.SERVICE]["digits"]["spec"]["selector"]
    life.cluster.user_patches(Kind.SERVICE, "digits", selector={"x": "y"})
    assert life.passes(10) == 1
    assert life.cluster.stores[Kind.SERVICE]["digits"]["spec"]["selector"] == selector


def test_a_deleted_snapshot_is_made_again_and_restarts_no_pod(life: Life) -> None:
    for model in "ab":
        life.apply(model)
        life.passes(90)
    stable, pods = str(life.status().stable), set(life.cluster.pods)
    lost = life.cluster.stores[Kind.CONTROLLER_REVISION][stable]
    for one in list(life.cluster.stores[Kind.CONTROLLER_REVISION]):
        life.cluster.delete(Kind.CONTROLLER_REVISION, one)
    life.passes(30)
    (made,) = life.cluster.stores[Kind.CONTROLLER_REVISION].values()
    assert (made["revision"], made["data"]) == (lost["revision"], lost["data"]) == (2, lost["data"])
    assert set(life.cluster.pods) == pods


def test_a_snapshot_that_cannot_be_read_is_told_once_and_leaves_the_pods_alone(life: Life) -> None:
    life.apply()
    life.passes(60)
    stable, pods = str(life.status().stable), set(life.cluster.pods)
    stored = life.cluster.stores[Kind.CONTROLLER_REVISION][stable]
    life.cluster.put(Kind.CONTROLLER_REVISION, stable, {**stored, "data": {"runtime": "later"}})
    life.passes(60)
    assert life.controller.announced.count("RevisionDamaged") == 1
    assert life.true() == {"Serving", "Stalled"}
    life.cluster.delete(Kind.CONTROLLER_REVISION, stable)
    life.passes(60)
    assert life.true() == {"Serving", "Ready"}
    assert set(life.cluster.pods) == pods


def test_a_mark_that_somebody_edited_ends_the_drain_and_nothing_else(life: Life) -> None:
    life.apply()
    life.passes(60)
    stable, pods = str(life.status().stable), set(life.cluster.pods)
    obj = life.cluster.stores[Kind.DEPLOYMENT][stable]
    annotations = {**obj["metadata"]["annotations"], RETIRED_AT_ANNOTATION: "soon"}
    life.cluster.put(Kind.DEPLOYMENT, stable, {**obj, "metadata": {**obj["metadata"], "annotations": annotations}})
    life.apply("b")
    life.passes(120)
    assert life.true() == {"Serving", "Ready"}
    assert life.status().stable != stable
    assert not pods & set(life.cluster.pods)


def test_deleted_and_made_again_at_once(life: Life) -> None:
    """`kubectl replace --force`: the old children go a moment later, and a pipeline must not see a failure."""
    life.apply()
    life.passes(60)
    life.cluster.delete(Kind.MODEL_DEPLOYMENT, "digits")
    life.apply()
    for _ in range(60):
        life.passes(1)
        assert "Stalled" not in life.true()
    assert life.true() == {"Serving", "Ready"}


def test_an_autoscaler_keeps_its_replicas_through_edits_and_roll_outs(life: Life) -> None:
    life.apply()
    life.passes(60)
    life.cluster.autoscaler_scales(str(life.status().stable), 4)
    life.passes(30)
    life.apply(runtime={"pod": {"nodeSelector": {"pool": "gpu"}}})
    life.passes(90)
    assert list(life.replicas().values()) == [4]
    life.apply("b", runtime={"pod": {"nodeSelector": {"pool": "gpu"}}})
    life.passes(9)
    assert list(life.replicas().values()) == [4, 4]


def test_scaled_to_zero_and_back(life: Life) -> None:
    life.apply()
    life.passes(60)
    life.apply(replicas=0)
    life.passes(20)
    assert life.true() == {"Ready"}
    life.apply(replicas=2)
    life.passes(20)
    assert life.true() == {"Serving", "Ready"}


def test_a_controller_down_during_the_drain_ends_it_afterwards(life: Life) -> None:
    life.apply("a")
    life.passes(60)
    life.apply("b")
    life.passes(12)
    assert len(life.replicas()) == 2
    life.cluster.tick(3600)
    life.controller.restart()
    life.passes(5)
    assert list(life.replicas()) == [life.status().stable]


def test_a_refresh_takes_the_new_defaults_in_a_roll_out(life: Life) -> None:
    life.apply()
    life.passes(60)
    old = life.status().stable
    life.controller.defaults = replace(UPGRADED_DEFAULTS, history_limit=1)
    obj = life.cluster.stores[Kind.MODEL_DEPLOYMENT]["digits"]
    annotated = {**obj["metadata"], "annotations": {"plimsoll.dev/refresh": "today"}}
    life.cluster.put(Kind.MODEL_DEPLOYMENT, "digits", {**obj, "metadata": annotated})
    life.passes(90)
    assert life.status().stable != old
    assert life.true() == {"Serving", "Ready"}
