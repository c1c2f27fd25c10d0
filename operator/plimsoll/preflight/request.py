"""What a preflight is asked to do: the controller writes it into the Job's environment, the command line makes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Self

from pydantic import Field, ValidationError, model_validator

from plimsoll.api.base import ApiModel
from plimsoll.api.preflight import Objective, Preflight
from plimsoll.api.preflight_report import InputSource, ServedTensor
from plimsoll.errors import Invalid

ENVIRONMENT_VARIABLE: Final = "PLIMSOLL_PREFLIGHT_REQUEST"
Address = Annotated[str, Field(pattern=r"^[^\s/]+:[0-9]{1,5}$", max_length=512)]
"""`host:port`, an IPv6 address in brackets."""


class Peer(ApiModel):
    """Another model server that the candidate is compared with."""

    address: Address
    """gRPC."""
    model: str
    """Name of the model on that server."""
    label: str
    """How the report names it: `stable revision digits-1a2b3c`, `ModelDeployment digits-fp32`."""


class DataFile(ApiModel):
    """A file with golden cases or labelled rows."""

    source: InputSource
    location: Annotated[str, Field(min_length=1)]
    """A path, or a URL of the examiner: `http://10.0.0.7:8080/files/golden.json`."""
    optional: bool = False
    """True: that it does not exist is no error (the artefact may or may not have one)."""


class Examiner(ApiModel):
    """Who can see the server's processes from inside: a sidecar by URL and token, or on this machine a process id."""

    url: str | None = None
    """Base URL of the sidecar. That it answers at all also says that the pod is there."""
    token: str | None = Field(default=None, repr=False)
    """Sent as `Authorization: Bearer TOKEN`."""
    process_id: int | None = None
    """The server's; its children belong to it."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.url is None) == (self.process_id is None):
            raise ValueError("either url or processId")
        return self


class Request(ApiModel):
    """One preflight."""

    model: str
    """Name of the model on the server."""
    revision: str = ""
    """Empty for `--local`."""
    key: str = ""
    """Verdict key, returned in the report."""
    target: Address
    """gRPC address of the candidate."""
    stable: Peer | None = None
    """None: there is no stable revision."""
    same_model: bool = False
    """The candidate's model digest is stable's: answers must agree, since only what is around the model changed."""
    reference: Peer | None = None
    """The reference named in spec.preflight.accuracy; None where none is named, or where it is gone."""
    preflight: Preflight = Field(default_factory=Preflight)
    objective: Objective | None = None
    inputs: list[ServedTensor] | None = None
    """Declared in spec.model; None where nothing is."""
    outputs: list[ServedTensor] | None = None
    golden: tuple[DataFile, ...] = ()
    """The first that exists is used; an absent one that is not optional fails the phase."""
    dataset: tuple[DataFile, ...] = ()
    """As `golden`."""
    examiner: Examiner | None = None
    progress_deadline_s: Annotated[float, Field(gt=0)] = 600.0
    """How long the model may take to be ready."""
    request_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """How long one answer may take before the model counts as hanging."""
    cases: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Inputs used; of a longer golden file the first, and as many are generated where there is none."""
    seed: int = 20_240_229
    """Of everything random, so that a preflight that is repeated asks the same."""

    @property
    def names_reference(self) -> bool:
        """Whether accuracy is compared with a model of its own rather than with stable."""
        accuracy = self.preflight.accuracy
        return self.reference is not None or (accuracy is not None and accuracy.reference is not None)


def request_from(environment: Mapping[str, str]) -> Request:
    """Reads the request that the controller left.

    Raises:
        Invalid: `RequestInvalid`; a bug or versions that do not fit, nothing a model can cause.
    """
    text = environment.get(ENVIRONMENT_VARIABLE, "")
    try:
        return Request.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, part['loc'])) or 'document'}: {part['msg']}" for part in error.errors())
        raise Invalid(
            "RequestInvalid",
            f"{ENVIRONMENT_VARIABLE} is not a preflight request ({wrong:.500}). "
            f"Run the version of plimsoll that wrote it.",
        ) from error
