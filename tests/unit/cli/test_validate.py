"""`plimsoll validate`: file, line, object, field, way out. The rules themselves are tests/unit/api/test_rules.py."""

import io

import pytest
from tests.unit.cli.running import DIGEST, Shell, model_deployment

HEAD = """\
apiVersion: plimsoll.dev/v1alpha1
kind: ModelDeployment
metadata:
  name: digits
spec:
  model:
"""
URI = f"    uri: oci://registry.example.com/models/digits@{DIGEST}\n"


def test_a_valid_file(shell: Shell) -> None:
    ended = shell.run("validate", shell.file("digits.yaml", HEAD + URI))
    assert (ended.code, ended.out) == (0, "digits.yaml: ModelDeployment digits is valid\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + URI + "    frmat: Onnx\n",
            ('d.yaml:8: spec.model.frmat: unknown field "spec.model.frmat"; remove it (did you mean format?)\n'),
        ),
        (
            HEAD + URI + "    format: onnx\n",
            (
                "d.yaml:8: spec.model.format: must be one of Onnx, TorchScript, SavedModel, "
                "TensorRT, OpenVINO, Python, TritonRepository, not onnx (did you mean Onnx?)\n"
            ),
        ),
        (
            HEAD + URI + "  runtime:\n    accelerator: no\n",
            (
                "d.yaml:9: spec.runtime.accelerator: must be a string, but is a boolean (YAML "
                "reads yes, no, on, off, true and false so); put it in quotes\n"
            ),
        ),
        (
            HEAD + URI + URI,
            "d.yaml:8: spec.model.uri: is given twice; remove one of the two\n",
        ),
        (
            HEAD + URI + "  replicas:\n  runtime:\n    image:\n",
            ("d.yaml:10: spec.runtime.image: must be a string, but is empty; give a value or remove the field\n"),
        ),
        (
            HEAD + URI + "  runtime: {resources: {limits: {cpu: 0.5}}}\n",
            (
                "d.yaml:8: spec.runtime.resources.limits.cpu: must be a quantity such as 500m or "
                "2Gi, but is a number with a fraction; write it with a unit, for example 500m\n"
            ),
        ),
        (
            HEAD + "    uri: oci://registry.example.com/models/digits:latest\n",
            (
                "d.yaml:6: spec.model: model.digest: a digest is required, here or at the end of "
                "uri (@sha256:...), so that the same manifest always serves the same bytes; `plimsoll resolve URI` "
                "prints it\n"
            ),
        ),
        (
            HEAD.replace("v1alpha1", "v1") + URI,
            "d.yaml:1: apiVersion: must be plimsoll.dev/v1alpha1\n",
        ),
        (
            HEAD.replace("ModelDeployment", "modeldeployment") + URI,
            "d.yaml:2: kind: must be ModelDeployment\n",
        ),
        (
            HEAD.replace("  name: digits\n", "  name: digits\n  lables: {a: b}\n") + URI,
            ('d.yaml:5: metadata.lables: unknown field "metadata.lables"; remove it (did you mean labels?)\n'),
        ),
        (
            HEAD.replace("  name: digits\n", "  name: digits\n  labels: {gpu: yes}\n") + URI,
            (
                "d.yaml:5: metadata.labels.gpu: must be a string, but is a boolean (YAML reads "
                "yes, no, on, off, true and false so); put it in quotes\n"
            ),
        ),
        (
            HEAD.replace("metadata:\n  name: digits\n", "") + URI,
            "d.yaml:1: ModelDeployment without a name: metadata: is required, with a name\n",
        ),
        (
            HEAD + URI + "  runtime: {pod: {labels: {on: x}}}\n",
            ("d.yaml:8: spec.runtime.pod.labels: the key on is read as a boolean; put it in quotes\n"),
        ),
    ],
    ids=lambda value: value[-60:].strip() if isinstance(value, str) else None,
)
def test_what_is_said(shell: Shell, text: str, said: str) -> None:
    ended = shell.run("validate", shell.file("d.yaml", text))
    assert (ended.code, ended.out.replace("ModelDeployment digits: ", "")) == (1, said)


def test_every_problem_is_told_at_once(shell: Shell) -> None:
    ended = shell.run("validate", shell.file("d.yaml", HEAD + "    url: x\n    format: Pickle\n  replicas: 2.5\n"))
    assert [line.split(": ")[2] for line in ended.out.splitlines()] == [
        "spec.model.uri",
        "spec.model.url",
        "spec.model.format",
        "spec.replicas",
    ]


