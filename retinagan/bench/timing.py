"""Seconds of calls: how they are taken, in which order, and what is told of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch.utils.flop_counter import FlopCounterMode

HEAVY_EVERY = 2
"""A heavy work's rounds: every other one, counted from the first."""


@dataclass(frozen=True)
class Work:
    """Something to be timed.

    Attributes:
        name: of its row.
        call: does it. It gets the round's number, 0 when it warms up, so that each round can ask for another style or
            stroke: what the pipeline remembers of the last one is of no use. A number that it returns are its
            seconds, where its end is not the call's.
        counted: for the multiply-adds: a part of one unit, in this thread. For a ``call`` that works elsewhere, or that
            does the same again and again, as counting doubles its time.
        parts: how many of them a unit has.
        units: how many of what the row tells of one call makes.
        heavy: it takes seconds and is run in every other round alone.
        half: on a GPU its convolutions are in bfloat16.
    """

    name: str
    call: Callable[[int], object]
    counted: Callable[[], object] | None = None
    parts: int = 1
    units: int = 1
    heavy: bool = False
    half: bool = False

    def warm_up(self) -> int:
        """Run it, or what is counted of it, once and return the multiply-adds of a unit."""
        if self.counted is not None:
            return multiply_adds(self.counted) * self.parts
        return multiply_adds(lambda: self.call(0)) // self.units


@dataclass(frozen=True)
class Seconds:
    """The times of a row and what is told of them."""

    median: float
    lower_quartile: float
    upper_quartile: float
    times: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, times: Sequence[float]) -> Seconds:
        lower, median, upper = statistics.quantiles([*times, *times] if len(times) == 1 else times, method="inclusive")
        return cls(median, lower, upper, list(times))


def multiply_adds(call: Callable[[], object]) -> int:
    """Multiply-adds of the convolutions and matrix products that ``call`` runs in this thread."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


class Clock:
    """Seconds of a call on a device. On a GPU events take them, from an idle device to an idle device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def seconds(self, work: Work, number: int) -> float:
        """Seconds of one of the work's units."""
        return self._seconds(work, number) / work.units

    def _seconds(self, work: Work, number: int) -> float:
        if self.device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize(self.device)
            start.record(torch.cuda.current_stream(self.device))
            own = work.call(number)
            end.record(torch.cuda.current_stream(self.device))
            end.synchronize()
            taken = start.elapsed_time(end) / 1000
        else:
            begun = time.perf_counter()
            own = work.call(number)
            taken = time.perf_counter() - begun
        return own if isinstance(own, float) else taken


def interleaved(
    works: Iterable[Work], runs: int, seconds: Callable[[Work, int], float], progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """The times of each work, taken in rounds over all, so that what disturbs the machine disturbs all alike."""
    times: dict[str, list[float]] = {work.name: [] for work in works}
    for number in range(1, runs + 1):
        for work in in_round(works, number):
            progress(work.name)
            times[work.name].append(seconds(work, number))
    return times


def in_round(works: Iterable[Work], number: int) -> list[Work]:
    """What is run in round ``number``, from 1 on."""
    return [work for work in works if not work.heavy or (number - 1) % HEAVY_EVERY == 0]
