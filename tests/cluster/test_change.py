"""A served model changes: nobody loses a request, and what cannot start does not replace what serves."""

from __future__ import annotations

from collections.abc import Mapping

from tests.cluster.gateways import behind_gateway
from tests.support.team import Team

from plimsoll_dev.models.samples import infer_request, samples
from plimsoll_dev.testbed.model import Served

BODY = infer_request(samples()[0].image)


def deployed(team: Team, uri: str, **spec: object) -> Served:
    served = team.deploy("digits", uri, **spec)
    team.until_ready(served)
    return served


def test_a_new_model_takes_over_without_losing_a_request(team: Team, uris: Mapping[str, str]) -> None:
    served = deployed(team, uris["digits"], runtime={"drain": "5s"})
    old = served.status()["stable"]
    service = team.get("service", "digits")["spec"]
    with team.traffic(BODY, served) as stop:
        team.deploy("digits", uris["digits-v2"], runtime={"drain": "5s"})
        team.until_ready(served)
        team.until("the old revision is gone", lambda: old not in team.names("deployments"))
        seen = stop()
    assert seen.failures == []
    assert set(seen.versions) == {"1", "2"}
    assert served.status()["stable"] != old
    assert team.get("service", "digits")["spec"]["clusterIP"] == service["clusterIP"]
    assert {"RevisionCreated", "Promoted", "RevisionRemoved"} <= set(team.events("digits"))


def test_a_revision_that_cannot_start_leaves_the_old_one_serving(team: Team, uris: Mapping[str, str]) -> None:
    served = deployed(team, uris["digits"])
    old = served.status()["stable"]
    missing = uris["digits"].partition("@")[0] + "@sha256:" + "0" * 64
    with team.traffic(BODY, served) as stop:
        team.deploy("digits", missing)
        message = team.until_reason(served, "NotFound")
        seen = stop()
    assert seen.failures == []
    assert served.conditions() == {"Serving": "True", "Ready": "False", "Reconciling": "False", "Stalled": "True"}
    assert served.status()["stable"] == old
    assert "The old revision keeps serving" in message
    assert "NotFound" in team.events("digits")
    team.deploy("digits", uris["digits"])
    team.until_ready(served)
    assert served.status()["stable"] == old
    team.until("the failed revision is gone", lambda: team.names("deployments") == {old})


def test_back_and_forth_in_mid_change_ends_where_it_began(team: Team, uris: Mapping[str, str]) -> None:
    served = deployed(team, uris["digits"])
    old, pods = served.status()["stable"], team.names("pods")
    team.deploy("digits", uris["digits-v2"])
    team.until("the candidate is made", lambda: len(team.names("deployments")) == 2)
    team.deploy("digits", uris["digits"])
    team.until("only the first is left", lambda: team.names("deployments") == {old})
    team.until_ready(served)
    assert served.status()["stable"] == old
    team.until("its pods were never touched", lambda: team.names("pods") == pods)


def test_scheduling_and_labels_roll_inside_the_revision(team: Team, uris: Mapping[str, str]) -> None:
    served = deployed(team, uris["digits"])
    old, pods = served.status()["stable"], team.names("pods")
    node = team.all("nodes")[0]["metadata"]["labels"]["kubernetes.io/hostname"]
    pod = {"labels": {"team": "vision"}, "nodeSelector": {"kubernetes.io/hostname": node}}
    with team.traffic(BODY, served) as stop:
        team.deploy("digits", uris["digits"], runtime={"pod": pod})
        team.until("new pods replaced the old", lambda: not pods & team.names("pods"))
        team.until_ready(served)
        seen = stop()
    assert seen.failures == []
    assert served.status()["stable"] == old
    assert team.names("controllerrevisions") == {old}


def test_what_others_took_away_is_healed_and_what_they_own_is_left(team: Team, uris: Mapping[str, str]) -> None:
    served = behind_gateway(team, uris["digits"])
    stable, gateways = served.status()["stable"], team.get("service", "digits")["spec"]["selector"]
    injected = {"metadata": {"annotations": {"sidecar.example.com/injected": "true"}}}
    team.patch("deployment", stable, injected)
    team.patch("service", "digits", {"spec": {"selector": {"plimsoll.dev/component": "nothing"}}})
    team.kubectl("delete", "service", stable)
    team.kubectl("scale", "deployment", stable, "--replicas=3")
    team.until("the selector is healed", lambda: team.get("service", "digits")["spec"]["selector"] == gateways)
    team.until("the headless Service is back", lambda: stable in team.names("services"))
    team.until("replicas are healed", lambda: team.get("deployment", stable)["spec"]["replicas"] == 1)
    annotations = team.get("deployment", stable)["metadata"]["annotations"]
    assert annotations["sidecar.example.com/injected"] == "true"
    team.kubectl("delete", "deployment", stable)
    team.until_ready(served)


def test_an_autoscalers_replicas_are_left_alone(team: Team, uris: Mapping[str, str]) -> None:
    served = deployed(team, uris["digits"])
    stable = served.status()["stable"]
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "digits"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": stable},
            "minReplicas": 2,
            "maxReplicas": 3,
        },
    }
    team.apply(autoscaler)
    team.until("the autoscaler raised it", lambda: team.get("deployment", stable)["spec"]["replicas"] == 2, 180)
    team.until("both are ready", lambda: served.status().get("readyReplicas") == 2 and served.is_ready())
    assert team.get("deployment", stable)["spec"]["replicas"] == 2


def test_spec_edited_while_the_controller_is_down(team: Team, uris: Mapping[str, str]) -> None:
    served = deployed(team, uris["digits"])
    controller = ("-n", "plimsoll-system", "scale", "deployment", "-l", "app.kubernetes.io/name=plimsoll")
    team.testbed.kubectl.run(*controller, "--replicas=0")
    try:
        team.deploy("digits", uris["digits-v2"])
    finally:
        team.testbed.kubectl.run(*controller, "--replicas=2")
    team.until("the edit was seen", lambda: served.status().get("candidate") is not None or served.is_ready())
    team.until_ready(served)
    assert len(team.names("controllerrevisions")) == 2
