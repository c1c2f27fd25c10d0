"""Options of the test run."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same cases in every run, so that a red build is about the change; `--hypothesis-profile=explore` looks for more.
settings.register_profile(
    "fixed", derandomize=True, max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("fixed")

_GOLDEN = Path(__file__).parent / "golden"


def pytest_configure(config: pytest.Config) -> None:
    """Programs that tests start find the packages where the tests do, installed or not."""
    paths = [str(config.rootpath / path) for path in config.getini("pythonpath")]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def pytest_sessionstart() -> None:
    """Thousands of cases stay for good: looking through them for garbage was a third of the time to collect them."""
    gc.set_threshold(100_000, 20, 50)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the golden file of that path below tests/golden."""

    def compare(path: str, text: str) -> None:
        file = _GOLDEN / path
        if request.config.getoption("--update-golden"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), f"{path} differs; if that is wanted: pytest --update-golden"

    return compare
