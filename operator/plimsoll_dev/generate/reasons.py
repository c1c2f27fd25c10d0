"""What every reason means: one row each. A test finds reasons that the code gives and that are missing here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Origin(StrEnum):
    """What a group of reasons is about."""

    STATE = "What goes well, or is waited for"
    PREFLIGHT = "What a revision has to show before it serves"
    PODS = "What keeps the pods from becoming ready"
    SPEC = "What the cluster or the operator refuses"
    SOURCE = "What `plimsoll fetch` reports about the source"
    MODEL = "What `plimsoll fetch` reports about the model"
    EVENT = "Events only"


REASONS: Mapping[Origin, Mapping[str, str]] = {
    Origin.STATE: {
        "ModelServersReady": "Serving is True: the revision behind the Service has a ready model server.",
        "NoModelServerReady": "Serving is False: it has none.",
        "Promoted": "The newest spec serves.",
        "Stopped": "`spec.traffic` is Stopped: every request is refused, as asked.",
        "Fallback": "The newest spec is promoted, and the model in `spec.fallback` answers, because `spec.traffic` is "
        "Fallback.",
        "KillSwitchTripped": "Too many requests failed, so `spec.killSwitch` took the model from its users. Publish a "
        "model that works, or reset the switch as the message says.",
        "KillSwitchAlert": "Too many requests failed, and `spec.killSwitch` only alerts. It ends by itself.",
        "StableOnly": "A new revision is not promoted because `spec.traffic` is StableOnly.",
        "GatewayUnavailable": "The namespace has no ready gateway, or cannot have one; the message says why. Requests "
        "go to the model servers directly where they did so before.",
        "EvidenceUnavailable": "The controller does not hear a gateway: it serves on, and no roll-out moves forward. "
        "The message says why.",
        "ScaledToZero": "`spec.replicas` is 0, so nothing serves, as asked. Set it to 1 or more.",
        "Draining": "Fewer replicas are wanted. The model servers that go get no new request, and go when they have "
        "answered those they have.",
        "Settled": "Reconciling is False: there is nothing left to do.",
        "NotStalled": "Stalled is False: you need not act.",
        "WaitingForPods": "Pods have yet to be created or to become ready.",
        "Scheduling": "A pod waits for the scheduler.",
        "StartingPod": "A node prepares the pod: volumes, images, the fetch container.",
        "Fetching": "The model is being fetched. Bytes that arrive are progress, however long it takes.",
        "Loading": "Triton loads the model and warms it up.",
    },
    Origin.PREFLIGHT: {
        "PreflightRunning": "A Job examines one model server of the candidate, which has no users.",
        "PreflightWaiting": "The Job cannot start. The message says what it lacks: a node, an image, a quota.",
        "PreflightDataMissing": "A ConfigMap that `spec.preflight` names does not exist. Create it, or remove it "
        "there.",
        "PreflightError": "The preflight itself did not work, which says nothing about the revision. It is tried again "
        "after 10 s, 20 s, and so on up to 10 min; Stalled is True when it has failed seven times.",
        "PreflightFailed": "In `status.preflight`: why it did not work.",
        "PreflightRejected": "The revision is not good enough, and the message says why; what served keeps serving. "
        "Correct the model, or what `spec.preflight` asks of it: another question is asked again.",
        "ReplacingPod": "The preflight left the examined model server restarted or grown, so another one takes "
        "its place.",
        "CacheRefused": "The revision serves, but no answer is kept although `spec.cache` asks for it: its preflight "
        "has not shown that it gives the same answer each time. The message says why.",
        "ConfidenceUnjudged": "The revision serves, but `spec.requests.confidence.output` is none of its outputs, or "
        "has no floating-point numbers, so its answers pass as `unknown`. The message says which outputs have.",
        "Unverified": "The revision serves without a preflight, because `preflight.whenNoStable` is Serve.",
    },
    Origin.PODS: {
        "InsufficientCapacity": "No node fits. Free or add what the message names, or ask for less.",
        "QuotaExceeded": "A ResourceQuota refuses a pod or an object. Raise it, or ask for less.",
        "ApiServerError": "The API server fails to create an object. Tried again; look at the server if it stays.",
        "PodRefused": "The API server refuses the pods (admission, LimitRange, a quota that wants a limit stated). "
        "Correct what it names.",
        "PodFailed": "A pod failed as a whole, for example by eviction. It is replaced.",
        "ImageInvalid": "The name of an image cannot be right. Correct `runtime.image` or the chart's images.",
        "ImagePullFailed": "An image cannot be pulled. Check name, digest and `runtime.pod.imagePullSecrets`.",
        "ContainerConfig": "A container cannot be made, usually because a Secret or ConfigMap it mounts is missing.",
        "FetchFailed": "Fetching ended without a report, or out of memory. Its log says more.",
        "OutOfMemory": "Triton ran out of memory while loading. Raise `runtime.resources.limits.memory`.",
        "ServerCrashed": "Triton ended while loading. The message has the end of its output.",
    },
    Origin.SPEC: {
        "DigestRequired": "The object has no digest, or two that differ. `plimsoll resolve URI` prints it.",
        "ConfigTooLarge": "`model.config` is too large. Put config.pbtxt into a Triton repository.",
        "NameConflict": "An object under a name that is needed belongs to something else; it is left alone.",
        "WaitingForName": "A needed name belongs to another owner, as a rule a deleted namesake on its way out.",
        "ManifestRefused": "The API server finds a child invalid. Correct the field that it names.",
        "RevisionDamaged": "A ControllerRevision cannot be read by this version. Delete it; it is made again.",
        "Forbidden": "The operator may not write a child. Compare its rights with [rbac.md](rbac.md).",
        "Unknown": "The spec asks for nothing that can be made.",
    },
    Origin.SOURCE: {
        "UnknownScheme": "`model.uri` must start with oci://, https:// or pvc://.",
        "InvalidUri": "`model.uri` is malformed, or holds a user name or password.",
        "InvalidRequest": "The fetch container cannot read its request: controller and fetch image differ too much.",
        "Unauthorized": "The source refuses the credentials, or the Secret has none that can be used.",
        "CredentialsNotForHost": "The Secret does not name the host in `model.uri`, so that host was shown nothing of "
        "it. The message has the command that makes one that does.",
        "NotFound": "There is nothing at `model.uri`.",
        "RequestRefused": "The source refuses the request for another reason, which the message names.",
        "RegistryUnavailable": "The source does not answer or is overloaded. It is tried again.",
        "ClaimUnavailable": "The claim cannot be read now. It is tried again.",
        "CertificateNotTrusted": "The source's certificate is not trusted. Name its authority in "
        "`model.credentials.caConfigMapRef`.",
        "InsecureRedirect": "The source redirects to an unprotected address. That is refused.",
        "TooManyRedirects": "The source redirects in a circle.",
        "DigestMismatch": "The bytes are not those that the digest names: they were changed, or the digest is wrong.",
        "StorageTooSmall": "The model does not fit. Raise `runtime.resources.limits.ephemeral-storage`, or free disk.",
        "UnsafeArchive": "An archive or folder would write outside its place, or has too many entries.",
        "UnsupportedArtifact": "The artefact in the registry has no form that is understood.",
    },
    Origin.MODEL: {
        "UnknownFormat": "The format cannot be told from the file names. Set `model.format`.",
        "AmbiguousModel": "The files fit several formats, or hold several models. Set `model.format` or `model.entry`.",
        "PickleRefused": "Pickle and joblib run code when loaded. Export to ONNX.",
        "CorruptModel": "A file is damaged or cut off. Publish it again.",
        "UnsupportedModel": "The file is sound, but says less, or other things, than Triton needs.",
        "InputsMissing": "The file carries no shapes. State `model.inputs` and `model.outputs`.",
        "InputsMismatch": "`model.inputs`, `model.outputs` or `model.config` contradict the file.",
        "InvalidConfig": "`model.config` has a field or value that Triton would refuse.",
        "AcceleratorRequired": "The format runs on a GPU only. Set `runtime.accelerator` to Nvidia.",
        "EntryMissing": "The repository holds several models. Set `model.entry`.",
        "EntryUnknown": "`model.entry` names no model of the repository.",
        "NameTaken": "An inner model of the repository has the public name. Rename one of the two.",
        "GoldenMismatch": "`golden.json` does not fit the model's inputs.",
    },
    Origin.EVENT: {
        "RevisionCreated": "A revision was made for a new spec.",
        "PreflightPassed": "The candidate has shown what it had to; it is scaled up and takes over.",
        "CacheMismatch": "A re-check got another answer than was kept (`spec.cache`): the revision is not what its "
        "preflight found. At most once a minute for a ModelDeployment.",
        "DrainTimedOut": "Model servers went, for fewer replicas, before it was known that they have no request: a "
        "gateway does not answer, or a request takes longer than `runtime.drain`. The message says which.",
        "RevisionRemoved": "The pods of an unused revision were removed.",
    },
}


def documented_reasons() -> set[str]:
    """Returns every reason that has a row."""
    return {reason for group in REASONS.values() for reason in group}
