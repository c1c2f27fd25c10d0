"""Ready-made repositories: which model becomes the public one, and what is left alone."""

import pytest

from plimsoll.api.vocabulary import DataType
from plimsoll.core.triton.overrides import normalize
from plimsoll.core.triton.repository import (
    RepositoryModel,
    can_be_probed,
    configured_interface,
    entry_config,
    is_complete,
    plan_repository,
    read_config,
)
from plimsoll.core.triton.tensors import ModelInterface, Tensor
from plimsoll.errors import Invalid

PIPELINE = ["pipe/config.pbtxt", "pre/1/model.py", "pre/config.pbtxt", "net/1/model.onnx", "net/3/model.onnx"]


@pytest.mark.parametrize(
    ("files", "entry", "expected"),
    [
        (["m/config.pbtxt", "m/2/model.onnx"], None, RepositoryModel("m", "m", (2,))),
        (["m/config.pbtxt", "m/2/model.onnx"], "m", RepositoryModel("m", "m", (2,))),
        (["deep/repo/m/1/model.onnx"], None, RepositoryModel("m", "deep/repo/m", (1,))),
        (["config.pbtxt", "1/model.onnx"], None, RepositoryModel("", "", (1,))),
        (["config.pbtxt", "1/model.onnx"], "m", RepositoryModel("", "", (1,))),
        (["1/model.onnx"], None, RepositoryModel("", "", (1,))),
        (PIPELINE, "net", RepositoryModel("net", "net", (1, 3))),
        (PIPELINE, "pipe", RepositoryModel("pipe", "pipe", ())),
        (["m/1/sub/2/x", "m/config.pbtxt"], None, RepositoryModel("m", "m", (1,))),
    ],
)
def test_the_entry(files: list[str], entry: str | None, expected: RepositoryModel) -> None:
    plan = plan_repository(files, entry, "digits")
    assert plan.entry == expected


def test_the_others_stay_inner_models() -> None:
    assert [model.name for model in plan_repository(PIPELINE, "pipe", "digits").inner] == ["net", "pre"]


@pytest.mark.parametrize(
    ("files", "entry", "name", "reason", "says"),
    [
        (PIPELINE, None, "digits", "EntryMissing", "spec.model.entry (net, pipe, pre)"),
        (PIPELINE, "post", "digits", "EntryUnknown", "'post', but the repository holds: net, pipe, pre"),
        (PIPELINE, "pipe", "net", "NameTaken", "inner model named 'net'"),
        (["model.onnx"], None, "digits", "UnknownFormat", "no model folder"),
    ],
)
def test_refused(files: list[str], entry: str | None, name: str, reason: str, says: str) -> None:
    with pytest.raises(Invalid) as error:
        plan_repository(files, entry, name)
    assert (error.value.reason, says in error.value.message) == (reason, True), error.value.message


def test_the_public_name_may_be_the_entrys_own() -> None:
    assert plan_repository(PIPELINE, "net", "net").entry.name == "net"


CONFIG = """name: "net"  # the team's own
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [4] }
input { name: "hint" data_type: TYPE_INT32 dims: [1] optional: true }
output { name: "y" data_type: TYPE_FP32 dims: [3] }
brand_new_field: 1
"""


def test_without_overrides_only_the_name_changes() -> None:
    assert entry_config(CONFIG, "digits", {}) == CONFIG.replace('"net"', '"digits"')


def test_overrides_rewrite_the_configuration() -> None:
    rewritten = entry_config(CONFIG.replace("brand_new_field: 1", ""), "digits", normalize({"maxBatchSize": 16}))
    config = read_config(rewritten)
    assert (config["name"], config["max_batch_size"], config["backend"]) == ("digits", 16, "onnxruntime")


def test_what_is_not_understood_is_not_rewritten() -> None:
    with pytest.raises(Invalid, match="brand_new_field"):
        entry_config(CONFIG, "digits", normalize({"maxBatchSize": 16}))


def test_a_version_policy_is_refused() -> None:
    with pytest.raises(Invalid, match="version_policy"):
        entry_config('name: "m" version_policy { specific { versions: [1] } }', "digits", {})


def test_the_interface_of_a_configuration_leaves_optional_inputs_out() -> None:
    assert configured_interface(read_config(CONFIG)) == ModelInterface(
        (Tensor("x", DataType.FP32, (4,)),), (Tensor("y", DataType.FP32, (3,)),), 8
    )


@pytest.mark.parametrize("config", ['backend: "onnxruntime"', 'input { name: "x" }'])
def test_a_configuration_that_leaves_the_interface_to_the_server(config: str) -> None:
    assert configured_interface(read_config(config)) is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CONFIG, True),
        ('platform: "ensemble" input { name: "x" } output { name: "y" }', True),
        ('input { name: "x" } output { name: "y" }', False),
        ('backend: "onnxruntime"', False),
        ("", False),
    ],
)
def test_complete_configurations(config: str, expected: bool) -> None:  # noqa: FBT001 - a column
    assert is_complete(config) is expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", True),
        ("model_transaction_policy { decoupled: true }", False),
        ("model_transaction_policy { decoupled: false }", True),
        ("sequence_batching { }", False),
    ],
)
def test_streams_and_sequences_are_not_probed(config: str, expected: bool) -> None:  # noqa: FBT001 - a column
    assert can_be_probed(read_config(config)) is expected
