"""Which models there are and where their files lie. Needs no machine-learning library."""

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "triton-models"
MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.json"
DEPLOYMENT_FILE = "modeldeployment.yaml"
SAMPLES_FILE = FOLDER / "digits" / "samples.json"


@dataclass(frozen=True, slots=True)
class CataloguedModel:
    """One folder under `triton-models/`.

    Attributes:
        folder: its name.
        deployment: `metadata.name` of its ModelDeployment. Versions of one model share it, so that applying the
            manifest of one over another is a new revision.
        tag: under which tag its artefact is pushed; only for people, manifests name the digest.
        committed: whether `model.onnx` is in the repository; otherwise it is built into the cache.
        memory: request and limit of the server's memory, as a Kubernetes quantity; None leaves the operator's default.
    """

    folder: str
    deployment: str
    tag: str
    committed: bool = True
    memory: str | None = None

    @property
    def repository(self) -> str:
        """The repository inside the registry."""
        return f"models/{self.deployment}"

    @property
    def path(self) -> Path:
        """The folder itself."""
        return FOLDER / self.folder


DIGITS = CataloguedModel("digits", "digits", "v1")
DIGITS_V2 = CataloguedModel("digits-v2", "digits", "v2")
DIGITS_INT8 = CataloguedModel("digits-int8", "digits", "int8")
DIGITS_BAD = CataloguedModel("digits-bad", "digits", "bad")
DIGITS_FLAKY = CataloguedModel("digits-flaky", "digits", "flaky")
DIGITS_SLOW = CataloguedModel("digits-slow", "digits", "slow")
# 90 MB of weights, and up to 600 MB of resident memory once ONNX Runtime's arena has seen a batch of 128x128 tokens.
MINILM = CataloguedModel("minilm", "minilm", "v1", committed=False, memory="1Gi")

CLASSIFIERS = (DIGITS, DIGITS_V2, DIGITS_INT8, DIGITS_BAD, DIGITS_FLAKY, DIGITS_SLOW)
MODELS = {model.folder: model for model in (*CLASSIFIERS, MINILM)}


def cache_folder() -> Path:
    """Where built things too large for the repository are kept: `$PLIMSOLL_CACHE`, else `~/.cache/plimsoll`."""
    return Path(os.environ.get("PLIMSOLL_CACHE") or Path.home() / ".cache" / "plimsoll")
