"""Python on a node of the cluster, with its rights: for what no API offers, as killing a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.load import PYTHON
from tests.support.team import Object, Team

_FIND = """
import os, signal, sys, time
def processes(where, word):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = open(f"/proc/{pid}/cmdline").read().replace("\\0", " ")
            if word in line and where.replace("-", "_") in open(f"/proc/{pid}/cgroup").read().replace("-", "_"):
                yield int(pid), line
        except OSError:
            pass
"""
KILL = f"""{_FIND}
for pid, _ in processes(sys.argv[1], sys.argv[2]):
    os.kill(pid, signal.SIGKILL)
"""
"""Kills the processes whose control group has the first and whose command line has the second argument."""
SUSPEND = f"""{_FIND}
found = [pid for pid, line in processes("", " ") if os.path.basename(line.split(" ")[0]) == sys.argv[1]]
for pid in found:
    os.kill(pid, signal.SIGSTOP)
try:
    time.sleep(float(sys.argv[2]))
finally:
    for pid in found:
        os.kill(pid, signal.SIGCONT)
print(len(found))
"""
"""Stops the processes of a program for so many seconds, and prints how many there were."""


@contextmanager
def on_node(team: Team, script: str, *arguments: str) -> Iterator[Team]:
    """Runs a script to its end beside what is done meanwhile; yields where its pod `on-node` is."""
    at = Team(team.testbed, "default")  # admits privileged pods
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "on-node"},
        "spec": {
            "restartPolicy": "Never",
            "hostPID": True,
            "containers": [
                {
                    "name": "main",
                    "image": team.testbed.images["operator"],
                    "imagePullPolicy": "IfNotPresent",
                    "command": [PYTHON, "-c", script, *arguments],
                    "securityContext": {"privileged": True, "runAsUser": 0},
                }
            ],
        },
    }
    at.apply(pod)
    try:
        yield at
        at.until("the script on the node has ended", lambda: at.get("pod", "on-node")["status"]["phase"] == "Succeeded")
    finally:
        at.kubectl("delete", "pod", "on-node", "--grace-period=0", "--force")
