"""What the controller asks fetch to do: one JSON object in the environment."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from plimsoll.api.vocabulary import DIGEST_PATTERN, Accelerator, DataType, ModelFormat
from plimsoll.core.triton.tensors import Tensor
from plimsoll.errors import Invalid

REQUEST_VARIABLE: Final = "PLIMSOLL_FETCH_REQUEST"


class _Strict(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class TensorStatement(_Strict):
    """An input or output the user states; dims leave out the batch dimension when the model batches."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    data_type: DataType
    dims: Annotated[list[Annotated[int, Field(ge=-1)]], Field(max_length=16)]

    def tensor(self) -> Tensor:
        """Return the statement as core's value."""
        return Tensor(self.name, self.data_type, tuple(self.dims))


class FetchRequest(_Strict):
    """One model to bring."""

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
    version: Annotated[int, Field(ge=1)]
    uri: str
    digest: Annotated[str, Field(pattern=DIGEST_PATTERN)]
    format: ModelFormat | None = None
    inputs: list[TensorStatement] = []
    outputs: list[TensorStatement] = []
    entry: str | None = None
    config: dict[str, Any] = {}
    accelerator: Accelerator = Accelerator.NONE
    gpus: Annotated[int, Field(ge=0)] = 0
    storage_limit_bytes: Annotated[int, Field(gt=0)] | None = None
    render_version: Annotated[int, Field(ge=1)] = 1

    @classmethod
    def from_json(cls, text: str) -> FetchRequest:
        """Read the request.

        Raises:
            Invalid: `InvalidRequest`, naming the field.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise Invalid("InvalidRequest", f"{REQUEST_VARIABLE} cannot be used: {where}: {first['msg']}.") from error

    def input_tensors(self) -> tuple[Tensor, ...]:
        """Return the stated inputs."""
        return tuple(statement.tensor() for statement in self.inputs)

    def output_tensors(self) -> tuple[Tensor, ...]:
        """Return the stated outputs."""
        return tuple(statement.tensor() for statement in self.outputs)
