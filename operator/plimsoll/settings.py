"""What the configuration files of our processes have in common: YAML, read and checked once at start."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from plimsoll.errors import Invalid


class Settings(BaseModel):
    """Unknown keys are refused: a misspelt setting must not silently do nothing."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class LogLevel(StrEnum):
    """Least severe line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


File = TypeVar("File", bound=Settings)


def parse_settings(kind: type[File], text: str) -> File:
    """Reads a configuration file of that kind.

    Raises:
        Invalid: names every wrong field.
    """
    try:
        return kind.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise Invalid("ConfigInvalid", f"The configuration is not YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors())
        raise Invalid("ConfigInvalid", f"The configuration is wrong: {wrong}") from error
