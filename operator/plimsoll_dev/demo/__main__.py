"""`python -m plimsoll_dev.demo up|down`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from plimsoll.errors import NotYet, PlimsollError
from plimsoll_dev.cluster import target
from plimsoll_dev.cluster.kubectl import Kubectl
from plimsoll_dev.cluster.progress import Progress
from plimsoll_dev.demo.show import Answer, ask, findings, picture
from plimsoll_dev.models.catalogue import DIGITS, DIGITS_V2
from plimsoll_dev.models.samples import samples
from plimsoll_dev.testbed.forward import forwarded
from plimsoll_dev.testbed.harness import Harness
from plimsoll_dev.testbed.installation import Installation
from plimsoll_dev.testbed.model import Served, manifest

NAMESPACE = "plimsoll-demo"
_SHOWN = 3
_PATIENCE_S = 300.0
_BUDGET = "20s"
"""Of the preflight, whose default is 2 minutes."""


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status."""
    progress = Progress()
    try:
        match list(arguments):
            case ["up"]:
                up(progress)
            case ["down"]:
                down(progress)
            case _:
                print("usage: python -m plimsoll_dev.demo up|down", file=sys.stderr)
                return 2
    except PlimsollError as error:
        print(f"\n{error.message}", file=sys.stderr)
        return 1
    return 0


def up(progress: Progress) -> None:
    """Shows a model answering; safe to repeat."""
    testbed = Harness.prepare(progress)
    with progress.step("installing Plimsoll with helm"):
        testbed.installation.install()
    testbed.create_namespace(NAMESPACE)
    registry = testbed.registry(NAMESPACE)
    with progress.step("starting a registry and pushing the models"):
        registry.install()
        uris = registry.push([DIGITS, DIGITS_V2])
    served = Served(testbed.kubectl, NAMESPACE, DIGITS.deployment)
    testbed.kubectl.apply(manifest(served.name, NAMESPACE, uris[DIGITS.folder], preflight={"budget": _BUDGET}))
    _wait(served, progress)
    print(f"\n{findings(served.status())}")
    with forwarded(testbed.kubectl, NAMESPACE, f"service/{served.name}", 8000) as port:
        answers = ask(port, served.name, list(samples()))
    _show(answers)
    _next_steps(testbed, served, uris[DIGITS_V2.folder])


def down(progress: Progress) -> None:
    """Removes what the demonstration made: the whole cluster where it made that, else its release and namespace."""
    if target.kind_of(os.environ) is target.Kind.GIVEN:
        cluster = target.up(os.environ, progress)
        kubectl = Kubectl(cluster.kubectl, cluster.kubeconfig, cluster.context)
        with progress.step("removing the demonstration's namespace and Plimsoll's release"):
            kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_s=180)
            Installation(kubectl, cluster.helm).uninstall()
    target.down(os.environ, progress)


def _wait(served: Served, progress: Progress) -> None:
    """Waits until the newest spec is promoted, and says what it waits for whenever that changes."""
    told = ""

    def ready() -> bool:
        nonlocal told
        message = served.message()
        if message != told:
            told = message
            progress.say(f"      {message}")
        if served.conditions().get("Stalled") == "True":
            raise NotYet("Stalled", f"ModelDeployment {served.name} does not go on: {message}.")
        return served.is_ready()

    progress.wait(f"ModelDeployment {served.name} to be Ready", ready, timeout_s=_PATIENCE_S)


def _show(answers: list[Answer]) -> None:
    for answer in answers[:_SHOWN]:
        print(f"\n{picture(answer)}")
    right = sum(answer.label == answer.sample.label for answer in answers)
    median = sorted(answer.milliseconds for answer in answers)[len(answers) // 2]
    print(f"\n{right} of {len(answers)} digits were read as they were written; median {median:.1f} ms per request.")


def _next_steps(testbed: Harness, served: Served, newer: str) -> None:
    kubectl = testbed.kubectl
    patch = f'{{"spec":{{"model":{{"uri":"{newer}"}}}}}}'
    print(
        f"""
Try next:
    export KUBECONFIG={kubectl.kubeconfig}
    alias k='{kubectl.program} --context={kubectl.context} -n {served.namespace}'
    k get mdep,deploy,svc,pods
    k describe mdep {served.name}
    k explain mdep.spec.runtime
    k scale mdep {served.name} --replicas=2
    k get configmap {served.status()["stable"]}-preflight -o jsonpath='{{.data}}'   # the whole report
    k patch mdep {served.name} --type=merge -p '{patch}'   # a new version: examined, then without a lost request
    k get mdep -w
    make demo-down
"""
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
