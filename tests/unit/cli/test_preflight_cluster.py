"""`plimsoll preflight NAME`: whose report is shown, and what is said where there is none."""

import json
from pathlib import Path
from typing import Any, Self

import pytest
from tests.support.preflight_reports import good, rejected
from tests.unit.cli.running import Shell

from plimsoll.api.preflight_report import PreflightReport
from plimsoll.cli import preflight_cluster
from plimsoll.cli.preflight_cluster import default_namespace
from plimsoll.kube.errors import ApiError, NotFound

STABLE, CANDIDATE = "digits-aaaaaaaaaa", "digits-bbbbbbbbbb"


def deployment(**status: str) -> dict[str, Any]:
    return {"metadata": {"name": "digits", "namespace": "vision"}, "status": status}


def stored(report: PreflightReport, revision: str, **fields: Any) -> dict[str, Any]:
    own = report.model_copy(update={"model": "digits", "revision": revision, **fields})
    return config_map(revision, {"report.json": own.model_dump_json(by_alias=True)})


def config_map(revision: str, data: dict[str, str] | None) -> dict[str, Any]:
    return {"metadata": {"name": f"{revision}-preflight", "namespace": "vision"}, "data": data}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], dict[str, Any]]:
    """What the API server has, by namespace and name."""
    objects: dict[tuple[str, str], dict[str, Any]] = {}

    class Client:
        def __init__(self, _connection: object) -> None: ...

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def get(self, _resource: object, namespace: str, name: str) -> dict[str, Any]:
            if (namespace, name) not in objects:
                raise NotFound(404, "NotFound", f"{name} not found")
            return objects[namespace, name]

    async def connect(environ: Any) -> object:
        if environ.get("CONTEXT") == "away":
            raise ApiError(503, "ServiceUnavailable", "nobody there")
        return object()

    monkeypatch.setattr(preflight_cluster, "Client", Client)
    monkeypatch.setattr(preflight_cluster, "connect", connect)
    return objects


Cluster = dict[tuple[str, str], dict[str, Any]]


def put(cluster: Cluster, *objects: dict[str, Any]) -> None:
    for one in objects:
        cluster["vision", one["metadata"]["name"]] = one


@pytest.mark.parametrize(
    ("status", "words", "code", "revision"),
    [
        ({"stable": STABLE}, [], 0, STABLE),
        ({"stable": STABLE, "candidate": CANDIDATE}, [], 1, CANDIDATE),
        ({"stable": STABLE, "candidate": CANDIDATE}, ["--revision", STABLE], 0, STABLE),
    ],
)
def test_the_candidate_comes_first(
    shell: Shell, cluster: Cluster, status: dict[str, str], words: list[str], code: int, revision: str
) -> None:
    put(cluster, deployment(**status), stored(good(), STABLE), stored(rejected(), CANDIDATE))
    ended = shell.run("preflight", "digits", "-n", "vision", "--json", *words)
    assert (ended.code, json.loads(ended.out)["revision"]) == (code, revision)


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        ([], "There is no ModelDeployment vision/digits"),
        ([deployment()], "has no revision yet"),
        ([deployment(stable=STABLE)], "its preflight has not ended, or spec.preflight.mode is Skip"),
        # Stable's report is no answer to a question about the candidate.
        ([deployment(stable=STABLE, candidate=CANDIDATE), stored(good(), STABLE)], f"about the revision {CANDIDATE}"),
        ([deployment(stable=STABLE), config_map(STABLE, None)], "has no key report.json"),
        ([deployment(stable=STABLE), config_map(STABLE, {"report.json": "[]"})], "cannot be understood"),
        ([deployment(stable=STABLE), config_map(STABLE, {"report.json": "{"})], "is not JSON"),
        (
            [deployment(stable=STABLE), config_map(STABLE, stored(good(), CANDIDATE)["data"])],
            "holds the report of another revision",
        ),
        (
            [deployment(stable=STABLE), config_map(STABLE, stored(good(), STABLE, model="other")["data"])],
            "holds the report of another revision",
        ),
    ],
)
def test_what_is_no_report_of_this_revision_is_no_verdict(
    shell: Shell, cluster: Cluster, objects: list[dict[str, Any]], says: str
) -> None:
    put(cluster, *objects)
    ended = shell.run("preflight", "digits", "-n", "vision")
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


def test_a_cluster_that_does_not_answer_is_no_verdict(shell: Shell, cluster: Cluster) -> None:
    put(cluster, deployment(stable=STABLE), stored(good(), STABLE))
    ended = shell.run("preflight", "digits", "-n", "vision", "--context", "away")
    assert (ended.code, ended.out) == (2, "")
    assert "The cluster cannot be asked: nobody there" in ended.err


FIRST = "current-context: a\ncontexts: [{name: a, context: {namespace: one}}, {name: b, context: {}}]\n"
SECOND = (
    "current-context: b\ncontexts: [{name: a, context: {namespace: two}}, {name: c, context: {namespace: three}}]\n"
)


@pytest.mark.parametrize(
    ("files", "context", "namespace"),
    [
        ([FIRST], "", "one"),
        ([FIRST], "b", "default"),
        ([FIRST, SECOND], "", "one"),
        ([FIRST, SECOND], "c", "three"),
        ([SECOND, FIRST], "a", "two"),
        ([], "", "default"),
        (["{"], "", "default"),
    ],
)
def test_the_namespace_is_the_one_kubectl_would_use(
    tmp_path: Path, files: list[str], context: str, namespace: str
) -> None:
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, text in zip(paths, files, strict=True):
        path.write_text(text)
    environ = {"KUBECONFIG": ":".join(map(str, [*paths, tmp_path / "absent"])), "CONTEXT": context}
    assert default_namespace(environ) == namespace
