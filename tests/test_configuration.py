"""Configs refuse what they do not allow, and say so in a line a value."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Literal, Self

import pytest

from retinagan.configuration import Channels, Field, configuration, from_mapping, model_validator


@configuration
class Colour:
    red: float = Field(0.5, ge=0, le=1)
    offsets: tuple[float, float] = (0.0, 1.0)


@configuration
class Network:
    size: int = Field(64, gt=0, le=4096, multiple_of=2)
    """Side in pixels."""
    channels: Channels = Field((8, 16), max_length=3)
    norm: Literal["none", "instance"] = "none"
    exact: bool = False
    name: str = "x"
    colour: Colour = Field(default_factory=Colour)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.size < len(self.channels):
            raise ValueError(f"size is {self.size}; it must be at least {len(self.channels)}, the channels")
        return self


@configuration
class Wider(Network):
    width: float = Field(ge=1)


def test_values_from_a_file_become_what_is_declared():
    values = {"size": 8, "channels": [4], "colour": {"red": 1, "offsets": [2, 3]}}
    network = from_mapping(Network, values, "here")
    assert network == Network(size=8, channels=(4,), colour=Colour(red=1.0, offsets=(2.0, 3.0)))
    assert type(network.colour.red) is float and hash(network) == hash(copy.deepcopy(network))
    assert from_mapping(Network, dataclasses.asdict(network), "here") == network == pickle.loads(pickle.dumps(network))
    assert dataclasses.replace(network, norm="instance").norm == "instance"
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.size = 4
    with pytest.raises(ValueError, match="size is 7; it must divide by 2"):
        dataclasses.replace(network, size=7)
    assert Wider(width=2).width == 2.0 and Wider(width=2).size == 64


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "size is 0; it must be above 0"),
        ({"size": True}, "size is True; it must be a whole number"),
        ({"size": 4.0}, "size is 4.0; it must be a whole number"),
        ({"size": "4"}, "size is '4'; it must be a whole number"),
        ({"channels": 3}, "channels is 3; it must be a list"),
        ({"channels": []}, r"channels is (); it must have at least 1 entries"),
        ({"channels": [1, 2, 3, 4]}, "channels is (1, 2, 3, 4); it must have at most 3 entries"),
        ({"channels": [8, 0]}, "channels[1] is 0; it must be at least 1"),
        ({"channels": ["a"]}, "channels[0] is 'a'; it must be a whole number"),
        ({"norm": "batch"}, "norm is 'batch'; allowed are 'none' or 'instance'"),
        ({"exact": 1}, "exact is 1; it must be true or false"),
        ({"name": 1}, "name is 1; it must be a text"),
        ({"colour": {"red": "1"}}, "colour: red is '1'; it must be a number"),
        ({"colour": {"red": float("nan")}}, "colour: red is nan; it must be a finite number"),
        ({"colour": {"offsets": [1]}}, "colour: offsets[1] is missing"),
        ({"colour": {"blue": 1}}, "colour: unknown keys blue; allowed are red, offsets"),
        ({"colour": 3}, "colour is 3; it must be a mapping of fields to values"),
        ({"self": 1, "b": 2}, "unknown keys self, b; allowed are size, channels, norm, exact, name, colour"),
        ({"size": 2, "channels": [1, 1, 1]}, "size is 2; it must be at least 3, the channels"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(values, message):
    with pytest.raises(ValueError) as caught:
        Network(**values)
    assert str(caught.value) == message
    with pytest.raises(ValueError) as caught:
        from_mapping(Network, values, "x.yaml, section network")
    assert str(caught.value) == f"x.yaml, section network: {message}"


def test_several_errors_are_a_line_each():
    with pytest.raises(ValueError) as caught:
        from_mapping(Network, {"size": 10**4500, "name": "n" * 500, "norm": "m" * 500}, "here")
    first, second = str(caught.value).splitlines()
    assert first == "here: size is a number of more digits than can be shown; it must be at most 4096"
    assert second.startswith("here: norm is 'mmm") and len(second) < 160
    with pytest.raises(ValueError, match="^width is missing$"):
        Wider()
    for values in ([1], None, {1: 2}):
        with pytest.raises(ValueError, match="here is .*; it must be a mapping of fields to values"):
            from_mapping(Network, values, "here")
