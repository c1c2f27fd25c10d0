"""A whole preflight: order, time, report, and that nothing passes for a pass that is none."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.oip_server import Die, Model, Tensors, serving
from tests.support.preflighting import f32, request

from plimsoll.api.preflight_report import (
    InputSource,
    LoadFigures,
    MemoryFigures,
    MemorySlope,
    ModelKind,
    Outcome,
    PhaseName,
    PhaseReport,
    PhaseStatus,
    PreflightReport,
)
from plimsoll.errors import Invalid, PlimsollError
from plimsoll.kube.clock import Clock
from plimsoll.preflight import witness
from plimsoll.preflight.client import Session
from plimsoll.preflight.failures import NoAnswerError, OverloadedError, RefusedError, ServerGoneError
from plimsoll.preflight.phases import Context, InterruptedPhaseError, Phase, golden, load
from plimsoll.preflight.progress import LineProgress
from plimsoll.preflight.request import DataFile, Examiner, Request
from plimsoll.preflight.run import run_preflight

NAMES = list(PhaseName)


def answers(inputs: Tensors) -> Tensors:
    return {"y": f32(*[[1.0, 2.0, 3.0]] * len(inputs["x"]))}


def passes(seen: list[Context] | None = None) -> Phase:
    async def examine(_session: Session, context: Context) -> Any:
        if seen is not None:
            seen.append(context)
        return context.report(PhaseStatus.PASSED, "Fine", "Fine."), None

    return examine


def raises(error: Exception) -> Phase:
    async def examine(_session: Session, _context: Context) -> Any:
        raise error

    return examine


def phases(**others: Phase) -> Mapping[PhaseName, Phase]:
    return {name: others.get(name.name.lower(), passes()) for name in NAMES} | {
        PhaseName.LOAD: others.get("load", load.examine)
    }


async def run(asked: Request, these: Mapping[PhaseName, Phase], clock: Clock | None = None) -> PreflightReport:
    return await run_preflight(asked, LineProgress(lambda _: None), clock or Clock(), these)


async def run_against(model: Model, these: Mapping[PhaseName, Phase], **fields: Any) -> PreflightReport:
    async with serving(model) as server:
        return await run(request(server.address, **fields), these)


def of(report: PreflightReport, name: PhaseName) -> PhaseReport:
    return next(phase for phase in report.phases if phase.name is name)


async def test_every_phase_is_run_in_order_and_reported() -> None:
    report = await run_against(Model(answers), phases(), revision="m-1a", key="k1")
    assert [phase.name for phase in report.phases] == NAMES
    assert (report.outcome, report.reason) == (Outcome.PASSED, "Passed")
    assert (report.model, report.revision, report.key, report.budget_s) == ("m", "m-1a", "k1", 120)
    assert [phase.name for phase in report.phases if phase.enforced] == ["Load", "Golden", "Accuracy"]
    assert report.figures.load is not None
    assert PreflightReport.model_validate_json(report.model_dump_json(by_alias=True)) == report


async def test_figures_of_earlier_phases_reach_later_ones() -> None:
    seen: list[Context] = []
    await run_against(Model(answers), phases(golden=golden.examine, profile=passes(seen)))
    assert isinstance(seen[0].figures.load, LoadFigures)
    assert seen[0].figures.golden is not None
    assert seen[0].inputs.source is InputSource.GENERATED


async def test_a_preflight_that_is_repeated_asks_the_same() -> None:
    seen: list[Context] = []
    for _ in range(2):
        await run_against(Model(answers), phases(profile=passes(seen)))
    first, second = seen
    assert [case.inputs["x"].tolist() for case in first.inputs.cases] == [
        case.inputs["x"].tolist() for case in second.inputs.cases
    ]
    assert first.rng.random() == second.rng.random()


class TestTime:
    async def test_what_a_phase_leaves_over_is_the_others(self) -> None:
        seconds = await self.shares()
        assert seconds["profile"] > seconds["golden"]
        assert seconds["calibration"] == 120

    async def test_what_a_phase_takes_too_much_is_missing_later(self) -> None:
        seconds = await self.shares(golden=120.0)
        assert [seconds[name] for name in ("determinism", "accuracy", "calibration")] == [0, 0, 0]

    async def test_loading_is_not_in_the_budget(self) -> None:
        now = [0.0]
        clock = Clock(monotonic=lambda: now[0])

        async def slow(session: Session, context: Context) -> Any:
            outcome = await load.examine(session, context)
            now[0] += 300
            return outcome

        async with serving(Model(answers)) as server:
            report = await run(request(server.address), phases(load=slow), clock)
        assert (report.spent_s, report.phases[0].seconds) == (0, 300)

    async def shares(self, **takes: float) -> dict[str, float]:
        """Seconds that each phase was given, when those named take that long and the others no time."""
        now = [0.0]
        clock = Clock(monotonic=lambda: now[0], utc_now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        given: dict[str, float] = {}

        async def examine(_session: Session, context: Context) -> Any:
            given[context.phase.name.lower()] = context.seconds
            now[0] += takes.get(context.phase.name.lower(), 0.0)
            return context.report(PhaseStatus.PASSED, "Fine", "Fine."), None

        async with serving(Model(answers)) as server:
            await run(request(server.address), {**dict.fromkeys(NAMES, examine), PhaseName.LOAD: load.examine}, clock)
        return given


class TestLoad:
    async def test_a_model_that_does_not_load_rejects_and_nothing_else_is_asked(self) -> None:
        report = await run_against(Model(answers, ready=False), phases(), progress_deadline_s=0.3)
        assert (report.outcome, report.reason) == (Outcome.REJECTED, "NotReady")
        assert {(phase.status, phase.reason) for phase in report.phases[1:]} == {("Skipped", "NotLoaded")}

    async def test_nobody_there_is_an_outage(self) -> None:
        report = await run(request("127.0.0.1:1", progress_deadline_s=0.3), phases())
        assert (report.outcome, report.reason) == (Outcome.ERROR, "ServerUnreachable")

    @pytest.mark.parametrize(
        ("config", "kind"),
        [
            ({"sequence_batching": {}}, ModelKind.SEQUENCE),
            ({"model_transaction_policy": {"decoupled": True}}, ModelKind.DECOUPLED),
        ],
    )
    async def test_a_kind_that_is_not_proved_is_refused_by_name(self, config: dict[str, Any], kind: ModelKind) -> None:
        report = await run_against(Model(answers, config=config), phases())
        assert (report.outcome, report.reason) == (Outcome.REJECTED, "UnsupportedKind")
        assert f"of the kind {kind}" in report.message
        assert report.figures.load is not None
        assert report.figures.load.kind is kind

    async def test_an_ensemble_is_examined(self) -> None:
        steps = {"ensemble_scheduling": {"step": [{"model_name": "a"}]}}
        assert (await run_against(Model(answers, config=steps), phases())).outcome is Outcome.PASSED

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"inputs": [("x", "FP32", [2])]}, ""),
            ({"inputs": [("x", "FP32", [-1])]}, ""),
            ({"inputs": None}, ""),
            ({"inputs": [("x", "FP64", [2])]}, "The input 'x' is FP64 [2] in the spec and served as FP32 [2]."),
            ({"inputs": [("x", "FP32", [3])]}, "The input 'x' is FP32 [3] in the spec and served as FP32 [2]."),
            ({"inputs": [("x", "FP32", [2, 2])]}, "is FP32 [2, 2] in the spec"),
            ({"outputs": [("z", "FP32", [3])]}, "The spec names the outputs z, served are y."),
        ],
    )
    async def test_what_is_served_has_to_be_what_the_spec_says(self, fields: dict[str, Any], message: str) -> None:
        stated = {
            side: tensors and [{"name": name, "dataType": kind, "dims": dims} for name, kind, dims in tensors]
            for side, tensors in fields.items()
        }
        report = await run_against(Model(answers), phases(), **stated)
        assert report.reason == ("InterfaceMismatch" if message else "Passed")
        assert message in report.message


class TestGoldenFile:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (None, "FileMissing"),
            ("", "FileMalformed"),
            ("{}", "FileMismatch"),
            ('{"cases": []}', "FileMismatch"),
            ('{"cases": [{"inputs": []}]}', "FileMismatch"),
        ],
    )
    async def test_one_that_cannot_be_used_rejects_and_the_rest_is_still_looked_at(
        self, tmp_path: Any, content: str | None, reason: str
    ) -> None:
        file = tmp_path / "golden.json"
        if content is not None:
            file.write_text(content)
        seen: list[Context] = []
        report = await run_against(
            Model(answers),
            phases(profile=passes(seen)),
            golden=[DataFile(source=InputSource.CONFIG_MAP, location=str(file))],
        )
        assert (report.outcome, report.reason) == (Outcome.REJECTED, reason)
        assert seen[0].inputs.generated

    async def test_one_that_cannot_be_read_now_is_an_outage(self) -> None:
        golden_file = DataFile(source=InputSource.ARTEFACT, location="http://127.0.0.1:1/golden", optional=True)
        report = await run_against(Model(answers), phases(), golden=[golden_file])
        assert (report.outcome, report.reason) == (Outcome.ERROR, "FileUnreadable")


class TestTrouble:
    @pytest.mark.parametrize(
        ("error", "outcome", "reason"),
        [
            (Invalid("UnknownOutput", "There is no such output."), Outcome.REJECTED, "UnknownOutput"),
            (PlimsollError("ReferenceGone", "It does not answer."), Outcome.ERROR, "ReferenceGone"),
            (OverloadedError("queue full", 1), Outcome.ERROR, "Overloaded"),
            (RuntimeError("boom"), Outcome.ERROR, "PreflightFailed"),
            (TimeoutError(), Outcome.ERROR, "PreflightFailed"),
            (OSError("no space"), Outcome.ERROR, "PreflightFailed"),
        ],
    )
    async def test_in_a_phase_that_decides(self, error: Exception, outcome: Outcome, reason: str) -> None:
        report = await run_against(Model(answers), phases(golden=raises(error)))
        assert (report.outcome, report.reason) == (outcome, reason)
        assert [phase.name for phase in report.phases] == NAMES

    async def test_an_error_leaves_what_was_found_before(self) -> None:
        report = await run_against(Model(answers), phases(profile=raises(RuntimeError("boom"))))
        assert of(report, PhaseName.GOLDEN).status is PhaseStatus.PASSED
        assert {phase.reason for phase in report.phases[4:]} == {"NotReached"}
        assert report.figures.load is not None

    async def test_a_queue_that_is_full_only_skips_a_phase_that_does_not_decide(self) -> None:
        report = await run_against(Model(answers), phases(determinism=raises(OverloadedError("queue full", 1))))
        assert report.outcome is Outcome.PASSED
        assert of(report, PhaseName.DETERMINISM).reason == "Overloaded"

    async def test_generated_inputs_that_are_refused_skip_a_phase(self) -> None:
        everything = {"preflight": {"enforce": list(PhaseName)}}
        report = await run_against(Model(answers), phases(profile=raises(RefusedError("no", 4))), **everything)
        assert report.outcome is Outcome.PASSED
        assert (of(report, PhaseName.PROFILE).status, of(report, PhaseName.PROFILE).reason) == (
            "Skipped",
            "InputsRefused",
        )

    async def test_a_phase_that_never_ends_is_a_bug_here(self) -> None:
        async def stuck(_session: Session, _context: Context) -> Any:
            await asyncio.sleep(3600)

        report = await run_against(
            Model(answers), phases(golden=stuck), preflight={"budget": "100ms"}, request_timeout_s=0.05
        )
        assert (report.outcome, report.reason) == (Outcome.ERROR, "PreflightFailed")


class TestServerGone:
    """A rejection lasts, so only a server that the model brought down may cause one."""

    @pytest.fixture(autouse=True)
    def _short_patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(witness, "_POLL_S", 0.05)
        monkeypatch.setattr(witness, "PATIENCE_S", 0.5)

    async def crash(self, *, restarts: bool, **fields: Any) -> PreflightReport:
        """Runs against a model that crashes its server at batches of 4."""

        def crashes(inputs: Tensors) -> Tensors:
            if len(inputs["x"]) == 4:
                raise Die
            return answers(inputs)

        async def examine(session: Session, context: Context) -> Any:
            await session.infer(session.prepare({"x": f32(*[[1, 2]] * 4)}))
            return context.report(PhaseStatus.PASSED, "Fine", "Fine."), None

        async with serving(Model(crashes), restarts=restarts) as server:
            return await run(request(server.address, **fields), phases(profile=examine))

    async def test_one_that_comes_back_was_crashed_by_the_model(self) -> None:
        report = await self.crash(restarts=True)
        assert (report.outcome, report.reason) == (Outcome.REJECTED, "ServerDied")
        assert "died at a batch of 4" in report.message
        assert of(report, PhaseName.PROFILE).enforced
        assert {phase.reason for phase in report.phases[5:]} == {"ServerGone"}

    async def test_a_crash_does_not_reject_where_nothing_is_enforced(self) -> None:
        report = await self.crash(restarts=True, preflight={"mode": "Warn"})
        assert (report.outcome, report.reason) == (Outcome.PASSED, "PassedWithWarnings")
        assert "died at a batch of 4" in report.message

    async def test_one_that_stays_away_may_be_anybodys_fault(self) -> None:
        report = await self.crash(restarts=False)
        assert (report.outcome, report.reason) == (Outcome.ERROR, "ServerLost")
        assert "a batch of 4" in report.message

    async def test_with_its_examiner_gone_the_pod_is(self) -> None:
        report = await self.crash(restarts=False, examiner=Examiner(url="http://127.0.0.1:1"))
        assert (report.outcome, report.reason) == (Outcome.ERROR, "ServerLost")

    async def test_with_its_examiner_there_the_pod_stays_and_the_server_crashed(self) -> None:
        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as examiner:
            port = examiner.sockets[0].getsockname()[1]
            report = await self.crash(restarts=False, examiner=Examiner(url=f"http://127.0.0.1:{port}"))
        assert (report.outcome, report.reason) == (Outcome.REJECTED, "ServerDied")

    async def test_on_this_machine_the_process_says_it(self) -> None:
        ended = await asyncio.create_subprocess_exec("true")
        await ended.wait()
        report = await self.crash(restarts=False, examiner=Examiner(process_id=ended.pid))
        assert (report.outcome, report.reason) == (Outcome.REJECTED, "ServerDied")

    @pytest.mark.parametrize("error", [ServerGoneError("Socket closed", 64), NoAnswerError("no answer within 5 s", 64)])
    async def test_figures_until_then_are_kept(self, error: ServerGoneError | NoAnswerError) -> None:
        slope = MemorySlope(
            device="host",
            requests=1,
            start_bytes=1,
            end_bytes=1,
            bytes_per_request=0,
            low=0,
            high=0,
            second_half=0,
            detectable=1,
            leaking=False,
        )
        cut = raises(InterruptedPhaseError(error, MemoryFigures(slopes=[slope])))
        report = await run_against(Model(answers), phases(memory=cut))
        assert report.outcome is Outcome.REJECTED
        assert "a batch of 64" in report.message
        assert report.figures.memory is not None

    async def test_a_model_that_hangs_is_named_as_such(self) -> None:
        async def hangs(inputs: Tensors) -> Tensors:
            await asyncio.sleep(3600)
            return inputs

        report = await run_against(Model(hangs), phases(golden=golden.examine), request_timeout_s=0.2)
        assert (report.outcome, report.reason) == (Outcome.REJECTED, "ModelHangs")
        assert "no answer within 0.2 s to a single request" in report.message
