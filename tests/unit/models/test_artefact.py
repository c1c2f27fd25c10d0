"""A model is packaged into the same bytes whenever its files are the same, and manifests name that digest."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import yaml

from plimsoll_dev.models.artefact import package, package_model
from plimsoll_dev.models.catalogue import CLASSIFIERS, DEPLOYMENT_FILE, MINILM, MODELS, CataloguedModel
from plimsoll_dev.models.manifests import deployment, model_uri


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "a").write_bytes(b"weights")
    (tmp_path / "b").write_bytes(b"{}")
    return {"model.onnx": tmp_path / "a", "golden.json": tmp_path / "b"}


def test_manifest_bytes(files: dict[str, Path]):
    layer = (
        '{{"annotations":{{"org.opencontainers.image.title":"{}"}},"digest":"sha256:{}","mediaType":"{}","size":{}}}'
    )
    file_type = "application/vnd.plimsoll.model.file.v1"
    braces = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    made = package(files)
    weights = hashlib.sha256(b"weights").hexdigest()
    assert made.manifest.decode() == (
        '{"annotations":{"org.opencontainers.image.created":"1970-01-01T00:00:00Z"},'
        '"artifactType":"application/vnd.plimsoll.model.v1",'
        f'"config":{{"digest":"sha256:{braces}","mediaType":"application/vnd.oci.empty.v1+json","size":2}},'
        f'"layers":[{layer.format("golden.json", braces, file_type, 2)},'
        f"{layer.format('model.onnx', weights, file_type, 7)}],"
        '"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}'
    )


def test_neither_order_nor_time_nor_place_of_the_files_changes_the_digest(files: dict[str, Path], tmp_path: Path):
    before = package(files).digest
    moved = tmp_path / "moved"
    files["model.onnx"].rename(moved)
    os.utime(moved, (0, 0))
    assert package({"golden.json": files["golden.json"], "model.onnx": moved}).digest == before


def test_content_and_name_of_a_file_change_the_digest(files: dict[str, Path]):
    before = package(files).digest
    assert package({"other.onnx": files["model.onnx"], "golden.json": files["golden.json"]}).digest != before
    files["model.onnx"].write_bytes(b"Weights")
    assert package(files).digest != before


@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: model.folder)
def test_committed_manifest_names_the_digest_of_the_committed_files(model: CataloguedModel):
    assert (model.path / DEPLOYMENT_FILE).read_text() == deployment(model, package_model(model).digest)


def test_versions_of_one_model_share_a_name_and_differ_in_digest():
    manifests = [yaml.safe_load((model.path / DEPLOYMENT_FILE).read_text()) for model in CLASSIFIERS]
    assert {manifest["metadata"]["name"] for manifest in manifests} == {"digits"}
    assert len({manifest["spec"]["model"]["uri"] for manifest in manifests}) == len(CLASSIFIERS)


def test_every_folder_is_in_the_catalogue_and_every_tag_is_its_own():
    folders = {path.name for path in MINILM.path.parent.iterdir() if path.is_dir()}
    assert folders == set(MODELS)
    assert len({(model.repository, model.tag) for model in MODELS.values()}) == len(MODELS)


def test_a_manifest_for_a_registry_names_it():
    digest = "sha256:" + "0" * 64
    assert model_uri(MINILM, digest, "localhost:5000") == f"oci://localhost:5000/models/minilm@{digest}"
    written = yaml.safe_load(deployment(MINILM, digest, "localhost:5000"))
    assert written == {
        "apiVersion": "plimsoll.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "minilm"},
        "spec": {
            "model": {"uri": f"oci://localhost:5000/models/minilm@{digest}"},
            "runtime": {"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}},
        },
    }


def test_packaging_the_committed_models_twice_gives_equal_manifests():
    for model in CLASSIFIERS:
        manifest = package_model(model).manifest
        assert manifest == package_model(model).manifest
        assert [layer["annotations"]["org.opencontainers.image.title"] for layer in json.loads(manifest)["layers"]] == [
            "golden.json",
            "model.onnx",
        ]
