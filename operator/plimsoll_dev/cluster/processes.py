"""Long-lived processes that outlive the command that starts them, found again without ever trusting a number alone.

A process is ours only if boot, start time and command line are those recorded: the kernel reuses process ids.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PROC = Path("/proc")
# The field of /proc/PID/stat that holds the start time, counted after the parenthesised name.
START_TIME_FIELD = 19
EXEC_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a process from a later one with the same id."""

    pid: int
    boot: str
    started: int
    """Clock ticks after boot."""
    command: Sequence[str]


def current_boot() -> str:
    """Changes with every start of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity | None:
    """The identity of a running process; None when it has ended or is a zombie."""
    try:
        stat = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        command = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    if stat[0] in {"Z", "X"}:
        return None
    return Identity(pid, current_boot(), int(stat[START_TIME_FIELD]), command)


@dataclass(frozen=True, slots=True)
class Process:
    """One named process with its log and its record."""

    name: str
    arguments: Sequence[str]
    log: Path
    record: Path

    def running(self) -> Identity | None:
        """The identity when the recorded process still runs."""
        try:
            known = Identity(**json.loads(self.record.read_text()))
        except FileNotFoundError:
            return None
        return known if identify(known.pid) == known else None

    def start(self, environment: Mapping[str, str]) -> Identity:
        """Starts it in a session of its own and records who it is.

        A crash between the two leaves a process without a record; `strays` finds it by its command line.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                list(self.arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )
        identity = _after_exec(child, self.arguments)
        unfinished = self.record.with_suffix(".new")
        unfinished.write_text(json.dumps(asdict(identity)))
        unfinished.rename(self.record)
        # The child is left running on purpose; without this Python warns when the object is collected.
        child.returncode = 0
        return identity

    def stop(self, grace_s: float) -> None:
        """Asks it to end, then insists after `grace_s` seconds, and forgets the record."""
        identity = self.running()
        if identity is not None:
            end(identity, grace_s)
        self.record.unlink(missing_ok=True)

    def last_lines(self, count: int = 5) -> str:
        """The end of its log, for messages about failures."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(line[:300] for line in self.log.read_text(errors="replace").splitlines()[-count:])


def end(identity: Identity, grace_s: float) -> None:
    """SIGTERM, then SIGKILL; returns when it is gone."""
    _signal(identity, signal.SIGTERM)
    if not _gone_within(identity, grace_s):
        _signal(identity, signal.SIGKILL)
        _gone_within(identity, 10)


def strays(programs: Collection[str], marker: str) -> Sequence[Identity]:
    """Processes of one of these programs with an argument that contains `marker`, a path that only we use.

    The program's name counts too: a person may be reading our log with `tail`.
    """
    found = (identify(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [
        i for i in found if i and Path(i.command[0]).name in programs and any(marker in word for word in i.command[1:])
    ]


def _after_exec(child: subprocess.Popen[bytes], arguments: Sequence[str]) -> Identity:
    """Waits for the program's own command line: the kernel sets it some microseconds after Popen has returned.

    A wrapper script never shows `arguments`; after `EXEC_TIMEOUT_S` what it shows by then is taken.
    """
    deadline = time.monotonic() + EXEC_TIMEOUT_S
    while child.poll() is None:
        identity = identify(child.pid)
        if identity is not None and (list(identity.command) == list(arguments) or time.monotonic() > deadline):
            return identity
        time.sleep(0.001)
    return Identity(child.pid, current_boot(), -1, list(arguments))


def _alive(identity: Identity) -> bool:
    """Whether it has not ended: the command line does not count here, the kernel takes it away before the end."""
    now = identify(identity.pid)
    return now is not None and (now.boot, now.started) == (identity.boot, identity.started)


def _signal(identity: Identity, number: signal.Signals) -> None:
    if _alive(identity):
        try:
            os.kill(identity.pid, number)
        except ProcessLookupError:
            return


def _gone_within(identity: Identity, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _alive(identity):
        _reap(identity.pid)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _reap(pid: int) -> None:
    """Collects the process if it is our own child; others are collected by their parent."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
