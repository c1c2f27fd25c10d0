"""The golden test: what each kind of answer is worth, by who vouches for the inputs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from tests.support.oip_server import Model, Refuse, Serving, Tensors, serving
from tests.support.preflighting import context, f32, golden, peer, request

from plimsoll.api.preflight_report import GoldenFigures, InputSource, PhaseName, PhaseReport
from plimsoll.errors import Invalid
from plimsoll.preflight.client import Session
from plimsoll.preflight.inputs import Case
from plimsoll.preflight.phases import PeerGoneError
from plimsoll.preflight.phases.golden import examine

ARTEFACT, GENERATED = InputSource.ARTEFACT, InputSource.GENERATED
NAN = float("nan")


def echo(inputs: Tensors) -> Tensors:
    """`y` is the sum of a row's values, three times."""
    return {"y": np.repeat(inputs["x"].sum(axis=1, keepdims=True), 3, axis=1)}


def cases(count: int = 4, wrong: dict[int, float] | None = None) -> list[Case]:
    """Rows [n, 0] with what `echo` answers, but for what `wrong` adds by case number."""
    made = []
    for number in range(1, count + 1):
        value = number + (wrong or {}).get(number, 0.0)
        made.append(Case(number, {"x": f32([number, 0])}, {"y": f32([value] * 3)}))
    return made


def without_expectation(made: list[Case]) -> list[Case]:
    return [Case(case.number, case.inputs) for case in made]


@asynccontextmanager
async def session_with(model: Model) -> AsyncIterator[tuple[Session, Serving]]:
    async with serving(model) as server, Session(server.address, "m", 5) as session:
        await session.describe()
        yield session, server


async def examined(
    compute: Any, made: list[Case], source: InputSource = ARTEFACT, **fields: Any
) -> tuple[PhaseReport, GoldenFigures]:
    async with session_with(Model(compute)) as (session, server):
        asked = request(server.address, **fields)
        report, figures = await examine(session, context(asked, PhaseName.GOLDEN, golden(made, source)))
    assert isinstance(figures, GoldenFigures)
    return report, figures


def fails_on(*bad: float, with_: Any) -> Any:
    """A model that does something else where the first value of a row is one of `bad`."""

    def compute(inputs: Tensors) -> Tensors:
        if inputs["x"][0, 0] in bad:
            if isinstance(with_, Exception):
                raise with_
            return {"y": with_}
        return echo(inputs)

    return compute


REFUSES = fails_on(2.0, with_=Refuse("index 7 is out of bounds"))
REFUSES_ALL = fails_on(1.0, 2.0, 3.0, 4.0, with_=Refuse("index 7 is out of bounds"))
NAN_ONCE = fails_on(2.0, with_=f32([1, NAN, 3]))
NAN_ALWAYS = fails_on(1.0, 2.0, 3.0, 4.0, with_=f32([1, NAN, 3]))
TWO_VALUES = fails_on(2.0, with_=f32([1, 2]))
EMPTY = fails_on(2.0, with_=np.empty((1, 0), "<f4"))

EXPECTED = cases()
PLAIN = without_expectation(EXPECTED)
WRONG = cases(wrong={3: 0.5})
ALMOST = cases(wrong={3: 1e-6})


