"""The statically quantised twin of a classifier: INT8 weights per output channel, UINT8 activations, QDQ format.

Static, because dynamic quantisation computes the scale of the activations over the whole batch, so that an answer
would depend on who shares the batch. Weights use 7 of their 8 bits (`reduce_range`): on a CPU without VNNI the 16-bit
sum of two full products overflows and saturates, and the answers would differ between machines.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (  # type: ignore[import-untyped]
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from plimsoll_dev.models.dataset import Rows
from plimsoll_dev.models.graphs import IR_VERSION, PRODUCER


def quantised(model: onnx.ModelProto, calibration: Rows) -> onnx.ModelProto:
    """Quantise both layers; the ranges of the activations come from the calibration rows."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        # Marks the graph as pre-processed, or the quantiser warns: there is nothing to fuse or fold in it.
        prepared = onnx.ModelProto.FromString(model.SerializeToString())
        onnx.helper.set_model_props(prepared, {"onnx.quant.pre_process": "onnxruntime.quant"})
        source.write_bytes(prepared.SerializeToString(deterministic=True))
        quantize_static(
            source,
            target,
            _Images(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Gemm"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        made = onnx.load(target)
    # The quantiser signs with its own version and settings; the model's bytes must not change when those do.
    made.producer_name, made.producer_version, made.ir_version = PRODUCER, "", IR_VERSION
    del made.metadata_props[:]
    onnx.checker.check_model(made, full_check=True)
    return made


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Hands the calibration images to the quantiser, all in one batch."""

    def __init__(self, rows: Rows) -> None:
        self._batches: Iterator[dict[str, object]] = iter([{"image": rows.images.astype(np.float32)}])

    def get_next(self) -> dict[str, object] | None:
        return next(self._batches, None)
