"""A Kubernetes of one node made of plain processes of this machine: `up`, `down`, and what lies between.

`up` is safe to repeat: a running cluster is left alone, dead processes are started again, and what an interrupted run
or a restart of the machine left behind is removed before a new cluster starts. `down` removes everything. Both hold a
lock.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plimsoll.errors import Invalid, NotYet
from plimsoll_dev.cluster import components, configuration, leftovers, network, packages, preparation, processes
from plimsoll_dev.cluster.addresses import choose_addresses
from plimsoll_dev.cluster.archive import single_program_image
from plimsoll_dev.cluster.commands import CONTROL, WORKERS, environment_of, processes_of
from plimsoll_dev.cluster.folders import Layout
from plimsoll_dev.cluster.images import import_image
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.ports import free_ports
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.cluster.readiness import Check, api_server, checks, wait_for
from plimsoll_dev.cluster.settings import Settings, read_settings, write_settings

CONTEXT = configuration.NODE
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# The longest path of a Unix socket is 107 characters; containerd and the kubelet append to it.
LONGEST_STATE_PATH = 80
# Twenty times what a quiet machine needs: CI machines share their processors.
READY_TIMEOUT_S = 180.0
RESTART_TIMEOUT_S = 60.0
STOP_GRACE_S = 10.0
# Shims ignore SIGTERM while they hold a container.
SHIM, SHIM_GRACE_S = "containerd-shim-runc-v2", 0.5


@dataclass(frozen=True, slots=True)
class OneNode:
    """The cluster of one state folder."""

    layout: Layout
    cache: Path
    progress: Progress

    def up(self) -> Path:
        """Starts or repairs the cluster; the path of its kubeconfig.

        Raises:
            Invalid: this machine lacks something; the message says what to do.
            NotYet: it did not become ready; the message has the last lines of the log.
        """
        require_possible(self.layout)
        with self._locked():
            packages.install(packages.ONE_NODE, self.progress)
            programs = {c.name: str(components.build(c, self.cache, self.progress)) for c in components.ONE_NODE}
            if not self._repaired(programs):
                self._start_anew(programs)
        return self.layout.kubeconfig

    def down(self) -> None:
        """Removes everything that `up` made, except the cache of built programs."""
        with self._locked():
            self._remove()

    def status(self) -> Mapping[str, str]:
        """Each process with its id, or that it does not run; empty where no cluster is."""
        settings = read_settings(self.layout.settings)
        found = processes_of(self.layout, settings) if settings else {}
        identities = {name: process.running() for name, process in found.items()}
        return {name: f"running, pid {known.pid}" if known else "not running" for name, known in identities.items()}

    def running(self) -> bool:
        """Whether every process runs and the API server is ready."""
        states = self.status()
        complete = bool(states) and all(state != "not running" for state in states.values())
        return complete and self.kubectl().ready()

    def kubectl(self) -> Kubectl:
        """The kubectl of the cluster's own version."""
        return Kubectl(self.program("kubectl"), self.layout.kubeconfig, CONTEXT)

    def program(self, name: str) -> Path:
        """A program of the running cluster: kubectl, helm and the rest."""
        return self._settings().program(name)

    def load_image(self, archive: Path, reference: str) -> str:
        """Imports an image archive; the reference that pods must name."""
        return import_image(self._ctr(), archive, reference, snapshotter=self._settings().snapshotter)

    def set_gpus(self, count: int) -> None:
        """Makes the node claim so many GPUs: the scheduler counts them, nothing can use them."""
        patch = json.dumps({"status": {"capacity": {"nvidia.com/gpu": str(count)}}})
        self.kubectl().run("patch", "node", CONTEXT, "--subresource=status", "--type=merge", "--patch", patch)

    def _repaired(self, programs: Mapping[str, str]) -> bool:
        """Whether the cluster runs, after starting what had ended; False when a new one is needed."""
        settings = read_settings(self.layout.settings)
        if settings is None or not settings.complete:
            return False
        if settings.boot != processes.current_boot() or settings.programs != programs:
            return False
        dead = [process for process in processes_of(self.layout, settings).values() if process.running() is None]
        if not dead and all(check.ready() for check in checks(self.kubectl(), settings.addresses)):
            self.progress.say("  ok  the one-node cluster already runs")
            return True
        for process in dead:
            self.progress.say(f"  ... starting {process.name} again, it had ended")
            process.start(environment_of(self.layout))
        try:
            self._wait_until_ready(settings, RESTART_TIMEOUT_S)
        except NotYet as late:
            self.progress.say(f"  {late.message}\n  The cluster cannot be repaired: starting a new one.")
            return False
        return True

    def _start_anew(self, programs: Mapping[str, str]) -> None:
        self._remove()
        settings = self._prepare(programs)
        found, environment = processes_of(self.layout, settings), environment_of(self.layout)
        for name in CONTROL:
            found[name].start(environment)
        runtime = Check(("containerd",), "the container runtime", self._runtime_ready)
        wait_for(runtime, found, self.progress, READY_TIMEOUT_S)
        self._import_pause(settings)
        wait_for(api_server(self.kubectl()), found, self.progress, READY_TIMEOUT_S)
        self.kubectl().apply(configuration.cluster_objects(settings.addresses))
        for name in WORKERS:
            found[name].start(environment)
        self._wait_until_ready(settings, READY_TIMEOUT_S)
        write_settings(self.layout.settings, dataclasses.replace(settings, complete=True))

    def _prepare(self, programs: Mapping[str, str]) -> Settings:
        """Chooses, records, and only then changes the machine, so that an interrupted run can be undone."""
        self.layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        addresses = choose_addresses(network.used_addresses())
        machine = preparation.examine_machine(self.layout.root)
        current = network.read_sysctls()
        raised = network.raised_sysctls(current)
        settings = Settings(
            boot=processes.current_boot(),
            block=str(addresses.block),
            programs=programs,
            snapshotter=machine.snapshotter,
            etcd_ports=free_ports(2),
            sysctls={name: current[name] for name in raised},
        )
        write_settings(self.layout.settings, settings)
        network.write_sysctls(raised)
        network.set_up(addresses)
        leftovers.create_cgroup()
        preparation.write_files(self.layout, addresses, machine)
        return settings

    def _import_pause(self, settings: Settings) -> None:
        program = settings.program("pause").read_bytes()
        archive = self.layout.root / "pause.tar"
        architecture = ARCHITECTURES[platform.machine()]
        archive.write_bytes(single_program_image(configuration.PAUSE_IMAGE, program, architecture))
        self.load_image(archive, configuration.PAUSE_IMAGE)

    def _wait_until_ready(self, settings: Settings, timeout_s: float) -> None:
        found = processes_of(self.layout, settings)
        for check in checks(self.kubectl(), settings.addresses):
            wait_for(check, found, self.progress, timeout_s)

    def _runtime_ready(self) -> bool:
        return subprocess.run([*self._ctr(), "version"], capture_output=True, check=False).returncode == 0

    def _remove(self) -> None:
        """Kubelet first, so that nothing starts pods again; then pods, then their runtime, then the rest."""
        settings = read_settings(self.layout.settings)
        self._stop(settings, ["kubelet", *WORKERS])
        leftovers.end_contained_processes()
        for shim in processes.strays({SHIM}, str(self.layout.root)):
            processes.end(shim, SHIM_GRACE_S)
        leftovers.end_contained_processes()
        self._stop(settings, [*reversed(CONTROL)])
        self._undo_network(settings)
        leftovers.remove_cgroups()
        leftovers.remove_links(self.layout.root)
        if self.layout.root.exists():
            leftovers.remove_folder(self.layout.root)

    def _stop(self, settings: Settings | None, names: Sequence[str]) -> None:
        """Stops processes by their records, then those that an interrupted start left without one."""
        found = processes_of(self.layout, settings) if settings else {}
        for name in names:
            if name in found:
                found[name].stop(STOP_GRACE_S)
        for identity in processes.strays(set(names), str(self.layout.root)):
            processes.end(identity, STOP_GRACE_S)

    def _undo_network(self, settings: Settings | None) -> None:
        if settings is not None:
            proxy = settings.program("kube-proxy")
            if proxy.exists():
                network.run(str(proxy), "--cleanup", check=False)
            if settings.boot == processes.current_boot():
                network.write_sysctls(settings.sysctls)
        network.remove()

    def _ctr(self) -> Sequence[str]:
        return ["ctr", "--address", str(self.layout.containerd_socket)]

    def _settings(self) -> Settings:
        settings = read_settings(self.layout.settings)
        if settings is None:
            message = "No one-node cluster runs here. Start it with 'python -m plimsoll_dev.cluster up'."
            raise Invalid("NotRunning", message)
        return settings

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.layout.lock.parent.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.progress.say("  ... another process is starting or stopping the cluster: waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def require_possible(layout: Layout) -> None:
    """Refuses machines on which the one-node cluster cannot run.

    Raises:
        Invalid: with what to do instead.
    """
    if platform.system() != "Linux" or platform.machine() not in ARCHITECTURES:
        raise Invalid("NotLinux", "The one-node cluster needs Linux on amd64 or arm64. Start Docker and use kind.")
    if os.geteuid() != 0:
        raise Invalid("NotRoot", "The one-node cluster needs root: run the same command with 'sudo --preserve-env'.")
    if len(str(layout.root)) > LONGEST_STATE_PATH:
        message = f"{layout.root} has more than {LONGEST_STATE_PATH} characters, too many for the sockets in it."
        raise Invalid("PathTooLong", f"{message} Set PLIMSOLL_STATE to a shorter folder.")
