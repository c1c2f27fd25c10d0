"""Golden cases and labelled rows: what is read, and what is refused before anything is sent."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.preflighting import served

from plimsoll.api.preflight_report import InputSource
from plimsoll.api.vocabulary import DataType
from plimsoll.errors import Invalid
from plimsoll.preflight.cases import golden_cases, labelled_rows
from plimsoll.preflight.documents import Document, UnreadableError, first_document
from plimsoll.preflight.request import DataFile

NAN = float("nan")


SERVED = served(outputs=(("y", DataType.FP32, [3]), ("label", DataType.BYTES, [1])), max_batch_size=4)


def tensor(
    name: str = "x", shape: tuple[int, ...] = (1, 2), data: Any = (1, 2), datatype: str = "FP32"
) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": data if data is None else list(data)}


def y(shape: tuple[int, ...] = (1, 3), data: Any = (1, 2, 3), **rest: Any) -> dict[str, Any]:
    return tensor("y", shape, data, **rest)


def document(*cases: Any) -> Document:
    return Document(InputSource.ARTEFACT, "golden.json", {"cases": list(cases)})


def test_cases_have_the_protocols_values() -> None:
    text = tensor("label", (1, 1), ["cat"], "BYTES")
    first, second = golden_cases(
        document({"inputs": [tensor()], "outputs": [y(), text]}, {"inputs": [tensor()]}), SERVED, 9
    )
    assert first.inputs["x"].tolist() == [[1, 2]]
    assert first.expected is not None
    assert first.expected["y"].dtype == np.float32
    assert first.expected["label"].tolist() == [[b"cat"]]
    assert (second.number, second.expected) == (2, None)


@pytest.mark.parametrize("outputs", [None, []])
def test_no_outputs_are_no_expectation(outputs: Any) -> None:
    (case,) = golden_cases(document({"inputs": [tensor()], "outputs": outputs}), SERVED, 9)
    assert case.expected is None


def test_of_a_long_file_the_first_are_used_and_all_are_checked() -> None:
    good = {"inputs": [tensor()]}
    assert len(golden_cases(document(*[good] * 5), SERVED, 3)) == 3
    with pytest.raises(Invalid, match="case 5"):
        golden_cases(document(*[good] * 4, {"inputs": []}), SERVED, 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "at least one case"),
        ([], "at least one case"),
        ({"cases": []}, "at least one case"),
        ({"cases": [7]}, "case 1 has no list 'inputs'"),
        ({"cases": [{"inputs": [tensor()], "outputs": 7}]}, "case 1 has no list 'outputs'"),
        ({"cases": [{"inputs": [tensor("z")]}]}, "case 1 has the inputs z, the model takes x"),
        ({"cases": [{"inputs": [tensor()], "outputs": [tensor("z")]}]}, "has the outputs z, the model gives y, label"),
        ({"cases": [{"inputs": [tensor()], "outputs": [y(), y()]}]}, "has the outputs y, y"),
        ({"cases": [{"inputs": [tensor()], "outputs": [y((1, 2), (1, 2))]}]}, "[1, 2], the model gives [3] after"),
        ({"cases": [{"inputs": [tensor()], "outputs": [y(datatype="FP64")]}]}, "is FP64, the model gives FP32"),
        ({"cases": [{"inputs": [tensor()], "outputs": [y(data=(1, 2, NAN))]}]}, "a value that is not finite"),
        ({"cases": [{"inputs": [tensor()], "outputs": [y(data=(1, 2, None))]}]}, "must be a number"),
        ({"cases": [{"inputs": [tensor()], "outputs": [y(data=(1, 2))]}]}, "has 2 values for the shape [1, 3]"),
        ({"cases": [{"inputs": [tensor()], "outputs": [y((2, 3), range(6))]}]}, "another batch dimension"),
    ],
)
def test_refused_golden_files(content: Any, says: str) -> None:
    with pytest.raises(Invalid) as error:
        golden_cases(Document(InputSource.CONFIG_MAP, "/golden/key", content), SERVED, 9)
    assert error.value.reason == "FileMismatch"
    assert says in error.value.message
    assert "/golden/key" in error.value.message


def test_labels_stand_beside_their_rows() -> None:
    two = {"inputs": [tensor(shape=(2, 2), data=(1, 2, 3, 4))], "labels": [0, 7]}
    rows = labelled_rows(document({"inputs": [tensor()], "label": 3}, two), SERVED)
    assert [(row.case, row.label, row.inputs["x"].tolist()) for row in rows] == [
        (1, 3, [[1, 2]]),
        (2, 0, [[1, 2]]),
        (2, 7, [[3, 4]]),
    ]


@pytest.mark.parametrize(
    ("cases", "says"),
    [
        ([{"inputs": [tensor()]}], "case 1 has no 'label'"),
        ([{"inputs": [tensor()], "label": 1.5}], "case 1 has no 'label'"),
        ([{"inputs": [tensor()], "label": True}], "case 1 has no 'label'"),
        ([{"inputs": [tensor()], "labels": [1, 2]}], "case 1 has 2 labels for 1 rows"),
        ([{"inputs": [tensor(shape=(2, 2), data=range(4))], "label": 1}], "case 1 has 1 labels for 2 rows"),
        ([{"inputs": [tensor()], "label": 1}, {"inputs": [tensor()], "label": "cat"}], "some labels are numbers"),
        ([], "at least one case"),
    ],
)
def test_refused_datasets(cases: list[Any], says: str) -> None:
    with pytest.raises(Invalid) as error:
        labelled_rows(document(*cases), SERVED)
    assert says in error.value.message


class TestFiles:
    async def test_the_first_that_exists_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "b").write_text(json.dumps({"cases": []}))
        files = [self.file(tmp_path / "a", optional=True), self.file(tmp_path / "b"), self.file(tmp_path / "c")]
        found = await first_document(files, None)
        assert found is not None
        assert (found.location, found.content) == (str(tmp_path / "b"), {"cases": []})

    async def test_none_that_is_optional_is_no_error(self, tmp_path: Path) -> None:
        assert await first_document([self.file(tmp_path / "a", optional=True)], None) is None
        assert await first_document([], None) is None

    async def test_a_named_file_that_is_missing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="does not exist"):
            await first_document([self.file(tmp_path / "a")], None)

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
    async def test_what_is_not_json_is_refused(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(Invalid, match="is not JSON"):
            await first_document([self.file(tmp_path / "a")], None)

    async def test_a_server_that_is_not_there_is_an_outage(self) -> None:
        url = DataFile(source=InputSource.ARTEFACT, location="http://127.0.0.1:1/golden", optional=True)
        with pytest.raises(UnreadableError):
            await first_document([url], None)

    def file(self, path: Path, *, optional: bool = False) -> DataFile:
        return DataFile(source=InputSource.FILE, location=str(path), optional=optional)
