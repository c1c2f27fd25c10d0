"""Lives with a gate, in which users, autoscalers and accidents change things while a preflight is under way."""

from dataclasses import replace

import pytest
from tests.sim.gated_life import NAMES, SETTLES_S, GatedLife, trials
from tests.support.model_cluster import Kind
from tests.support.model_jobs import Trial

from plimsoll.core.names import NO_REVISION


@pytest.fixture
def life() -> GatedLife:
    return GatedLife()


def test_a_candidate_that_is_replaced_leaves_nothing(life: GatedLife) -> None:
    old = life.serves("a")
    abandoned = life.under_examination("b")
    life.apply("c")
    life.passes(2)
    assert f"{abandoned}-preflight" not in life.cluster.stores[Kind.JOB]
    life.passes(2 * SETTLES_S)
    assert life.replicas() == {NAMES["c"]: 1}
    assert life.left_of_preflights() == []
    assert old != life.selected()


def test_a_candidate_that_is_given_up_leaves_nothing(life: GatedLife) -> None:
    old = life.serves("a")
    life.under_examination("b")
    life.apply("a")
    life.passes(SETTLES_S)
    assert (life.selected(), life.replicas()) == (old, {old: 1})
    assert life.left_of_preflights() == []


def test_a_candidate_that_is_taken_up_again_while_it_goes_is_examined(life: GatedLife) -> None:
    life.serves("a")
    candidate = life.under_examination("b")
    for model in "cb":
        life.apply(model)
        life.passes(2)
    life.passes(SETTLES_S)
    assert life.status().stable == candidate
    assert life.replicas() == {candidate: 1}


def test_a_gate_that_is_lifted_under_way(life: GatedLife) -> None:
    life.serves("a")
    candidate = life.under_examination("b", replicas=2)
    life.gatekeeper.excuses("b")
    life.apply("b", replicas=2, preflight={"mode": "Skip"})
    life.until(lambda: life.selected() == candidate)
    life.passes(SETTLES_S)
    assert life.left_of_preflights() == []
    assert life.status().preflight is None


def test_a_gate_that_is_closed_under_way(life: GatedLife) -> None:
    """A first revision that has served nobody has to pass, although the Service selected it already."""
    life.gatekeeper.excuses("a")
    life.apply("a", preflight={"mode": "Skip"}, replicas=2)
    life.passes(3)
    assert life.selected() == NAMES["a"]
    life.apply("a", replicas=2)
    life.passes(2)
    assert life.selected() == NO_REVISION
    life.passes(SETTLES_S)
    assert (life.selected(), life.jobs.made) == (NAMES["a"], 1)


def test_without_replicas_nothing_is_asked(life: GatedLife) -> None:
    life.apply("a", replicas=0)
    life.passes(SETTLES_S)
    assert (life.status().phase, life.status().stable) == ("ScaledToZero", NAMES["a"])
    assert life.jobs.made == 0


def test_a_preflight_under_way_ends_when_no_replicas_are_wanted(life: GatedLife) -> None:
    life.under_examination("a")
    life.apply("a", replicas=0)
    life.passes(SETTLES_S)
    assert life.left_of_preflights() == []
    assert life.replicas() == {NAMES["a"]: 0}


def test_a_first_revision_that_may_serve_unexamined_says_so(life: GatedLife) -> None:
    life.gatekeeper.excuses("a")
    life.apply("a", preflight={"whenNoStable": "Serve"})
    life.passes(SETTLES_S)
    assert life.true() == {"Serving", "Ready"}
    assert (life.reason(), life.jobs.made) == ("Unverified", 0)
    life.apply("b", preflight={"whenNoStable": "Serve"})
    life.passes(SETTLES_S)
    assert (life.reason(), life.jobs.made) == ("Promoted", 1)


