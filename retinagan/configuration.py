"""Configs: frozen dataclasses whose fields say what they allow, checked wherever one is made.

Configs come from files that other people wrote (YAML, headers of checkpoints), so nothing about their values is taken
for granted::

    @configuration
    class NetworkConfig:
        channels: tuple[int, ...] = Field((16, 32), min_length=1)
        norm: Literal["instance", "none"] = "none"

        @model_validator(mode="after")
        def _together(self) -> Self: ...  # raises ValueError where fields do not fit each other
"""

from __future__ import annotations

import dataclasses
import functools
import reprlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, dataclass_transform

import pydantic.dataclasses
from pydantic import ConfigDict, Field, ValidationError, model_validator

__all__ = ["Channels", "Field", "configuration", "from_mapping", "model_validator"]

Config = TypeVar("Config")
Channels = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], Field(min_length=1)]
"""Numbers of a network's filters, one a level or block."""

_ALLOWED = {
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "finite_number": "it must be a finite number",
    "bool_type": "it must be true or false",
    "string_type": "it must be a text",
    "string_too_long": "it must have at most {max_length} letters",
    "string_pattern_mismatch": "it must be of the form {pattern}",
    "tuple_type": "it must be a list",
    "dict_type": "it must be a mapping",
    "greater_than": "it must be above {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be below {lt}",
    "less_than_equal": "it must be at most {le}",
    "multiple_of": "it must divide by {multiple_of}",
    "too_short": "it must have at least {min_length} entries",
    "too_long": "it must have at most {max_length} entries",
    "dataclass_exact_type": "it must be a mapping of fields to values",
    "literal_error": "allowed are {expected}",
}
"""What is allowed, by pydantic's type of error."""

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass_transform(frozen_default=True, kw_only_default=True)
def configuration(cls: type[Config]) -> type[Config]:
    """A class of annotated fields as a frozen, checked dataclass; its fields are given by name.

    Types are strict (true is no number, nor is "1"; a whole number passes for a float), numbers are finite, and unknown
    fields are refused. Lists are taken for tuples, and mappings for the configs in a config.
    Wrong values raise ValueError, a line each: the field, its value and what is allowed.
    """
    rules = ConfigDict(strict=True, allow_inf_nan=False)
    made: Any = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=rules)(cls)
    fields = made.__pydantic_fields__
    unchecked = made.__init__

    @functools.wraps(unchecked)
    def checked(self: Any, /, **values: Any) -> None:
        if unknown := [name for name in values if name not in fields]:
            names = ", ".join(name[:40] for name in unknown[:5]) + (" …" if len(unknown) > 5 else "")
            raise ValueError(f"unknown keys {names}; allowed are {', '.join(fields)}")
        for name, value in values.items():
            kind = fields[name].annotation
            if isinstance(value, list):
                values[name] = _tuples(value)
            elif isinstance(value, Mapping) and isinstance(kind, type) and dataclasses.is_dataclass(kind):
                values[name] = from_mapping(kind, value, name)
        try:
            unchecked(self, **values)
        except ValidationError as error:
            raise ValueError("\n".join(_lines(error, values))) from None

    made.__init__ = checked
    return made


def from_mapping(cls: type[Config], values: object, where: str) -> Config:
    """A config from what a file holds; ``where`` (the file, its section) begins every line of an error.

    Raises:
        ValueError: not a mapping, or wrong values.
    """
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise ValueError(f"{where} is {_shown(values)}; it must be a mapping of fields to values")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from None
    except RecursionError:
        raise ValueError(f"{where} is nested too deeply") from None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _lines(error: ValidationError, values: Mapping[str, Any]) -> Iterator[str]:
    # Values are read from where they came: pydantic cannot hand out whole numbers of thousands of digits.
    found = error.errors(include_url=False, include_input=False)
    for each in found:
        place = each["loc"]
        name = "".join(f"[{step}]" if isinstance(step, int) or number else step for number, step in enumerate(place))
        if each["type"] == "too_short" and any(other["loc"][:-1] == place for other in found):
            continue  # wrong entries are not counted, and named by themselves
        if each["type"] == "value_error":
            yield str(each["ctx"]["error"])
        elif each["type"] == "missing":
            yield f"{name} is missing"
        else:
            value: Any = values
            for step in place:
                value = value[step]
            allowed = _ALLOWED.get(each["type"])
            told = each["msg"] if allowed is None else allowed.format(**each.get("ctx", {}))
            yield f"{name} is {_shown(value)}; {told}"


def _shown(value: object) -> str:
    """A value in an error's line, short whatever it is."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        return "a number of more digits than can be shown"
