"""An image is built again exactly when what it is made of changed."""

from pathlib import Path

import pytest

from plimsoll_dev.images.build import SLOW_STAGES, SOURCES, image_key
from plimsoll_dev.images.cache import content_key, files_below

FILES = {"Dockerfile": b"FROM base", "requirements.lock": b"a==1"}
FACTS = ("buildah", "base-1")
KEY = image_key("operator", FILES, FACTS)


def test_the_same_content_has_the_same_key_whatever_the_order() -> None:
    assert image_key("operator", dict(reversed(FILES.items())), FACTS) == KEY


@pytest.mark.parametrize(
    ("target", "files", "facts"),
    [
        pytest.param("triton-cpu", FILES, FACTS, id="another image"),
        pytest.param("operator", {**FILES, "Dockerfile": b"FROM other"}, FACTS, id="an edited file"),
        pytest.param("operator", {**FILES, "operator/plimsoll/new.py": b""}, FACTS, id="an empty new file"),
        pytest.param("operator", {"Dockerfile": b"FROM base"}, FACTS, id="a deleted file"),
        pytest.param(
            "operator", {"dockerfile": b"FROM base", "requirements.lock": b"a==1"}, FACTS, id="a renamed file"
        ),
        pytest.param("operator", FILES, ("docker",), id="another engine"),
        pytest.param("operator", FILES, ("buildah", "base-2"), id="another base"),
    ],
)
def test_any_change_changes_the_key(target: str, files: dict[str, bytes], facts: tuple[str, ...]) -> None:
    assert image_key(target, files, facts) != KEY


def test_parts_cannot_flow_into_each_other() -> None:
    keys = {
        content_key([], {"a": b"b", "c": b"d"}),
        content_key([], {"a": b"bc", "d": b""}),
        content_key(["a", "b"], {"c": b"d"}),
        content_key(["a", "b", "c", "d"], {}),
        content_key(["ab"], {"c": b"d"}),
    }
    assert len(keys) == 5


def test_what_tools_leave_behind_is_no_content(tmp_path: Path) -> None:
    for name in ("pkg/a.py", "pkg/sub/b.py", "pkg/__pycache__/a.pyc", "pkg/.mypy_cache/x", "lock", "other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert sorted(files_below(tmp_path, ["lock", "pkg"])) == ["lock", "pkg/a.py", "pkg/sub/b.py"]


CHECKOUT = Path(__file__).resolve().parents[3]


def test_sources_are_what_the_dockerfile_copies() -> None:
    lines = (CHECKOUT / "Dockerfile").read_text().splitlines()
    copied = {
        name for line in lines if line.startswith("COPY ") and "--from=" not in line for name in line.split()[1:-1]
    }
    assert copied == {path for paths in SOURCES.values() for path in paths} - {"Dockerfile"}


def test_the_build_context_lets_through_what_the_dockerfile_copies() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    let_through = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert let_through == {path for paths in SOURCES.values() for path in paths} - {"Dockerfile"}


@pytest.mark.parametrize("target", sorted(SOURCES))
def test_every_source_exists(target: str) -> None:
    for path in SOURCES[target]:
        assert files_below(CHECKOUT, [path])


@pytest.mark.parametrize("target", sorted(SLOW_STAGES))
def test_a_stage_that_is_kept_is_keyed_by_all_that_it_copies(target: str) -> None:
    name, decisive = SLOW_STAGES[target]
    stages = (CHECKOUT / "Dockerfile").read_text().split("\nFROM ")
    (stage,) = [stage for stage in stages if stage.splitlines()[0].endswith(f" AS {name}")]
    assert stage.startswith("tools AS ")  # which copies nothing
    copied = [path for line in stage.splitlines() if line.startswith("COPY ") for path in line.split()[1:-1]]
    assert ["Dockerfile", *copied] == list(decisive)