@pytest.mark.parametrize(
    ("compute", "made", "source", "verdict"),
    [
        # With expected outputs all of it counts.
        (echo, EXPECTED, ARTEFACT, ("Passed", "AsExpected")),
        (echo, ALMOST, ARTEFACT, ("Passed", "AsExpected")),
        (echo, WRONG, ARTEFACT, ("Failed", "UnexpectedAnswers")),
        (REFUSES, EXPECTED, ARTEFACT, ("Failed", "AnsweredWithError")),
        (REFUSES_ALL, EXPECTED, ARTEFACT, ("Failed", "AnsweredWithError")),
        (NAN_ONCE, EXPECTED, ARTEFACT, ("Failed", "NotFinite")),
        # Without, an answer has to be one.
        (echo, PLAIN, ARTEFACT, ("Passed", "ValidAnswers")),
        (REFUSES, PLAIN, ARTEFACT, ("Failed", "AnsweredWithError")),
        (NAN_ONCE, PLAIN, ARTEFACT, ("Failed", "NotFinite")),
        (TWO_VALUES, PLAIN, ARTEFACT, ("Failed", "InvalidAnswers")),
        (EMPTY, PLAIN, ARTEFACT, ("Failed", "InvalidAnswers")),
        # Nobody vouches for generated inputs: that the model cannot take some says nothing about it.
        (echo, PLAIN, GENERATED, ("Passed", "ValidAnswers")),
        (REFUSES, PLAIN, GENERATED, ("Passed", "ValidAnswers")),
        (REFUSES_ALL, PLAIN, GENERATED, ("Skipped", "InputsRefused")),
        (NAN_ONCE, PLAIN, GENERATED, ("Warned", "NotFinite")),
        (NAN_ALWAYS, PLAIN, GENERATED, ("Failed", "NotFinite")),
        (TWO_VALUES, PLAIN, GENERATED, ("Failed", "InvalidAnswers")),
        (EMPTY, PLAIN, GENERATED, ("Failed", "InvalidAnswers")),
    ],
)
async def test_verdicts(compute: Any, made: list[Case], source: InputSource, verdict: tuple[str, str]) -> None:
    report, _ = await examined(compute, made, source)
    assert (report.status, report.reason) == verdict


async def test_the_worst_answer_is_named() -> None:
    report, figures = await examined(echo, cases(wrong={2: 0.1, 3: 0.5}))
    assert (figures.cases, figures.expected, figures.failed, figures.errors) == (4, 4, 2, 0)
    assert figures.worst is not None
    assert (figures.worst.output, figures.worst.case, figures.worst.absolute) == ("y", 3, 0.5)
    assert report.message.startswith("2 of 4 answers are not the expected ones; output 'y' of case 3: 3.0 instead of")


async def test_errors_are_counted_and_the_rows_left_out_later() -> None:
    inputs = golden(PLAIN, GENERATED)
    async with session_with(Model(REFUSES)) as (session, server):
        report, figures = await examine(session, context(request(server.address), PhaseName.GOLDEN, inputs))
    assert isinstance(figures, GoldenFigures)
    assert (figures.cases, figures.failed, figures.errors) == (4, 1, 1)
    assert [case.number for case in inputs.usable] == [1, 3, 4]
    assert "1 were refused by the model and skipped" in report.message


@pytest.mark.parametrize(
    ("tolerance", "status"),
    [
        ({"output": "y", "absolute": "0.6"}, "Passed"),
        ({"output": "y", "absolute": "0.4"}, "Failed"),
        ({"output": "y", "relative": "0.2"}, "Passed"),
        ({"output": "y", "relative": "0.1"}, "Failed"),
        ({"output": "y", "absolute": "0.1", "relative": "0.2"}, "Passed"),
    ],
)
async def test_stated_tolerances_replace_the_default(tolerance: dict[str, str], status: str) -> None:
    report, _ = await examined(echo, WRONG, preflight={"tolerance": [tolerance]})
    assert report.status == status


async def test_a_tolerance_for_no_output_is_refused() -> None:
    with pytest.raises(Invalid, match="names the output 'z', the model gives y"):
        await examined(echo, WRONG, preflight={"tolerance": [{"output": "z", "absolute": "1"}]})


async def test_without_time_one_case_is_asked_and_that_is_no_pass() -> None:
    async with session_with(Model(echo)) as (session, server):
        late = context(request(server.address), PhaseName.GOLDEN, golden(EXPECTED), seconds=0)
        report, _ = await examine(session, late)
    assert server.asked == [1]
    assert (report.status, report.reason) == ("Warned", "OutOfTime")