def test_golden_data_that_is_missing_is_named_and_awaited(life: GatedLife) -> None:
    preflight = {"golden": {"name": "cases", "key": "golden.json"}}
    life.apply("a", preflight=preflight)
    life.passes(60)
    assert (life.reason(), life.true()) == ("PreflightDataMissing", {"Stalled"})
    assert life.jobs.made == 0
    life.cluster.user_writes("cases", {"golden.json": "[]"})
    life.passes(SETTLES_S)
    assert life.true() == {"Serving", "Ready"}


def test_golden_data_that_changes_is_another_question(life: GatedLife) -> None:
    preflight = {"golden": {"name": "cases", "key": "golden.json"}}
    life.cluster.user_writes("cases", {"golden.json": "[1]"})
    life.jobs.script = trials(a=[Trial.REJECTS, Trial.PASSES])
    life.apply("a", preflight=preflight)
    life.passes(SETTLES_S)
    assert life.reason() == "PreflightRejected"
    life.cluster.user_writes("cases", {"golden.json": "[2]"})
    life.passes(SETTLES_S)
    assert life.true() == {"Serving", "Ready"}


def test_an_autoscaler_of_the_stable_revision_is_followed_after_the_preflight(life: GatedLife) -> None:
    old = life.serves("a")
    life.cluster.autoscaler_scales(old, 4)
    life.passes(30)
    candidate = life.under_examination("b")
    assert life.replicas() == {old: 4, candidate: 1}
    life.until(lambda: life.replicas() == {old: 4, candidate: 4})
    assert life.selected() == old
    life.until(lambda: life.selected() == candidate)


def test_an_autoscaler_does_not_keep_a_rejected_version_alive(life: GatedLife) -> None:
    old = life.serves("a")
    life.jobs.script = trials(b=[Trial.REJECTS])
    candidate = life.under_examination("b")
    life.cluster.autoscaler_scales(candidate, 3)
    life.passes(SETTLES_S)
    assert life.replicas() == {old: 1, candidate: 0}


def test_a_status_that_is_lost_costs_nothing(life: GatedLife) -> None:
    old = life.serves("a")
    life.jobs.script = trials(b=[Trial.REJECTS])
    life.under_examination("b")
    life.cluster.loses_status("digits")
    life.passes(SETTLES_S)
    assert (life.selected(), life.reason()) == (old, "PreflightRejected")
    life.cluster.loses_status("digits")
    life.passes(SETTLES_S)
    assert (life.selected(), life.reason()) == (old, "PreflightRejected")
    assert life.jobs.made == 2


@pytest.mark.parametrize("moment", ["examined", "answered"])
def test_a_snapshot_that_is_deleted_under_way_is_made_again(life: GatedLife, moment: str) -> None:
    life.serves("a")
    life.jobs.script = trials(b=[Trial.REJECTS])
    candidate = life.under_examination("b")
    if moment == "answered":
        life.passes(SETTLES_S)
    life.cluster.delete(Kind.CONTROLLER_REVISION, candidate)
    life.passes(2 * SETTLES_S)
    assert (life.reason(), life.selected()) == ("PreflightRejected", NAMES["a"])
    assert "Stalled" in life.true()
    assert "NameConflict" not in life.controller.announced
    assert life.left_of_preflights() == []


@pytest.mark.parametrize("moment", [0, 5, 12, 14, 30])
def test_deletion_at_any_moment_leaves_nothing(life: GatedLife, moment: int) -> None:
    life.apply("a")
    life.passes(moment)
    life.cluster.delete(Kind.MODEL_DEPLOYMENT, "digits")
    life.passes(60)
    assert {kind: store for kind, store in life.cluster.stores.items() if store} == {}


def test_verdicts_go_with_their_revisions(life: GatedLife) -> None:
    life.controller.defaults = replace(life.controller.defaults, history_limit=1)
    for model in "abeab":
        life.apply(model)
        life.passes(2 * SETTLES_S)
    revisions = set(life.cluster.stores[Kind.CONTROLLER_REVISION])
    assert len(revisions) == 2
    assert set(life.cluster.stores[Kind.CONFIG_MAP]) <= {f"{name}-preflight" for name in revisions}
