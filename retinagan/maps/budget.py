"""What a drawing may cost, counted before the work is done: nothing is taken for granted of what a browser sends."""

from __future__ import annotations

from collections.abc import Mapping

MOST = {
    "pieces": 400_000,
    "rows": 16_000_000,
    "pixels": 400_000_000,
    "sprayed pixels": 2_000_000,
}
"""Straight pieces of all outlines; rows of map pixels that these and the discs at their ends cross; pixels of the boxes
around strokes; pixels of the regions that are sprayed. Some seconds of work each; 500 long strokes of the hand need
little more than half of it."""


class OverBudget(ValueError):
    """More work than strokes of the hand are."""


class Budget:
    """The work of one drawing. Once it was not enough, nothing more is granted.

    Attributes:
        spent: by the names of :data:`MOST`.
    """

    def __init__(self) -> None:
        self.spent = dict.fromkeys(MOST, 0)
        self._refused = ""

    @property
    def half_spent(self) -> bool:
        return any(2 * count > MOST[name] for name, count in self.spent.items())

    def spend(self, name: str, count: int) -> None:
        """Ask for work before it is done.

        Raises:
            OverBudget: with it the drawing would cost more than :data:`MOST`.
        """
        if not self._refused and self.spent[name] + count > MOST[name]:
            self._refused = (
                f"this is more than a hand draws (above {MOST[name]:,} {name}); draw it in fewer, shorter or narrower "
                f"strokes"
            )
        if self._refused:
            raise OverBudget(self._refused)
        self.spent[name] += count

    def spend_all(self, counts: Mapping[str, int]) -> None:
        """Several of them, as :meth:`spend`."""
        for name, count in counts.items():
            self.spend(name, count)

    def since(self, before: Mapping[str, int]) -> dict[str, int]:
        """What was spent after ``before`` was."""
        return {name: count - before[name] for name, count in self.spent.items()}