def scores(shift: float) -> Any:
    """Class 0 for sums below `shift`, else class 2."""

    def compute(inputs: Tensors) -> Tensors:
        total = inputs["x"].sum(axis=1)
        return {"y": np.stack([shift - total, np.zeros_like(total), total - shift], axis=1).astype("<f4")}

    return compute


@pytest.mark.parametrize(
    ("theirs", "same_model", "source", "verdict", "agreement"),
    [
        (scores(2.6), False, ARTEFACT, ("Passed", "ValidAnswers"), 1.0),
        (scores(3.5), False, ARTEFACT, ("Warned", "DiffersFromStable"), 0.75),
        (scores(3.5), False, GENERATED, ("Passed", "ValidAnswers"), 0.75),
        (scores(2.5), True, ARTEFACT, ("Passed", "ValidAnswers"), 1.0),
        (scores(2.6), True, ARTEFACT, ("Failed", "DiffersFromStable"), 0.0),
        (scores(2.6), True, GENERATED, ("Failed", "DiffersFromStable"), 0.0),
    ],
)
async def test_agreement_with_stable(
    theirs: Any, *, same_model: bool, source: InputSource, verdict: tuple[str, str], agreement: float
) -> None:
    async with session_with(Model(scores(2.5))) as (ours, server), session_with(Model(theirs)) as (stable, other):
        asked = request(server.address, stable=peer(other.address), same_model=same_model)
        report, figures = await examine(ours, context(asked, PhaseName.GOLDEN, golden(PLAIN, source), stable=stable))
    assert isinstance(figures, GoldenFigures)
    assert (report.status, report.reason) == verdict
    assert figures.stable_agreement == agreement


async def test_a_model_that_disagrees_with_itself_is_not_held_to_stable() -> None:
    rng = np.random.default_rng(1)
    noisy = Model(lambda inputs: {"y": rng.random((len(inputs["x"]), 3), dtype="f4")})
    async with session_with(noisy) as (ours, server), session_with(Model(echo)) as (stable, other):
        asked = request(server.address, stable=peer(other.address), same_model=True)
        report, figures = await examine(ours, context(asked, PhaseName.GOLDEN, golden(PLAIN), stable=stable))
    assert isinstance(figures, GoldenFigures)
    assert (report.status, figures.stable_agreement) == ("Passed", None)


@pytest.mark.parametrize("same_model", [False, True])
@pytest.mark.parametrize("ready", [False, True])
async def test_a_stable_revision_that_is_gone_is_an_outage_only_where_it_decides(
    *, ready: bool, same_model: bool
) -> None:
    async with session_with(Model(echo)) as (ours, server), session_with(Model(echo)) as (stable, other):
        asked = request(server.address, stable=peer(other.address), same_model=same_model)
        await stable.close()
        async with Session("127.0.0.1:1", "m", 1) as gone:
            gone._served = ours.served  # noqa: SLF001 - it was there when it was described
            it = context(asked, PhaseName.GOLDEN, golden(EXPECTED), stable=gone if ready else None)
            if same_model:
                with pytest.raises(PeerGoneError):
                    await examine(ours, it)
                return
            report, _ = await examine(ours, it)
    assert (report.status, report.reason) == ("Passed", "AsExpected")
    assert "stable does not answer" in report.message


async def test_a_stable_revision_with_other_inputs_is_not_asked() -> None:
    def no_answer(_inputs: Tensors) -> Tensors:
        raise AssertionError

    other_inputs = Model(no_answer, inputs=[*Model(echo).inputs, *[("z", *Model(echo).inputs[0][1:])]])
    async with session_with(Model(echo)) as (ours, server), session_with(other_inputs) as (stable, other):
        asked = request(server.address, stable=peer(other.address))
        report, figures = await examine(ours, context(asked, PhaseName.GOLDEN, golden(EXPECTED), stable=stable))
    assert isinstance(figures, GoldenFigures)
    assert figures.stable_agreement is None
    assert "stable takes other inputs" in report.message
    assert other.asked == []
