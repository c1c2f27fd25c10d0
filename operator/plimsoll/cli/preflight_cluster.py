"""Reads the report that the controller stored beside a revision."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from plimsoll.errors import Invalid, PlimsollError
from plimsoll.kube.client import Client
from plimsoll.kube.connection import connect
from plimsoll.kube.errors import ApiError, NotFound
from plimsoll.kube.resources import CONFIGMAPS, MODELDEPLOYMENTS, JsonObject

SUFFIX: Final = "-preflight"
KEY: Final = "report.json"
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which report.

    Attributes:
        name: Of the ModelDeployment.
        namespace: The context's own when None.
        revision: The candidate when None, or the stable revision where nothing is prepared.
    """

    name: str
    namespace: str | None
    revision: str | None


def stored_report(wanted: Wanted, environ: Mapping[str, str]) -> str:
    """Returns the text of the report.

    Args:
        wanted: Which one.
        environ: `KUBECONFIG` and `CONTEXT`, as for the controller.

    Raises:
        Invalid: There is none, and the message says what to look at.
        PlimsollError: The cluster does not answer, or refuses.
    """
    try:
        return asyncio.run(_read(wanted, environ))
    except ApiError as error:
        raise PlimsollError(error.reason, f"The cluster cannot be asked: {error.message}") from error


async def _read(wanted: Wanted, environ: Mapping[str, str]) -> str:
    namespace = wanted.namespace or default_namespace(environ)
    async with Client(await connect(environ)) as client:
        try:
            deployment = await client.get(MODELDEPLOYMENTS, namespace, wanted.name)
        except NotFound as error:
            raise Invalid(
                "NotFound", f"There is no ModelDeployment {namespace}/{wanted.name} ({error.message})."
            ) from error
        revision = wanted.revision or _revision_of(deployment, f"{namespace}/{wanted.name}")
        try:
            stored = await client.get(CONFIGMAPS, namespace, f"{revision}{SUFFIX}")
        except NotFound as error:
            raise Invalid(
                "NoReport",
                f"There is no report about the revision {revision}: its preflight has not ended, or "
                f"spec.preflight.mode is Skip. Look at `kubectl describe mdep {wanted.name} -n {namespace}`.",
            ) from error
    return _text_of(stored, wanted.name, revision)


def _revision_of(deployment: JsonObject, name: str) -> str:
    status = deployment.get("status") or {}
    # Never stable's report while a candidate is prepared: a pipeline would take the old verdict for the new one.
    revision = status.get("candidate") or status.get("stable")
    if not revision:
        raise Invalid("NoRevision", f"The ModelDeployment {name} has no revision yet: the controller has not seen it.")
    return str(revision)


def _text_of(stored: JsonObject, model: str, revision: str) -> str:
    text = (stored.get("data") or {}).get(KEY)
    name = stored["metadata"]["name"]
    if not isinstance(text, str):
        raise Invalid("NoReport", f"The ConfigMap {name} has no key {KEY}. Delete it; the controller asks again.")
    # YAML reads JSON, and a document that is neither is told by who reads the report.
    named = _mapping(text)
    if (named.get("model", model), named.get("revision", revision)) != (model, revision):
        raise Invalid("ForeignReport", f"The ConfigMap {name} holds the report of another revision. Delete it.")
    return text


def default_namespace(environ: Mapping[str, str]) -> str:
    """Returns the namespace `kubectl` would use: the context's, in a pod its own, else `default`."""
    paths = environ.get("KUBECONFIG")
    if not paths and environ.get("KUBERNETES_SERVICE_HOST") and _POD_NAMESPACE.is_file():
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip() or "default"
    files = list(_configurations(paths or "~/.kube/config"))
    # As kubectl merges files: of what several say, the first one counts.
    current = environ.get("CONTEXT") or next(
        (file["current-context"] for file in files if file.get("current-context")), ""
    )
    contexts = (one for file in files for one in file.get("contexts") or () if isinstance(one, dict))
    chosen = next((one for one in contexts if one.get("name") == current), {})
    return str((chosen.get("context") or {}).get("namespace") or "default")


def _configurations(paths: str) -> Iterator[dict[str, Any]]:
    for path in paths.split(os.pathsep):
        file = Path(path).expanduser()
        if path and file.is_file():
            yield _mapping(file.read_text(encoding="utf-8"))


def _mapping(text: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}
