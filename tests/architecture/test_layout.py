"""What may stand where, and how large it may grow before somebody says why."""

import ast
import operator as standard_operator
import re
import subprocess
import sys

from tests.architecture.repository import OPERATOR, PACKAGE, ROOT, name_of, python_files, tracked_files, tree_of

TOP_LEVEL = {
    *(".ci", ".dockerignore", ".github", ".gitignore", "CHANGELOG.md", "Dockerfile", "LICENSE", "Makefile"),
    *("README.md", "crds", "helm", "operator", "pyproject.toml", "tests", "triton-models"),
    *("requirements.lock", "requirements-compile.lock", "requirements-dev.lock", "requirements-triton.lock"),
}

LONG_FILES = {
    "tests/contract/kube/test_client.py": "one table of requests and answers per verb",
    "tests/support/model_cluster.py": "the model of Kubernetes for the simulation, kept in one piece to be read whole",
    "tests/support/rule_table.py": "a table",
}
"""Files over 400 lines, with the reason why they are not split."""

LONG_FUNCTIONS = {
    "operator/plimsoll/api/crd.py: custom_resource_definition": "one literal, in the order of the Kubernetes API",
    "operator/plimsoll_dev/cluster/configuration.py: cluster_objects": "one literal",
}
"""Functions of the product and the workshop over 40 lines, with the reason."""


def test_the_source_root_is_not_a_package() -> None:
    """It would hide the standard library's operator module from every Python started in the repository root."""
    assert not (OPERATOR / "__init__.py").exists()
    assert standard_operator.itemgetter(0)("ab") == "a"
    code = "import operator; print(operator.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not done.stdout.startswith(str(ROOT / "operator"))


def test_the_top_level_holds_what_convention_expects_and_nothing_else() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked_files()} <= TOP_LEVEL


def test_every_package_says_what_it_is_for() -> None:
    silent = [name_of(path) for path in python_files(PACKAGE) if not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_files_are_short_enough_to_read_in_one_go() -> None:
    long = {name_of(path) for path in python_files() if len(path.read_text(encoding="utf-8").splitlines()) > 400}
    assert long == LONG_FILES.keys()


def test_functions_fit_a_screen() -> None:
    long = {
        f"{name_of(path)}: {node.name}"
        for path in python_files(OPERATOR)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 40
    }
    assert long == LONG_FUNCTIONS.keys()


MACHINE_PATH = re.compile(r"(?<![\w.$}~-])/(?:(?:work|root|Users|mnt|media)/|home/(?!a\b))[\w.]")
"""Folders of one machine; /home/a is the tests' example."""
MACHINE_PATH_ALLOWED = {
    "Dockerfile": "root's cache inside the build container",
    "tests/architecture/test_layout.py": "the pattern itself",
}


def test_nothing_refers_to_the_machine_it_was_written_on() -> None:
    found = {
        name_of(path)
        for path in tracked_files()
        if MACHINE_PATH.search(path.read_bytes().decode("utf-8", errors="ignore"))
    }
    assert found <= MACHINE_PATH_ALLOWED.keys()


NO_STAGE = {
    "__init__.py",
    *("asker.py", "deadlines.py", "shared.py", "switchboard.py", "violations.py"),
}
"""What the stages of a request's path have in common."""

LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`[^`\n]*`")


def test_links_between_documents_lead_somewhere() -> None:
    dead = [
        f"{name_of(page)}: {target}"
        for page in tracked_files()
        if page.suffix == ".md"
        for target in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))
        if not (page.parent / target).exists()
    ]
    assert dead == []


FILE = re.compile(r"(?<![\w./*-])(?:[a-z_0-9]+/)*[a-z_0-9]+\.py\b")


def test_source_files_that_documents_name_are_there() -> None:
    there = {f"/{name_of(path)}" for path in tracked_files()}
    pages = [path for path in tracked_files() if path.suffix == ".md" and path.name != "CHANGELOG.md"]
    named = {(name_of(page), file) for page in pages for file in FILE.findall(page.read_text(encoding="utf-8"))}
    assert sorted(one for one in named if not any(path.endswith(f"/{one[1]}") for path in there)) == []


def test_every_stage_of_a_requests_path_is_in_its_picture() -> None:
    """Those that are not belong to no stage, and the text beside the picture says what they are."""
    picture = (OPERATOR / "docs" / "gateway.md").read_text(encoding="utf-8")
    stages = [path for path in python_files(PACKAGE / "gateway") if path.parent.name in {"http1", "http2"}]
    assert {path.name for path in stages if path.name not in picture} == NO_STAGE


def test_every_decision_is_in_the_index_and_says_what_would_overturn_it() -> None:
    folder = OPERATOR / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for page in folder.glob("0*.md"):
        text = page.read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix("# ").partition(". ")
        assert f"| [{title[0]}]({page.name}) |" in index
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
            "How to overturn",
        ]


def test_versions_agree() -> None:
    stated = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    chart = re.search(r"^version: (.+)$", (ROOT / "helm/plimsoll/Chart.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    assert stated and chart and stated[1] == chart[1]  # noqa: PT018 - one statement: both are there and equal
