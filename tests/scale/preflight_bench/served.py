"""The models that the benchmark serves, and what is sent to them.

The planted ones sleep, so that they cost little CPU, and their batches are small, so that one replica carries a few
hundred requests a second: far less than what the client can send from the same machine.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tests.support.planted_models import Planted, plant_model

from plimsoll.api.vocabulary import Accelerator, ModelFormat
from plimsoll.core.triton.config import ModelFacts, model_config
from plimsoll.core.triton.interface import header_interface
from plimsoll.core.triton.pbtxt import write_config
from plimsoll.fetch.onnx_header import read_onnx
from plimsoll.preflight.inputs import Case
from plimsoll.preflight.tensors import Tensors
from plimsoll_dev.models.catalogue import MODEL_FILE
from plimsoll_dev.models.minilm import built_folder

TEXT = "text"
PLANTED: Mapping[str, Planted] = {
    "constant": Planted("timed", {"fixed_ms": 20}, max_batch=8),
    "linear": Planted("timed", {"fixed_ms": 10, "item_ms": 2}, max_batch=8),
    # Batches of 12 are met by chance at any rate worth promising. Where a cliff is met only after a stall, the model
    # carries far more than what it recovers at, and how much is luck.
    "cliff": Planted("timed", {"fixed_ms": 20, "item_ms": 1, "cliff_at": 12, "cliff_factor": 2}, max_batch=16),
}
MODELS = (*PLANTED, TEXT)
_ONE_THREAD = {"parameters": {"intra_op_thread_count": {"string_value": "1"}}}
"""With as many threads as there are CPUs, client and server would be in the model's way only once there is load."""
ROWS = 64
TOKENS = 16
_WORDS = (1996, 29000)
"""Ids of whole words in the vocabulary, first and last but one."""


def lay_out(repository: Path, models: Sequence[str]) -> None:
    """Writes the models into a Triton repository; the text model as the product configures it, on one thread."""
    for name in models:
        if name == TEXT:
            _lay_out_text(repository / TEXT)
        else:
            plant_model(repository, name, PLANTED[name])


def _lay_out_text(folder: Path) -> None:
    model = folder / "1" / MODEL_FILE
    model.parent.mkdir(parents=True)
    shutil.copyfile(built_folder() / MODEL_FILE, model)
    facts = ModelFacts(
        TEXT, ModelFormat.ONNX, header_interface(read_onnx(model).header, (), (), None), Accelerator.NONE
    )
    (folder / "config.pbtxt").write_text(write_config(model_config(facts, _ONE_THREAD)))


def cases(name: str) -> list[Case]:
    """Returns single items of one shape: random values, or texts of 16 tokens."""
    rng = np.random.default_rng(1)
    return [Case(number + 1, _text(rng) if name == TEXT else _values(rng)) for number in range(ROWS)]


def _values(rng: np.random.Generator) -> Tensors:
    return {"x": rng.normal(size=(1, 4)).astype("f4")}


def _text(rng: np.random.Generator) -> Tensors:
    ids = rng.integers(*_WORDS, size=(1, TOKENS), dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}
