"""Sample preflight reports: as a good model, a bad one, a run that was cut short and a hostile one leave them."""

from tests.support.preflight_figures import (
    ACCURACY,
    CALIBRATION,
    DETERMINISM,
    GOLDEN,
    INVARIANCE,
    LATENCY,
    LOAD,
    MEDIANS,
    PROFILE,
    batch_row,
    failed_row,
    slope,
)

from plimsoll.api.preflight_report import (
    BatchRow,
    Capacity,
    ClassLoss,
    Cliff,
    CliffKind,
    DeterminismFigures,
    DeterminismLevel,
    Figures,
    GoldenFigures,
    InputSource,
    MemoryFigures,
    ObjectiveCheck,
    Outcome,
    PhaseName,
    PhaseReport,
    PhaseStatus,
    PreflightReport,
    ProfileFigures,
    ServedTensor,
    WorstDifference,
)
from plimsoll.api.vocabulary import DataType

REVISION = "digits-eedac945ea"
KEY = "9c1a6c0d2f"
HOSTILE = "</style></svg><script>alert('1')</script> \" & \x1b[31m[red]\u202eevil\u202c\r\nnext\x00"
"""Markup of HTML, SVG, rich and the terminal, text that turns direction, and control characters."""

_ENFORCED = (PhaseName.LOAD, PhaseName.GOLDEN, PhaseName.ACCURACY)
_SECONDS = {
    PhaseName.LOAD: 0.4,
    PhaseName.GOLDEN: 1.2,
    PhaseName.DETERMINISM: 2.8,
    PhaseName.BATCH_INVARIANCE: 1.9,
    PhaseName.PROFILE: 41.5,
    PhaseName.LATENCY: 24.0,
    PhaseName.MEMORY: 18.3,
    PhaseName.ACCURACY: 4.6,
    PhaseName.CALIBRATION: 0.3,
}


def phase(
    name: PhaseName, status: PhaseStatus = PhaseStatus.PASSED, reason: str = "AsExpected", message: str = "All is well."
) -> PhaseReport:
    return PhaseReport(
        name=name,
        status=status,
        reason=reason,
        message=message,
        enforced=name in _ENFORCED,
        seconds=_SECONDS[name] if status is not PhaseStatus.SKIPPED else 0.0,
    )


def good() -> PreflightReport:
    """Every phase ran; a cliff is worth a warning."""
    told = {
        PhaseName.LOAD: phase(
            PhaseName.LOAD, message="The model was ready after 1.8 s; the served schema is as stated."
        ),
        PhaseName.GOLDEN: phase(PhaseName.GOLDEN, message="All 100 answers are as expected."),
        PhaseName.PROFILE: phase(
            PhaseName.PROFILE,
            PhaseStatus.WARNED,
            "BatchCliff",
            "From batch 64 on an item takes 57 % longer than at 32: set maxBatchSize to 32.",
        ),
        PhaseName.LATENCY: phase(
            PhaseName.LATENCY, message="p99 is 61.7 ms at 406 requests/s; the budget is 100 ms of the promised 200 ms."
        ),
    }
    return report(
        Outcome.PASSED,
        "Passed",
        "The revision may serve: 8 phases passed, 1 warned.",
        [told.get(name, phase(name)) for name in PhaseName],
        Figures(
            load=LOAD,
            golden=GOLDEN,
            determinism=DETERMINISM,
            batch_invariance=INVARIANCE,
            profile=PROFILE,
            latency=LATENCY,
            memory=MemoryFigures(slopes=[slope(), slope("gpu0", 0.0)]),
            accuracy=ACCURACY,
            calibration=CALIBRATION,
        ),
    )


def rejected() -> PreflightReport:
    """Wrong answers, a leak, a server that dies at batch 64, and a promise that cannot be kept."""
    golden = GOLDEN.model_copy(
        update={
            "failed": 37,
            "errors": 2,
            "stable_agreement": 0.61,
            "worst": WorstDifference(
                output="label", case=4, absolute=6.0, relative=2.0, detail="expected 3, answered 9"
            ),
        }
    )
    determinism = DETERMINISM.model_copy(update={"level": DeterminismLevel.NONDETERMINISTIC, "cacheable": False})
    profile = PROFILE.model_copy(
        update={
            "rows": [
                *(batch_row(batch, MEDIANS[batch], 300) for batch in (1, 2, 4, 8, 16, 32)),
                failed_row(64, "The model server ended while a batch of 64 was running (exit code 137)."),
            ],
            "cliffs": [
                Cliff(batch=64, kind=CliffKind.FAILURE, explanation="The model server dies at batch 64."),
            ],
            "capacity": [Capacity(replicas=1, requests_per_s=0.0, confirmed=True)],
            "attainable": False,
        }
    )
    latency = LATENCY.model_copy(
        update={
            "failed": 12,
            "objective": [
                ObjectiveCheck(
                    quantile=0.99,
                    max_ms=50.0,
                    budget_ms=25.0,
                    value_ms=61.7,
                    low_ms=58.0,
                    high_ms=66.9,
                    status=PhaseStatus.FAILED,
                )
            ],
        }
    )
    accuracy = ACCURACY.model_copy(update={"accuracy": 0.931, "loss": 0.044, "low": 0.03, "high": 0.058})
    return report(
        Outcome.REJECTED,
        "GoldenMismatch",
        "Golden: 37 of 100 answers differ from what is expected; correct the model or the golden file.",
        [
            phase(PhaseName.LOAD),
            phase(
                PhaseName.GOLDEN,
                PhaseStatus.FAILED,
                "GoldenMismatch",
                "37 of 100 answers differ from what is expected, the worst in case 4: label is 9 and should be 3.",
            ),
            phase(PhaseName.DETERMINISM, PhaseStatus.WARNED, "Nondeterministic", "Caching is off."),
            phase(PhaseName.BATCH_INVARIANCE),
            phase(PhaseName.PROFILE, PhaseStatus.FAILED, "SLOUnattainable", "One request alone takes 61.7 ms."),
            phase(PhaseName.LATENCY, PhaseStatus.FAILED, "OverBudget", "p99 is 61.7 ms; the budget is 25 ms."),
            phase(PhaseName.MEMORY, PhaseStatus.FAILED, "MemoryLeak", "Host memory grows by 1.0 KiB per request."),
            phase(PhaseName.ACCURACY, PhaseStatus.FAILED, "LossTooHigh", "The loss may be 5.8 points; 1 is allowed."),
            phase(PhaseName.CALIBRATION, PhaseStatus.SKIPPED, "NotDeclared", "No output states a confidence."),
        ],
        Figures(
            load=LOAD,
            golden=golden,
            determinism=determinism,
            batch_invariance=INVARIANCE,
            profile=profile,
            latency=latency,
            memory=MemoryFigures(slopes=[slope(per_request=1027.0, leaking=True)]),
            accuracy=accuracy,
        ),
    )


