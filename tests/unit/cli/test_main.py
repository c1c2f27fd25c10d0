"""The program: its commands, their exit codes, and what each one loads."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tests.unit.cli.running import Shell

from plimsoll.gateway.hot_path import form

HEAVY = ("kopf", "kubernetes", "aiohttp", "prometheus_client")


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["validate"], ["plan"], ["controller"], ["gateway"], ["plan", "x", "--output"]]
)
def test_wrong_words_end_with_2(shell: Shell, words: list[str]) -> None:
    assert shell.run(*words).code == 2


@pytest.mark.parametrize("words", [["--help"], ["plan", "--help"], ["validate", "--help"], ["fetch", "--help"]])
def test_help(shell: Shell, words: list[str]) -> None:
    ended = shell.run(*words)
    assert ended.code == 0
    assert ended.out.startswith("usage: plimsoll")


def test_the_exit_codes_are_documented(shell: Shell) -> None:
    assert "Exit codes: 0 done, 1 the answer is no, 2" in shell.run("--help").out


def test_the_version_is_that_of_the_project(shell: Shell) -> None:
    """Without an installed package, as in the image."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert shell.run("version").out == f"{project['version']}\nhot path of the gateway: {form()}\n"


def test_a_controller_without_a_usable_configuration_says_so_in_one_sentence(shell: Shell) -> None:
    ended = shell.run("controller", "--config", shell.file("config.yaml", "defaults: {}\n"))
    assert ended.code == 2
    assert "defaults.tritonImage" in ended.err
    assert "Traceback" not in ended.err


def test_a_gateway_without_a_usable_configuration_says_so_in_one_sentence(shell: Shell) -> None:
    ended = shell.run("gateway", "--config", shell.file("config.yaml", "drainDelay: soon\n"))
    assert ended.code == 2
    assert "drainDelay" in ended.err
    assert "Traceback" not in ended.err


def test_the_help_tells_which_commands_talk_to_a_cluster(shell: Shell) -> None:
    told = " ".join(shell.run("--help").out.split())
    assert "All but controller, gateway, fetch and preflight NAME run offline" in told


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("plimsoll.cli.main", (*HEAVY, "pydantic", "yaml", "httpx")),
        ("plimsoll.fetch.main", HEAVY),
        ("plimsoll.cli.validate", (*HEAVY, "httpx")),
        ("plimsoll.cli.plan", HEAVY),
        ("plimsoll.cli.resolve", HEAVY),
        (
            "plimsoll.gateway.app",
            ("kopf", "kubernetes", "numpy", "tritonclient", "grpc", "httpx", "plimsoll.preflight"),
        ),
    ],
)
def test_no_command_loads_what_it_does_not_need(module: str, forbidden: tuple[str, ...]) -> None:
    """`plimsoll fetch` starts in every model pod with 64 MiB reserved."""
    code = f"import sys, {module}; print(*(name for name in {forbidden!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
