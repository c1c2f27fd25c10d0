"""Lives with a gate: what passes serves, what is rejected never does, and what went wrong is tried again."""

from itertools import pairwise

import pytest
from tests.sim.gated_life import NAMES, SETTLES_S, GatedLife, trials
from tests.support.model_cluster import JsonObject, Kind
from tests.support.model_jobs import Trial

from plimsoll.core.names import NO_REVISION, VERDICT_ANNOTATION


@pytest.fixture
def life() -> GatedLife:
    return GatedLife()


# What passes


def test_the_first_revision_gets_no_traffic_before_it_has_passed(life: GatedLife) -> None:
    candidate = life.under_examination("a", replicas=3)
    assert life.selected() == NO_REVISION
    assert life.replicas() == {candidate: 1}
    assert life.true() == {"Reconciling"}
    assert (life.status().phase, life.reason()) == ("Verifying", "PreflightRunning")
    life.passes(SETTLES_S)
    assert life.selected() == life.status().stable == candidate
    assert life.replicas() == {candidate: 3}
    assert life.true() == {"Serving", "Ready"}
    assert life.controller.announced == ["RevisionCreated", "PreflightPassed", "Promoted"]
    assert life.left_of_preflights() == []


def test_a_new_version_is_examined_beside_the_old_one_which_serves(life: GatedLife) -> None:
    old = life.serves("a", replicas=2)
    candidate = life.under_examination("b", replicas=2)
    assert life.selected() == old
    assert life.replicas() == {old: 2, candidate: 1}
    assert life.true() == {"Serving", "Reconciling"}
    life.passes(SETTLES_S)
    assert life.selected() == candidate
    assert life.replicas() == {candidate: 2}
    assert life.jobs.made == 2


def test_what_serves_is_never_examined_again(life: GatedLife) -> None:
    """Neither after days nor a restart, nor when the question changes or status is lost, nor if it came ungated."""
    life.gatekeeper.excuses("a")
    stable = life.serves("a", preflight={"mode": "Skip"})
    for preflight in ({}, {"budget": "1m"}, {"mode": "Warn"}):
        life.apply("a", preflight=preflight)
        life.controller.restart()
        life.passes(86_400, step=7_200)
    life.cluster.loses_status("digits")
    life.passes(60)
    assert life.true() == {"Serving", "Ready"}
    assert (life.selected(), life.jobs.made) == (stable, 0)


def test_a_year_with_a_verdict_writes_nothing(life: GatedLife) -> None:
    life.serves("a", replicas=2)
    for _ in range(5):
        life.controller.restart()
        assert life.passes(86_400 * 10, step=86_400) == 0


def test_back_to_what_drains_takes_no_preflight(life: GatedLife) -> None:
    first = life.serves("a", runtime={"drain": "5m"})
    life.apply("b", runtime={"drain": "5m"})
    life.until(lambda: life.status().stable != first)
    life.apply("a", runtime={"drain": "5m"})
    life.passes(5)
    assert life.selected() == first
    assert life.jobs.made == 2


def test_a_server_that_leaks_passes_and_is_replaced_before_it_serves(life: GatedLife) -> None:
    life.serves("a")
    life.jobs.script = trials(b=[Trial.LEAKS])
    candidate = life.under_examination("b", replicas=2)
    (examined,) = life.cluster.ready_pods(candidate)
    life.until(lambda: life.selected() == candidate)
    assert len(life.cluster.ready_pods(candidate)) == 2
    assert examined not in life.cluster.ready_pods(candidate)
    life.passes(SETTLES_S)
    assert life.true() == {"Serving", "Ready"}


# What is rejected


def test_a_rejected_version_never_serves_costs_no_pod_and_is_told_once(life: GatedLife) -> None:
    old = life.serves("a", replicas=2)
    life.jobs.script = trials(b=[Trial.REJECTS])
    candidate = life.under_examination("b", replicas=2)
    life.passes(SETTLES_S)
    assert life.selected() == life.status().stable == old
    assert life.replicas() == {old: 2, candidate: 0}
    assert life.true() == {"Serving", "Stalled"}
    assert (life.status().phase, life.reason()) == ("Rejected", "PreflightRejected")
    assert life.controller.announced.count("PreflightRejected") == 1
    assert life.left_of_preflights() == []
    life.controller.restart()
    assert life.passes(86_400, step=600) == 0
    life.apply("a", replicas=2)
    life.passes(SETTLES_S)
    assert life.true() == {"Serving", "Ready"}
    assert life.replicas() == {old: 2}


def test_a_first_revision_that_is_rejected_serves_nobody(life: GatedLife) -> None:
    life.jobs.script = trials(a=[Trial.REJECTS])
    life.apply("a")
    life.passes(SETTLES_S)
    assert life.true() == {"Stalled"}
    assert (life.selected(), life.status().stable) == (NO_REVISION, None)
    life.serves("b")


def test_another_question_is_asked_again(life: GatedLife) -> None:
    strict, relaxed = ({"accuracy": {"maxLoss": loss}} for loss in ("0.1%", "3%"))
    old = life.serves("a", preflight=strict)
    life.jobs.script = trials(b=[Trial.REJECTS, Trial.PASSES])
    life.apply("b", preflight=strict)
    life.passes(SETTLES_S)
    assert life.reason() == "PreflightRejected"
    life.apply("b", preflight=relaxed)
    life.passes(SETTLES_S)
    assert life.true() == {"Serving", "Ready"}
    assert life.status().stable != old