def partial() -> PreflightReport:
    """The budget ended in the middle, and of what was measured much is not known."""
    profile = ProfileFigures(
        rows=[
            batch_row(1, 2.4, 12),
            BatchRow(batch=2, requests=0, quantiles=[], median_ms=None, items_per_s=None, item_ms=None),
        ],
        fit=None,
        knee=None,
        recommended_max_batch=None,
        cliffs=[],
        objective_ms=None,
        objective_quantile=None,
        capacity=[],
        attainable=None,
    )
    ran = (PhaseName.LOAD, PhaseName.GOLDEN, PhaseName.DETERMINISM, PhaseName.PROFILE)
    return report(
        Outcome.PASSED,
        "Passed",
        "The revision may serve; 5 phases were skipped because the budget of 10 s was spent.",
        [
            phase(name)
            if name in ran
            else phase(name, PhaseStatus.SKIPPED, "BudgetSpent", "No time was left: raise spec.preflight.budget.")
            for name in PhaseName
        ],
        Figures(
            load=LOAD.model_copy(update={"inputs": [], "max_batch_size": 0}),
            golden=GoldenFigures(source=InputSource.GENERATED, cases=100, expected=0, failed=0, errors=0),
            determinism=DeterminismFigures(
                level=DeterminismLevel.TOLERANCE,
                cases=20,
                repeats=10,
                concurrency=8,
                cacheable=True,
                worst=WorstDifference(output="probabilities", case=2, absolute=None, relative=None),
            ),
            profile=profile,
            memory=MemoryFigures(slopes=[]),
            calibration=CALIBRATION.model_copy(
                update={"temperature": None, "ece_after": None, "threshold": None, "coverage": None}
            ),
        ),
    )


def error() -> PreflightReport:
    """The preflight itself did not work: nothing was measured."""
    return report(
        Outcome.ERROR,
        "ServerUnreachable",
        "The model server at 10.0.3.7:8001 did not answer within 30 s; the preflight is tried again.",
        [],
        Figures(),
    )


def hostile() -> PreflightReport:
    """Every text that a model, a server or a data set can choose is an attack."""
    worst = WorstDifference(output=HOSTILE, case=1, absolute=1.0, relative=1.0, detail=HOSTILE)
    tensor = ServedTensor(name=HOSTILE, data_type=DataType.BYTES, dims=[-1])
    return report(
        Outcome.REJECTED,
        HOSTILE,
        HOSTILE,
        [phase(name, PhaseStatus.FAILED, HOSTILE, HOSTILE) for name in PhaseName],
        Figures(
            load=LOAD.model_copy(update={"inputs": [tensor], "outputs": [tensor], "server": HOSTILE}),
            golden=GOLDEN.model_copy(update={"failed": 1, "worst": worst}),
            determinism=DETERMINISM.model_copy(update={"worst": worst}),
            batch_invariance=INVARIANCE.model_copy(update={"worst": worst}),
            profile=PROFILE.model_copy(
                update={
                    "rows": [batch_row(1, 2.4), failed_row(2, HOSTILE)],
                    "cliffs": [Cliff(batch=2, kind=CliffKind.FAILURE, explanation=HOSTILE)],
                }
            ),
            memory=MemoryFigures(slopes=[slope(HOSTILE)]),
            accuracy=ACCURACY.model_copy(
                update={
                    "reference": HOSTILE,
                    "worst_classes": [ClassLoss(label=HOSTILE, rows=1, accuracy=0.0, reference_accuracy=1.0)],
                }
            ),
            calibration=CALIBRATION.model_copy(update={"output": HOSTILE}),
        ),
    ).model_copy(update={"model": HOSTILE, "revision": HOSTILE, "started_at": HOSTILE})


def report(
    outcome: Outcome,
    reason: str,
    message: str,
    phases: list[PhaseReport],
    figures: Figures,
) -> PreflightReport:
    return PreflightReport(
        model="digits",
        revision=REVISION,
        key=KEY,
        outcome=outcome,
        reason=reason,
        message=message,
        started_at="2026-01-31T12:00:00Z",
        budget_s=120.0,
        spent_s=sum(one.seconds for one in phases),
        phases=phases,
        figures=figures,
    )


SAMPLES = {"good": good, "rejected": rejected, "partial": partial, "error": error, "hostile": hostile}
