"""What `helm test` runs inside the cluster: two questions, a sentence for each answer, exit code 1 when one is no.

Standard library only. It needs no rights: discovery is open to every authenticated account.
"""
# ruff: noqa: INP001 - the chart carries this file as text; it belongs to no package
# ruff: noqa: S310 - both addresses are http and https, one from the chart and one from the kubelet

import json
import os
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ACCOUNT = Path(os.environ.get("PLIMSOLL_ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
READYZ = os.environ.get("PLIMSOLL_READYZ", "http://localhost:8080/readyz")
API = "/apis/plimsoll.dev/v1alpha1"
EXPECTED = {"modeldeployments", "modeldeployments/status", "modeldeployments/scale"}
# A fresh release may still be electing: 60 s is four Lease durations.
PATIENCE_S = float(os.environ.get("PLIMSOLL_PATIENCE_S", "60"))
PAUSE_S = 2.0


def main() -> int:
    """Returns 0 when both answers are yes."""
    answers = [eventually(controller_is_ready), eventually(api_is_served)]
    return 0 if all(answers) else 1


def eventually(question: Callable[[], str]) -> bool:
    """Asks until the question is answered or patience ends, and prints the last sentence."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            sentence = question()
        except (OSError, ValueError) as error:
            if time.monotonic() >= deadline:
                sys.stdout.write(f"FAILED: {error}\n")
                return False
            time.sleep(PAUSE_S)
        else:
            sys.stdout.write(f"ok: {sentence}\n")
            return True


def controller_is_ready() -> str:
    """Asks /readyz through the Service."""
    try:
        with urllib.request.urlopen(READYZ, timeout=5):
            return f"{READYZ} answers: a controller is ready."
    except OSError as error:
        raise OSError(f"{READYZ}: {error}. Read `kubectl get pods` and the controllers' logs.") from error


def api_is_served() -> str:
    """Asks the API server's discovery for ModelDeployment."""
    token = (ACCOUNT / "token").read_text(encoding="ascii")
    request = urllib.request.Request(f"https://{api_server()}{API}", headers={"Authorization": f"Bearer {token}"})
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, timeout=5, context=trust) as response:
            served = {resource["name"] for resource in json.load(response)["resources"]}
    except OSError as error:
        raise OSError(f"{API}: {error}. Is the CustomResourceDefinition installed?") from error
    if EXPECTED - served:
        missing = ", ".join(sorted(EXPECTED - served))
        raise ValueError(f"{API} does not serve {missing}. Apply the CustomResourceDefinition of this release.")
    return f"{API} serves {', '.join(sorted(EXPECTED))}."


def api_server() -> str:
    """Returns host and port of the API server, IPv6 in brackets."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
