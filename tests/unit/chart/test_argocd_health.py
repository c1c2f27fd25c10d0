"""The health that Argo CD shows for a ModelDeployment, in the Lua of the version that Argo CD embeds (5.1)."""

from typing import Any

import pytest
import yaml
from tests.unit.chart.rendering import CHART

lua51 = pytest.importorskip("lupa.lua51", reason="the Lua interpreter is a development dependency: lupa")

SCRIPT = (CHART / "argocd" / "health.lua").read_text(encoding="utf-8")


def mdep(observed: int | None, **conditions: str) -> dict[str, Any]:
    """A ModelDeployment at generation 2 whose conditions carry their own name as message."""
    status: dict[str, Any] = {
        "conditions": [
            {"type": kind, "status": value, "message": f"{kind} says so"} for kind, value in conditions.items()
        ]
    }
    if observed is not None:
        status["observedGeneration"] = observed
    return {"metadata": {"generation": 2}, "status": status}


CALM = {"Reconciling": "False", "Stalled": "False"}


@pytest.mark.parametrize(
    ("model", "health", "message"),
    [
        ({"metadata": {"generation": 1}}, "Progressing", "Waiting for the controller to report."),
        ({"metadata": {"generation": 1}, "status": {}}, "Progressing", "Waiting for the controller to report."),
        (mdep(None, Ready="True"), "Progressing", "Waiting for the controller to see the newest spec."),
        (
            mdep(1, Ready="True", Serving="True", **CALM),
            "Progressing",
            "Waiting for the controller to see the newest spec.",
        ),
        (mdep(1, Stalled="True"), "Progressing", "Waiting for the controller to see the newest spec."),
        (mdep(2), "Progressing", "Waiting for the controller to report."),
        (mdep(2, Serving="True"), "Progressing", "Waiting for the controller to report."),
        (mdep(2, Ready="True", Serving="True", **CALM), "Healthy", "Ready says so"),
        (mdep(2, Ready="True", Serving="False", **CALM), "Healthy", "Ready says so"),
        (mdep(2, Ready="False", Reconciling="True", Stalled="False"), "Progressing", "Reconciling says so"),
        (mdep(2, Ready="True", Reconciling="True", Stalled="False"), "Progressing", "Reconciling says so"),
        (mdep(2, Ready="False", Serving="True", Reconciling="False", Stalled="True"), "Degraded", "Stalled says so"),
        (mdep(2, Ready="False", Reconciling="True", Stalled="True"), "Degraded", "Stalled says so"),
        (mdep(2, Ready="Unknown", **CALM), "Progressing", "Ready says so"),
        (mdep(2, Ready="False", **CALM), "Progressing", "Ready says so"),
    ],
)
def test_health(model: dict[str, Any], health: str, message: str) -> None:
    assert assess(model) == (health, message)


def test_a_condition_without_a_message_gives_its_reason() -> None:
    model = mdep(2)
    model["status"]["conditions"] = [{"type": "Stalled", "status": "True", "reason": "DigestMismatch"}]
    assert assess(model) == ("Degraded", "DigestMismatch")


def test_the_patch_for_argo_cd_carries_this_very_script() -> None:
    patch = yaml.safe_load((CHART / "argocd" / "argocd-cm-patch.yaml").read_text(encoding="utf-8"))
    assert patch == {"data": {"resource.customizations.health.plimsoll.dev_ModelDeployment": SCRIPT}}


def assess(model: dict[str, Any]) -> tuple[str, str]:
    lua = lua51.LuaRuntime()
    lua.globals().obj = lua.table_from(model, recursive=True)
    health = lua.execute(SCRIPT)
    return health["status"], health["message"]
