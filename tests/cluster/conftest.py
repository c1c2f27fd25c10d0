"""Ring 4: a real API server, kubelet, registry and Triton. Everything is made here and nothing is mocked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.support.planted_models import plant
from tests.support.team import Team

from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.models.artefact import package_model
from plimsoll_dev.models.catalogue import CLASSIFIERS, MINILM
from plimsoll_dev.models.minilm import built_folder
from plimsoll_dev.testbed.harness import Harness
from plimsoll_dev.testbed.registry import InClusterRegistry

HERE = Path(__file__).parent
REGISTRY_NAMESPACE = "plimsoll-test-registry"
PROGRESS_DEADLINE = "40s"
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def testbed() -> Harness:
    bed = Harness.prepare(Progress())
    bed.installation.install({"defaults.progressDeadline": PROGRESS_DEADLINE})
    return bed


@pytest.fixture(scope="session")
def registry(testbed: Harness) -> InClusterRegistry:
    testbed.create_namespace(REGISTRY_NAMESPACE)
    registry = testbed.registry(REGISTRY_NAMESPACE)
    registry.install()
    return registry


@pytest.fixture(scope="session")
def uris(registry: InClusterRegistry) -> Mapping[str, str]:
    """URIs of the models, by folder."""
    return registry.push(CLASSIFIERS)


@pytest.fixture(scope="session")
def planted_uris(registry: InClusterRegistry, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two versions of a model that does what the file /tmp/fault of its container says."""

    def push(version: int) -> str:
        folder = plant(tmp_path_factory.mktemp("planted"), "switched", version=version)
        files = {str(file.relative_to(folder.parent)): file for file in folder.rglob("*") if file.is_file()}
        return registry.push_files("models/switched", files)

    return push(1), push(2)


@pytest.fixture(scope="session")
def text_model_uri(registry: InClusterRegistry) -> str:
    artefact = package_model(MINILM, built_folder())
    return registry.push_files(MINILM.repository, {layer.title: layer.file for layer in artefact.layers})


@pytest.fixture(scope="session")
def new_team(testbed: Harness, registry: InClusterRegistry) -> Callable[[str], Team]:
    def make(name: str) -> Team:
        namespace = f"plimsoll-test-{name}-{next(_numbers)}"
        testbed.kubectl.run("delete", "namespace", namespace, "--ignore-not-found", "--wait", timeout_s=180)
        testbed.create_namespace(namespace)
        registry.publish_authority(namespace)
        return Team(testbed, namespace)

    return make


@pytest.fixture
def team(new_team: Callable[[str], Team]) -> Iterator[Team]:
    """A namespace of one test's own."""
    team = new_team("team")
    yield team
    team.testbed.kubectl.run("delete", "namespace", team.namespace, "--wait=false", "--ignore-not-found")