BROKEN = """\
apiVersion: plimsoll.dev/v1alpha1
kind: ModelDeployment
metadata:
  name: 2fast
spec:
  model:
    uri: s3://me@bucket/digits
    inputs: [{name: x, dataType: FP32, dims: []}]
  runtime:
    drian: 1h
    drain: 2h
    accelerator: None
    resources: {requests: {cpu: 2}, limits: {cpu: 1, nvidia.com/gpu: 1}}
    pod:
      env: [{name: POD_UID}, {name: PLIMSOLL_X}]
"""


def test_every_broken_rule_is_told_at_once_beside_other_problems(shell: Shell) -> None:
    ended = shell.run("validate", shell.file("d.yaml", BROKEN))
    told = [line.removeprefix("d.yaml:").replace(" ModelDeployment 2fast:", "") for line in ended.out.splitlines()]
    assert [": ".join(line.split(": ")[:3])[:70] for line in told] == [
        '10: spec.runtime.drian: unknown field "spec.runtime.drian"; remove it ',
        "1: metadata.name: must start with a letter and hold only lower-case le",
        "7: spec.model.uri: model.uri",
        "7: spec.model.uri: model.uri",
        "6: spec.model: model.digest",
        "6: spec.model: model.inputs",
        "13: spec.runtime.resources: runtime.resources",
        "11: spec.runtime.drain: runtime.drain",
        "13: spec.runtime.resources.requests: runtime.resources.requests",
        "15: spec.runtime.pod.env[0].name: env",
        "15: spec.runtime.pod.env[1].name: env",
    ]


def test_a_field_left_empty_takes_its_default(shell: Shell) -> None:
    assert shell.run("validate", shell.file("d.yaml", HEAD + URI + "  replicas:\n  runtime: {drain: }\n")).code == 0


def test_documents_and_lists_are_taken_apart_and_other_kinds_passed_over(shell: Shell) -> None:
    text = f"kind: Service\n---\n{HEAD}{URI}---\n# nothing\n---\nkind: List\napiVersion: v1\nitems:\n- kind: Pod\n- "
    text += (HEAD + "    uri: 5\n").replace("\n", "\n  ").rstrip() + "\n"
    ended = shell.run("validate", shell.file("d.yaml", text))
    assert ended.out.splitlines() == [
        "d.yaml: ModelDeployment digits is valid",
        "d.yaml:23: ModelDeployment digits: spec.model.uri: must be a string, but is an integer; put it in quotes",
    ]


def test_several_files_end_with_the_worst_outcome(shell: Shell) -> None:
    good, bad = shell.file("good.yaml", [model_deployment()]), shell.file("bad.yaml", HEAD + "    uri: 5\n")
    assert shell.run("validate", good, bad).code == 1
    assert shell.run("validate", bad, good).code == 1
    assert shell.run("validate", bad, str(shell.folder / "missing.yaml"), good).code == 2


def test_merge_keys_and_aliases_are_read_as_kubectl_reads_them(shell: Shell) -> None:
    text = f"x: &model\n{URI}---\n" + HEAD.replace("  model:\n", "  model: {<<: &a {format: Onnx}, ")
    ended = shell.run("validate", shell.file("d.yaml", text.split("---\n")[1] + URI.strip() + "}\n"))
    assert ended.code == 0, ended.out


def test_times_without_quotes_are_text(shell: Shell) -> None:
    text = HEAD.replace("  name: digits\n", "  name: digits\n  annotations: {since: 2026-01-31}\n") + URI
    assert shell.run("validate", shell.file("d.yaml", text)).code == 0


def test_standard_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(HEAD + URI))
    assert shell.run("validate", "-").code == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "It is not YAML"),
        ("- 1\n", "A document holds a list"),
        ("a: !!python/object:os.system {}\n", "It is not YAML"),
        ("\x00", "It is not YAML"),
        ("a: &a [*a]\n", "It is not YAML"),
        ("".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 1}]\n" for n in range(9)), "more than 200000"),
    ],
    ids=["cut off", "a list", "code", "bytes", "an endless alias", "an alias bomb"],
)
def test_what_is_no_manifest(shell: Shell, text: str, said: str) -> None:
    ended = shell.run("validate", shell.file("d.yaml", text))
    assert ended.code == 2
    assert said in ended.err


def test_a_file_without_a_model_deployment_is_not_valid(shell: Shell) -> None:
    ended = shell.run("validate", shell.file("d.yaml", "kind: Service\n"))
    assert (ended.code, ended.out) == (1, "d.yaml: holds no ModelDeployment\n")