@pytest.mark.parametrize("way_out", [{"mode": "Skip"}, {"mode": "Warn"}], ids=str)
def test_a_rejected_version_serves_when_the_user_says_so(life: GatedLife, way_out: JsonObject) -> None:
    old = life.serves("a")
    life.jobs.script = trials(b=[Trial.REJECTS, Trial.PASSES])
    life.apply("b")
    life.passes(SETTLES_S)
    life.gatekeeper.excuses("b")
    life.apply("b", preflight=way_out)
    life.passes(SETTLES_S)
    assert life.true() == {"Serving", "Ready"}
    assert life.status().stable != old


def test_a_verdict_that_is_deleted_is_asked_for_again(life: GatedLife) -> None:
    life.serves("a")
    life.jobs.script = trials(b=[Trial.REJECTS, Trial.PASSES])
    life.apply("b")
    life.passes(SETTLES_S)
    life.cluster.delete(Kind.CONFIG_MAP, f"{NAMES['b']}-preflight")
    life.passes(SETTLES_S)
    assert life.status().stable == NAMES["b"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"outcome":"Passed"}', '{"key":"","outcome":"Passed"}'])
def test_a_verdict_that_somebody_damaged_is_no_pass(life: GatedLife, text: str) -> None:
    life.serves("a")
    life.jobs.script = trials(b=[Trial.REJECTS])
    life.apply("b")
    life.passes(SETTLES_S)
    name = f"{NAMES['b']}-preflight"
    kept = life.cluster.stores[Kind.CONFIG_MAP][name]
    annotations = {**kept["metadata"]["annotations"], VERDICT_ANNOTATION: text}
    damaged = {**kept, "metadata": {**kept["metadata"], "annotations": annotations}}
    life.cluster.put(Kind.CONFIG_MAP, name, damaged)
    life.passes(SETTLES_S)
    assert life.reason() == "PreflightRejected"
    assert life.jobs.made == 3


# What goes wrong


@pytest.mark.parametrize("trial", [Trial.ERRORS, Trial.DIES, Trial.LIES, Trial.HANGS], ids=str)
def test_a_preflight_that_did_not_work_is_no_pass_and_is_tried_again(life: GatedLife, trial: Trial) -> None:
    old = life.serves("a")
    life.jobs.script = trials(b=[trial, trial, Trial.PASSES])
    life.apply("b")
    life.until(lambda: life.reason() == "PreflightError", seconds=3_000)
    assert life.selected() == old
    assert life.true() == {"Serving", "Reconciling"}
    life.passes(3_000, step=5)
    assert life.status().stable == NAMES["b"]
    assert life.jobs.made == 4
    assert life.left_of_preflights() == []


def test_a_drained_node_is_no_error(life: GatedLife) -> None:
    life.serves("a")
    life.jobs.script = trials(b=[Trial.EVICTED])
    life.apply("b")
    life.passes(SETTLES_S)
    assert life.status().stable == NAMES["b"]
    assert "PreflightError" not in life.controller.announced


def test_the_last_words_do_where_a_report_cannot_be_fetched(life: GatedLife) -> None:
    life.jobs.reachable = False
    for model in "ab":
        life.jobs.script = trials(b=[Trial.REJECTS])
        life.apply(model)
        life.passes(300, step=3)
    assert (life.reason(), life.status().stable) == ("PreflightRejected", NAMES["a"])
    assert life.left_of_preflights() == []


def test_pauses_double_up_to_ten_minutes_and_an_hour_of_errors_is_stalled(life: GatedLife) -> None:
    life.serves("a")
    life.jobs.script = trials(b=[Trial.ERRORS])
    life.apply("b")
    life.passes(2 * 3_600, step=5)
    (begun,) = (times for times in life.gatekeeper.examined.values() if len(times) > 1)
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(begun)]
    wanted = [10, 20, 40, 80, 160, 320, *[600] * (len(pauses) - 6)]
    assert all(0 <= pause - least <= 40 for pause, least in zip(pauses, wanted, strict=True)), pauses
    assert len(begun) > 12
    assert life.true() == {"Serving", "Stalled"}
    assert life.selected() == NAMES["a"]
    assert life.controller.announced.count("PreflightError") <= 7


def test_a_model_server_that_goes_away_under_examination_is_an_error(life: GatedLife) -> None:
    life.serves("a")
    life.jobs.script = trials(b=[Trial.PASSES])
    candidate = life.under_examination("b")
    life.watchman.excused = True
    life.cluster.wounds(*life.cluster.ready_pods(candidate))
    life.passes(SETTLES_S)
    assert life.status().stable == candidate
    assert life.jobs.made == 3


def test_pods_that_move_under_examination_are_examined_where_they_are(life: GatedLife) -> None:
    life.serves("a")
    candidate = life.under_examination("b")
    examined = life.cluster.ready_pods(candidate)
    life.apply("b", runtime={"pod": {"nodeSelector": {"pool": "gpu"}}})
    life.passes(2 * SETTLES_S)
    assert life.status().stable == candidate
    assert not set(examined) & set(life.cluster.ready_pods(candidate))
    assert life.left_of_preflights() == []


@pytest.mark.parametrize("model", "def")
def test_what_never_becomes_ready_is_not_examined(life: GatedLife, model: str) -> None:
    old = life.serves("a")
    life.apply(model)
    life.passes(1_500, step=5)
    assert life.true() == {"Serving", "Stalled"}
    assert life.reason() in ("NotFound", "ServerCrashed", "InsufficientCapacity")
    assert (life.selected(), life.jobs.made) == (old, 1)
