"""An API server of a chosen version with its etcd, for tests of the CRD: no node, no controllers, no root.

It lives as long as the `with` block, and dies with the process that opened it: nothing is left to clean up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from plimsoll.errors import Invalid, NotYet
from plimsoll_dev.cluster import components, configuration, packages, preparation
from plimsoll_dev.cluster.components import Component
from plimsoll_dev.cluster.folders import cache_folder
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.ports import free_ports
from plimsoll_dev.cluster.progress import Progress

VERSIONS: Mapping[str, Component] = {"1.33": components.OLDEST_KUBERNETES, "1.36": components.KUBERNETES}
LOOPBACK = "127.0.0.1"
SERVICES = "10.255.0.0/20"
"""Room for 4,094 Services: the bench makes one with an address for each of 500 ModelDeployments."""
READY_TIMEOUT_S = 180.0


@contextmanager
def control_plane(version: str, progress: Progress | None = None) -> Iterator[Path]:
    """Runs etcd and the API server of a minor version ("1.33" or "1.36") and gives the kubeconfig's path.

    Raises:
        Invalid: the version is not one of ours, or this machine lacks something.
        NotYet: the API server did not become ready; the message has the end of its log.
    """
    if version not in VERSIONS:
        raise Invalid("UnknownVersion", f"Kubernetes {version} is not among {', '.join(VERSIONS)}.")
    progress = progress or Progress(sys.stderr)
    packages.install(packages.CONTROL_PLANE, progress)
    cache = cache_folder(os.environ)
    programs = components.build(VERSIONS[version], cache, progress)
    kubectl = components.build(components.KUBERNETES, cache, progress) / "kubectl"
    with tempfile.TemporaryDirectory(prefix="plimsoll-control-plane-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        kubeconfig, commands = _prepare(folder, programs)
        started = [stack.enter_context(_running(command, folder)) for command in commands]
        client = Kubectl(kubectl, kubeconfig, configuration.NODE)
        _wait_until_ready(f"the API server {version} (/readyz)", started, client, progress, folder)
        yield kubeconfig


def _wait_until_ready(
    sentence: str, started: Sequence[subprocess.Popen[bytes]], client: Kubectl, progress: Progress, folder: Path
) -> None:
    def ended() -> bool:
        return any(process.poll() is not None for process in started)

    try:
        progress.wait(sentence, client.ready, ended, timeout_s=READY_TIMEOUT_S)
    except NotYet as late:
        raise NotYet(late.reason, f"{late.message} The ends of its logs:\n{_ends_of_logs(folder)}") from late


def _prepare(folder: Path, programs: Path) -> tuple[Path, Sequence[Sequence[str]]]:
    pki, kubeconfig = folder / "pki", folder / "kubeconfig"
    api_port, client_port, peer_port = free_ports(3)
    preparation.write_certificates(pki, LOOPBACK, "10.255.0.1")
    preparation.write_kubeconfig(kubeconfig, f"https://{LOOPBACK}:{api_port}", pki, "admin")
    api = configuration.apiserver_arguments(pki, LOOPBACK, api_port, client_port, SERVICES)
    # The loopback address is no endpoint of a Service, and without controllers no namespace gets a service account.
    alone = ["--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount"]
    etcd = configuration.etcd_arguments(pki, folder / "etcd", client_port, peer_port)
    return kubeconfig, [["etcd", *etcd], [str(programs / "kube-apiserver"), *api, *alone]]


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child that the kernel kills when this process ends, however it ends."""
    program = shutil.which(command[0], path=packages.search_path(os.environ)) or command[0]
    guard = ["setpriv", "--pdeathsig", "KILL"]
    with (folder / f"{Path(program).name}.log").open("wb") as log:
        process = subprocess.Popen([*guard, program, *command[1:]], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        yield process
    finally:
        # Nothing is worth saving: the folder is about to be removed.
        process.send_signal(signal.SIGKILL)
        process.wait()


def _ends_of_logs(folder: Path) -> str:
    lines = ((path.name, path.read_text(errors="replace").splitlines()[-8:]) for path in sorted(folder.glob("*.log")))
    return "\n".join(f"{name}: {line}" for name, ends in lines for line in ends)
