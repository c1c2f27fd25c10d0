"""Figures of a good model, from which the sample reports are made."""

from plimsoll.api.preflight_report import (
    AccuracyFigures,
    BatchInvarianceFigures,
    BatchRow,
    CalibrationFigures,
    Capacity,
    ClassLoss,
    Cliff,
    CliffKind,
    DeterminismFigures,
    DeterminismLevel,
    GoldenFigures,
    InputSource,
    LatencyFigures,
    LinearFit,
    LoadFigures,
    MemorySlope,
    ModelKind,
    ObjectiveCheck,
    PhaseStatus,
    ProfileFigures,
    QuantileFigure,
    ServedTensor,
    WorstDifference,
)
from plimsoll.api.vocabulary import DataType


def quantiles(median: float, *, requests: int = 2000) -> list[QuantileFigure]:
    """Five quantiles around a median; those that so few requests do not show have no value."""
    shares = {0.5: 1.0, 0.9: 1.15, 0.95: 1.3, 0.99: 1.8, 0.999: 2.6}
    return [
        QuantileFigure(quantile=q, value_ms=median * by, low_ms=median * by * 0.97, high_ms=median * by * 1.05)
        if requests * (1 - q) >= 10
        else QuantileFigure(quantile=q, value_ms=None, low_ms=None, high_ms=None)
        for q, by in shares.items()
    ]


def batch_row(batch: int, median: float, requests: int = 2000) -> BatchRow:
    return BatchRow(
        batch=batch,
        requests=requests,
        quantiles=quantiles(median, requests=requests),
        median_ms=median,
        items_per_s=1000 * batch / median,
        item_ms=median / batch,
    )


def failed_row(batch: int, failure: str) -> BatchRow:
    return BatchRow(
        batch=batch, requests=0, quantiles=[], median_ms=None, items_per_s=None, item_ms=None, failure=failure
    )


MEDIANS = {1: 2.4, 2: 2.9, 4: 3.8, 8: 5.6, 16: 9.3, 32: 16.7, 64: 52.4, 128: 101.0}
"""Median milliseconds by batch size: linear up to 32, and a cliff at 64."""

LOAD = LoadFigures(
    kind=ModelKind.PLAIN,
    inputs=[ServedTensor(name="image", data_type=DataType.FP32, dims=[64])],
    outputs=[
        ServedTensor(name="label", data_type=DataType.INT64, dims=[1]),
        ServedTensor(name="probabilities", data_type=DataType.FP32, dims=[10]),
    ],
    max_batch_size=128,
    server="triton 2.51.0",
    ready_after_ms=1840.0,
)
GOLDEN = GoldenFigures(source=InputSource.ARTEFACT, cases=100, expected=100, failed=0, errors=0, stable_agreement=0.99)
DETERMINISM = DeterminismFigures(level=DeterminismLevel.EXACT, cases=20, repeats=10, concurrency=8, cacheable=True)
INVARIANCE = BatchInvarianceFigures(
    sizes=[1, 2, 8, 32, 128],
    rows=640,
    level=DeterminismLevel.TOLERANCE,
    size=128,
    worst=WorstDifference(
        output="probabilities", case=17, absolute=2.4e-7, relative=3.1e-6, detail="0.0773211 and 0.0773213"
    ),
)
CAPACITY = [
    Capacity(replicas=replicas, requests_per_s=rate, confirmed=replicas == 1)
    for replicas, rate in {1: 812.0, 2: 1734.0, 4: 3590.0, 8: 7320.0, 16: 14820.0}.items()
]
PROFILE = ProfileFigures(
    rows=[batch_row(batch, median) for batch, median in MEDIANS.items()],
    fit=LinearFit(fixed_ms=1.9, per_item_ms=0.46, worst_residual=0.41, linear=False),
    knee=32,
    recommended_max_batch=32,
    cliffs=[
        Cliff(
            batch=64,
            kind=CliffKind.ITEM_TIME,
            explanation="An item takes 0.82 ms at batch 64, 57 % longer than at 32: set maxBatchSize to 32.",
        )
    ],
    objective_ms=200.0,
    objective_quantile=0.99,
    capacity=CAPACITY,
    attainable=True,
)


def objective_checks() -> list[ObjectiveCheck]:
    wanted = {0.5: (40.0, 20.0, 8.1), 0.99: (200.0, 100.0, 61.7)}
    return [
        ObjectiveCheck(
            quantile=q,
            max_ms=most,
            budget_ms=budget,
            value_ms=value,
            low_ms=value * 0.96,
            high_ms=value * 1.07,
            status=PhaseStatus.PASSED,
        )
        for q, (most, budget, value) in wanted.items()
    ]


LATENCY = LatencyFigures(
    requests_per_s=406.0,
    requests=9744,
    failed=0,
    quantiles=[
        QuantileFigure(quantile=0.5, value_ms=8.1, low_ms=7.9, high_ms=8.4),
        QuantileFigure(quantile=0.9, value_ms=19.4, low_ms=18.8, high_ms=20.3),
        QuantileFigure(quantile=0.95, value_ms=31.0, low_ms=29.7, high_ms=32.9),
        QuantileFigure(quantile=0.99, value_ms=61.7, low_ms=58.0, high_ms=66.9),
        QuantileFigure(quantile=0.999, value_ms=None, low_ms=None, high_ms=None),
    ],
    objective=objective_checks(),
)


def slope(device: str = "host", per_request: float = 0.6, *, leaking: bool = False) -> MemorySlope:
    requests = 6000
    return MemorySlope(
        device=device,
        requests=requests,
        start_bytes=182_452_224,
        end_bytes=182_452_224 + round(per_request * requests),
        bytes_per_request=per_request,
        low=per_request - 5.1,
        high=per_request + 4.7,
        second_half=per_request * 0.97,
        detectable=96.0,
        leaking=leaking,
    )


ACCURACY = AccuracyFigures(
    reference="digits-fp32",
    rows=719,
    accuracy=0.9736,
    reference_accuracy=0.975,
    loss=0.0014,
    low=-0.0036,
    high=0.0056,
    max_loss=0.01,
    agreement=0.9986,
    worst_classes=[
        ClassLoss(label="8", rows=71, accuracy=0.9296, reference_accuracy=0.9437),
        ClassLoss(label="3", rows=74, accuracy=0.973, reference_accuracy=0.973),
    ],
)
CALIBRATION = CalibrationFigures(
    output="probabilities",
    rows=719,
    ece=0.041,
    noise_floor=0.018,
    temperature=1.62,
    ece_after=0.012,
    error_rate=0.01,
    threshold=0.83,
    coverage=0.914,
)
