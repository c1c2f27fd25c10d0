"""Builds the cluster's programs from the Go modules committed beside this file.

The key of a cache entry is a hash of everything that decides its content, so an entry is never stale and never edited:
it is built under a temporary name and renamed when complete. The committed go.sum decides what is downloaded. Nothing
here runs a program it has built.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plimsoll.errors import Invalid
from plimsoll_dev.cluster.progress import Progress

MODULES = Path(__file__).parent / "go"


@dataclass(frozen=True, slots=True)
class Component:
    """One Go build: the folder of its module, the package to build, and the names its binary answers to."""

    name: str
    package: str
    programs: Sequence[str]
    usual: str
    """How long a build takes on 2 cores with empty caches, for people who wait."""
    linker_flags: str = ""


def _version_flags(version: str) -> str:
    """Without these the API server reports v0.0.0-master, and clients refuse or guess."""
    prefix = "-X k8s.io/component-base/version."
    major, minor, _ = version.removeprefix("v").split(".")
    return f"{prefix}gitVersion={version} {prefix}gitMajor={major} {prefix}gitMinor={minor}"


KUBERNETES = Component(
    name="kubernetes-1.36",
    package=".",
    programs=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
    usual="5 minutes",
    linker_flags=_version_flags("v1.36.1"),
)
OLDEST_KUBERNETES = Component(
    name="kubernetes-1.33",
    package=".",
    programs=("kube-apiserver",),
    usual="3 minutes",
    linker_flags=_version_flags("v1.33.13"),
)
COREDNS = Component(name="coredns", package=".", programs=("coredns",), usual="1 minute")
HELM = Component(name="helm", package="helm.sh/helm/v4/cmd/helm", programs=("helm",), usual="2 minutes")
PAUSE = Component(name="pause", package=".", programs=("pause",), usual="5 seconds")

ONE_NODE: Sequence[Component] = (PAUSE, KUBERNETES, COREDNS, HELM)
EVERYTHING: Sequence[Component] = (*ONE_NODE, OLDEST_KUBERNETES)

K6 = Component(name="k6", package="go.k6.io/k6", programs=("k6",), usual="4 minutes")
"""A load generator, to compare the preflight's own with; only the benchmark builds it."""


def cache_key(component: Component, sources: Mapping[str, bytes], go_version: str) -> str:
    """A hash of all that decides the binary: the module's files by name, the compiler, package, flags and links."""
    digest = hashlib.sha256()
    facts = [go_version, component.package, component.linker_flags, *component.programs]
    for part in [*(fact.encode() for fact in facts), *(p for n in sorted(sources) for p in (n.encode(), sources[n]))]:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()[:16]


def sources_of(component: Component) -> Mapping[str, bytes]:
    """The files of the component's Go module, by name."""
    return {path.name: path.read_bytes() for path in (MODULES / component.name).iterdir() if path.is_file()}


def build(component: Component, cache: Path, progress: Progress) -> Path:
    """The folder that holds the component's programs, built now if it is not in the cache.

    Raises:
        Invalid: Go is missing, or the build failed (with the last lines of its output).
    """
    key = cache_key(component, sources_of(component), _go_version(component))
    entry = cache / "programs" / f"{component.name}-{key}"
    if entry.is_dir():
        return entry
    entry.parent.mkdir(parents=True, exist_ok=True)
    with _exclusively(entry.parent / f"{component.name}.lock", component, progress):
        if not entry.is_dir():
            with progress.step(f"building {component.name} with Go (usually {component.usual} on 2 cores)"):
                _build_into(component, entry)
    return entry


def _build_into(component: Component, entry: Path) -> None:
    unfinished = Path(tempfile.mkdtemp(prefix=f".{component.name}-", dir=entry.parent))
    try:
        binary = unfinished / component.programs[0]
        flags = f"-s -w {component.linker_flags}".strip()
        # -buildvcs=false: the commit of this checkout must not reach the binary, its key does not know it.
        options = ["-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags", flags]
        _go(component, "build", *options, "-o", str(binary), component.package)
        for program in component.programs[1:]:
            (unfinished / program).symlink_to(binary.name)
        unfinished.chmod(0o755)
        unfinished.rename(entry)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _go(component: Component, *arguments: str) -> str:
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    folder = MODULES / component.name
    try:
        done = subprocess.run(
            ["go", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Invalid(
            "GoMissing", "The one-node cluster is built with Go, which is not on PATH. Install Go 1.26 or newer."
        ) from None
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise Invalid("BuildFailed", f"go {arguments[0]} of {component.name} ended with {done.returncode}:\n{last}")
    return done.stdout


def _go_version(component: Component) -> str:
    """The version that Go would use inside the module, which can be newer than the one installed."""
    return _go(component, "env", "GOVERSION", "GOOS", "GOARCH")


@contextmanager
def _exclusively(lock: Path, component: Component, progress: Progress) -> Iterator[None]:
    """One build of a component at a time: a second process waits, then finds the entry."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"  ... another process is building {component.name}: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
