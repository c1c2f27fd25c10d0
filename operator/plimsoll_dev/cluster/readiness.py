"""What "the cluster runs" means, as a list of questions, each with the process that should bring the answer about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from plimsoll.errors import NotYet
from plimsoll_dev.cluster import dns
from plimsoll_dev.cluster.addresses import AddressPlan
from plimsoll_dev.cluster.configuration import DOMAIN, NODE
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.processes import Process
from plimsoll_dev.cluster.progress import Progress


@dataclass(frozen=True, slots=True)
class Check:
    """One question."""

    needs: Sequence[str]
    """The processes without which the answer cannot come."""
    sentence: str
    ready: Callable[[], bool]


def api_server(kubectl: Kubectl) -> Check:
    """Asked first: the others need it."""
    return Check(("etcd", "kube-apiserver"), "the API server (/readyz)", kubectl.ready)


def checks(kubectl: Kubectl, addresses: AddressPlan) -> Sequence[Check]:
    """All questions, in the order in which they come true.

    The kubelet is asked itself, too: for 40 s after its death the node's condition still says Ready.
    """
    node = ("get", "node", NODE, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
    kubelet = ("get", f"--raw=/api/v1/nodes/{NODE}/proxy/healthz")
    account = ("get", "serviceaccount", "default", "-o", "jsonpath={.metadata.name}")
    server, name = str(addresses.dns), f"kubernetes.default.svc.{DOMAIN}"
    return [
        api_server(kubectl),
        Check(("kubelet",), "the kubelet (through the API server)", lambda: kubectl.succeeds(*kubelet, answer="ok")),
        Check(("containerd", "kubelet"), "the node (Ready)", lambda: kubectl.succeeds(*node, answer="True")),
        Check(("kube-proxy", "coredns"), "DNS (through its Service)", lambda: dns.resolves(server, name)),
        Check(
            ("kube-controller-manager", "kube-scheduler"),
            "the controllers (a service account)",
            lambda: kubectl.succeeds(*account, answer="default"),
        ),
    ]


def wait_for(check: Check, processes: Mapping[str, Process], progress: Progress, timeout_s: float) -> None:
    """Waits for one answer; gives up at once when a process that it needs has ended.

    Raises:
        NotYet: not within `timeout_s` seconds, or the process ended; the message has the end of its log.
    """
    needed = [processes[name] for name in check.needs]
    last = needed[-1]
    try:
        progress.wait(check.sentence, check.ready, lambda: ended(needed) is not None, timeout_s=timeout_s)
    except NotYet as late:
        cause = ended(needed)
        said = f"{cause.name} ended." if cause else late.message
        shown = cause or last
        raise NotYet(late.reason, f"{said} The end of {shown.log}:\n{shown.last_lines()}") from late


def ended(needed: Sequence[Process]) -> Process | None:
    """The first process that does not run."""
    return next((process for process in needed if process.running() is None), None)
