"""Our own ONNX header reader, against the `onnx` package and against hostile bytes."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.support.onnx_models import choosy, linear, model, value

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.tensors import ModelHeader, Tensor, UntypedTensor
from plimsoll.errors import Invalid
from plimsoll.fetch import onnx_header
from plimsoll.fetch.onnx_header import OnnxFile, read_onnx


def read(tmp_path: Path, data: bytes) -> OnnxFile:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return read_onnx(path)


def test_inputs_and_outputs(tmp_path: Path) -> None:
    assert read(tmp_path, linear(label=True)) == OnnxFile(
        ModelHeader(
            (Tensor("x", DataType.FP32, (-1, 4)),),
            (Tensor("y", DataType.FP32, (-1, 3)), Tensor("label", DataType.INT64, (-1,))),
        ),
        17,
        frozenset(),
    )


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (8, 8), ("N", -1), (None, -1), (0, -1)])
def test_dimensions(tmp_path: Path, rows: int | str | None, expected: int) -> None:
    assert read(tmp_path, linear(rows)).header.inputs[0].dims == (expected, 4)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (TensorProto.FLOAT, DataType.FP32),
        (TensorProto.DOUBLE, DataType.FP64),
        (TensorProto.FLOAT16, DataType.FP16),
        (TensorProto.BFLOAT16, DataType.BF16),
        (TensorProto.INT8, DataType.INT8),
        (TensorProto.INT16, DataType.INT16),
        (TensorProto.INT32, DataType.INT32),
        (TensorProto.INT64, DataType.INT64),
        (TensorProto.UINT8, DataType.UINT8),
        (TensorProto.UINT16, DataType.UINT16),
        (TensorProto.UINT32, DataType.UINT32),
        (TensorProto.UINT64, DataType.UINT64),
        (TensorProto.BOOL, DataType.BOOL),
        (TensorProto.STRING, DataType.BYTES),
    ],
)
def test_element_types(tmp_path: Path, element: int, expected: DataType) -> None:
    data = model([helper.make_node("Identity", ["x"], ["y"])], [value("x", element, [1])], [value("y", element, [1])])
    assert read(tmp_path, data).header.inputs[0].data_type is expected


def test_weights_that_are_also_listed_as_inputs_are_none(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.ones(3, dtype=np.float32), "w")
    data = model(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        [value("x", TensorProto.FLOAT, [3]), value("w", TensorProto.FLOAT, [3])],
        [value("y", TensorProto.FLOAT, [3])],
        [weights],
    )
    assert [tensor.name for tensor in read(tmp_path, data).header.inputs] == ["x"]


def test_weights_in_another_file_are_named(tmp_path: Path) -> None:
    made = onnx.load_from_string(linear())
    onnx.save(made, tmp_path / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert read_onnx(tmp_path / "model.onnx").external_files == {"weights.bin"}


def test_an_output_without_a_shape(tmp_path: Path) -> None:
    data = model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [value("x", TensorProto.FLOAT, ["N", 4])],
        [value("y", TensorProto.FLOAT, None)],
    )
    assert read(tmp_path, data).header.outputs == (UntypedTensor("y", DataType.FP32),)


def classifier_with_zipmap() -> bytes:
    output = helper.make_value_info(
        "output_probability",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(1, []))
        ),
    )
    return model([helper.make_node("Identity", ["x"], ["y"])], [value("x", TensorProto.FLOAT, [1])], [output])


@pytest.mark.parametrize(
    ("data", "reason", "says"),
    [
        (classifier_with_zipmap(), "UnsupportedModel", "options={'zipmap': False}"),
        (
            model([], [value("x", TensorProto.FLOAT, None)], [value("y", TensorProto.FLOAT, [1])]),
            "UnsupportedModel",
            "does not say the shapes of its inputs",
        ),
        (model([], [value("x", TensorProto.COMPLEX64, [1])], [value("y", 1, [1])]), "UnsupportedModel", "'x'"),
        (b"", "CorruptModel", "is empty"),
        (b"<!DOCTYPE html><html>not found</html>", "CorruptModel", "Export it again"),
        (linear()[:-7], "CorruptModel", "cut off"),
        (helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString(), "CorruptModel", "no graph"),
        (b"\x08\x08", "CorruptModel", "no graph"),
        (b"\x3a" + b"\xff" * 9 + b"\x01", "CorruptModel", "cut off"),
        (b"\x3a" + b"\xff" * 11, "CorruptModel", "more than 10 bytes"),
        (b"\x38\x01", "CorruptModel", "a number where a message belongs"),
        (b"\x3b", "CorruptModel", "wire type 3"),
        (b"\x3a\x02\x5a\x00", "CorruptModel", "without a name"),
    ],
)
def test_refused(tmp_path: Path, data: bytes, reason: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        read(tmp_path, data)
    assert error.value.reason == reason
    assert says in error.value.message


def test_a_header_that_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_header, "_MAX_FIELDS", 1_000)
    with pytest.raises(Invalid, match="more than 1000 fields"):
        read(tmp_path, b"\x08\x08" * 1_001)


def test_names_are_bounded(tmp_path: Path) -> None:
    data = model([], [value("x" * 2_000, 1, [1])], [value("y", 1, [1])])
    with pytest.raises(Invalid, match="more than 1024 bytes"):
        read(tmp_path, data)


def expected_tensor(info: Any) -> tuple[str, list[int]]:
    shape = info.type.tensor_type.shape
    return info.name, [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else -1 for dim in shape.dim]


ORIGINALS = [linear(), linear(1), linear(label=True), choosy()]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500, deadline=None, derandomize=True
)
@given(st.sampled_from(ORIGINALS), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3))
def test_mutated_files_are_read_like_the_onnx_package_or_refused(
    tmp_path: Path, original: bytes, changes: list[tuple[int, int]]
) -> None:
    """Where both accept a file they must agree; nothing but a refusal may come out otherwise."""
    data = bytearray(original)
    for position, byte in changes:
        data[position % len(data)] = byte
    try:
        ours = read(tmp_path, bytes(data)).header
    except Invalid:
        return
    with contextlib.suppress(Exception):
        graph = onnx.load_from_string(bytes(data)).graph
        weights = {tensor.name for tensor in graph.initializer}
        theirs = [expected_tensor(info) for info in graph.input if info.name not in weights]
        ours_plain = [(tensor.name, list(tensor.dims)) for tensor in ours.inputs]
        if ours_plain != theirs:
            pytest.fail(f"{ours_plain} != {theirs}")


def test_every_truncation_is_refused_or_read(tmp_path: Path) -> None:
    data = linear(label=True)
    for length in range(len(data)):
        with contextlib.suppress(Invalid):
            read(tmp_path, data[:length])
