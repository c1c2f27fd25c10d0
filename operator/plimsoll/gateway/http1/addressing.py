"""Which model a request means. Paths are matched as they came: what would need normalising is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from plimsoll.gateway.http1.refusals import Reason, Refusal

_NAME = rb"([A-Za-z0-9_-][A-Za-z0-9_.-]{0,99})"
_MODEL = re.compile(
    rb"/v2/models/"
    + _NAME
    + rb"(?:/versions/([0-9]{1,19}))?(?:/(infer|generate|generate_stream|ready|config|stats))?(?:\?[!-~]*)?"
)
_SERVER = re.compile(rb"/v2/?|/v2/health/(?:live|ready)")
_ADMINISTRATIVE = re.compile(
    rb"/v2/(?:(?:repository|systemsharedmemory|cudasharedmemory|trace|logging)(?:[/?].*)?"
    rb"|models/(?:stats(?:\?.*)?|[^?]*/trace(?:[/?].*)?))"
)
_UNCLEAR = re.compile(rb"[^?]*(?:%|//|/\.\.?(?:/|\?|\Z)|[\\\"<>^`{|}#])")
_INFERENCE = frozenset({b"infer", b"generate", b"generate_stream"})
_HOST = re.compile(rb"[A-Za-z0-9_.-]*(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of which model.

    Attributes:
        model: Its public name.
        infers: It is an inference: it is split between revisions and counts as evidence. Other calls (readiness,
            metadata, statistics) are cheap, and would water down what is known of a revision.
        has_tensors: It is `infer`, whose requests and answers can be looked into.
        version: Of the model, where the path names one.
    """

    model: str
    infers: bool
    has_tensors: bool = False
    version: str = ""


def resolve(target: bytes, host: bytes) -> Call | Refusal:
    """Returns what an origin-form target asks for; `host` is the value of the Host field."""
    if _ADMINISTRATIVE.fullmatch(target):
        return _refused(403, Reason.ADMINISTRATIVE, "Administrative calls do not pass the gateway; models are changed")
    match = _MODEL.fullmatch(target)
    if match is not None and match[1] not in {b".", b".."}:
        return Call(match[1].decode(), match[3] in _INFERENCE, match[3] == b"infer", (match[2] or b"").decode())
    if _SERVER.fullmatch(target):
        return _by_host(host)
    if _UNCLEAR.match(target):
        return Refusal(400, Reason.MALFORMED, "Write the path plainly: no %, no empty, . or .. part, no odd character.")
    return Refusal(404, Reason.UNKNOWN_PATH, "There is no such path. Inference is POST /v2/models/NAME/infer.")


def renamed(target: bytes, model: bytes) -> bytes:
    """Returns the target of an inference for another model, without the version; others as they are."""
    match = _MODEL.fullmatch(target)
    return b"/v2/models/" + model + target[match.start(3) - 1 :] if match is not None and match[3] else target


def is_host(value: bytes) -> bool:
    """Tells whether a Host field's value is a name or an address with or without a port."""
    return _HOST.fullmatch(value) is not None


def unknown_model(name: str) -> Refusal:
    """Returns the answer where the gateway has no such model."""
    return Refusal(
        404, Reason.UNKNOWN_MODEL, f"There is no model {name} here; `kubectl get modeldeployments` lists them."
    )


def _by_host(host: bytes) -> Call | Refusal:
    """Calls without a model in their path are meant for the one whose Service was called."""
    label = host.partition(b":")[0].partition(b".")[0]
    if not label or host.startswith(b"[") or label.isdigit():
        sentence = "This path names no model and neither does the Host; call it through the model's Service."
        return Refusal(404, Reason.UNKNOWN_MODEL, sentence)
    return Call(label.decode().lower(), infers=False)


def _refused(status: int, reason: Reason, sentence: str) -> Refusal:
    return Refusal(status, reason, sentence + " by their ModelDeployment.")
