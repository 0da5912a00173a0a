"""What a run of the bench does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from retinagan.bench.timing import Work


@dataclass(frozen=True)
class Comparison:
    """Two rows that give the same result, the slower one first.

    Attributes:
        title: of the pair.
        rows: their names.
        difference: computes the largest difference of what both give.
        unit: of the difference: ``/255``, or nothing where it is in 0..1.
    """

    title: str
    rows: tuple[str, str]
    difference: Callable[[], float]
    unit: str = ""


@dataclass
class Plan:
    """Works to be timed, rows that cannot be (name → reason), comparisons, and memory that is found on the way."""

    works: list[Work] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)

    def add(self, *works: Work) -> None:
        self.works += works
