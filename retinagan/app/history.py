"""Undo and redo: the steps of a drawing, each as what it changes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from retinagan.maps.labels import NUM_CLASSES

MAX_STEPS = 200


class Step(NamedTuple):
    """What was done, and the pixels that it changed; see :func:`difference`."""

    name: str
    change: bytes


class History:
    """Lesion maps ``uint8 (S, S)`` from the first to the newest, and which of them is shown; some hundred bytes each.

    Attributes:
        start: the first map; not to be written to.
        steps: from the start to the newest.
        at: how many of the steps are done in the map that is shown.
    """

    def __init__(self, start: np.ndarray, steps: Sequence[Step] = (), at: int = 0) -> None:
        """``steps`` and ``at`` of a history that was kept.

        Raises:
            ValueError: steps that do not fit the map, or more than :data:`MAX_STEPS`.
        """
        if not 0 <= at <= len(steps) <= MAX_STEPS:
            raise ValueError(f"a history has {len(steps)} steps of which {at} are done; allowed are 0-{MAX_STEPS}")
        self.start = start
        self.steps: list[Step] = list(steps)
        self.at = 0
        self._current = start
        while self.at < len(self.steps):
            self.redo()
        while self.at > at:
            self.undo()

    @property
    def current(self) -> np.ndarray:
        """The map that is shown; not to be written to."""
        return self._current

    @property
    def can_undo(self) -> bool:
        return self.at > 0

    @property
    def can_redo(self) -> bool:
        return self.at < len(self.steps)

    @property
    def names(self) -> list[str]:
        """What was done, up to the map that is shown."""
        return [step.name for step in self.steps[: self.at]]

    def add(self, label_map: np.ndarray, name: str) -> bool:
        """A new step after the one that is shown; steps undone before it are gone. False: nothing changed."""
        if np.array_equal(label_map, self._current):
            return False
        self.append([Step(name, difference(self._current, label_map))])
        return True

    def append(self, steps: Sequence[Step]) -> None:
        """Steps after the one that is shown, as :meth:`add` makes them."""
        if not steps:
            return
        del self.steps[self.at :]
        for step in steps:
            self.steps.append(step)
            self.redo()
        # The start stays reachable for Clear; the oldest step after it goes into the one behind it.
        for _ in range(len(self.steps) - MAX_STEPS):
            (_, first), (name, second) = self.steps[:2]
            both = changed(changed(self.start, first), second)
            self.steps[:2] = [Step(name, difference(self.start, both))]
            self.at -= 1

    def undo(self) -> None:
        if self.at > 0:
            self.at -= 1
            self._current = changed(self._current, self.steps[self.at].change)

    def redo(self) -> None:
        if self.at < len(self.steps):
            self._current = changed(self._current, self.steps[self.at].change)
            self.at += 1

    def clear(self) -> None:
        """The first map again, as a step of its own that can be undone."""
        self.add(self.start, "Clear")


def difference(before: np.ndarray, after: np.ndarray) -> bytes:
    """What turns one map ``uint8 (S, S)`` into the other, and back: the places of the pixels that differ, each as steps
    from the one before (``uint32``, little-endian), then the classes' exclusive ors (``uint8``), packed by zlib."""
    both = before ^ after
    places = np.flatnonzero(both)
    gaps = np.diff(places, prepend=0).astype("<u4")
    return zlib.compress(gaps.tobytes() + both.ravel()[places].tobytes(), 1)


def changed(label_map: np.ndarray, change: bytes) -> np.ndarray:
    """A map ``uint8 (S, S)`` with a :func:`difference`, which may come from a stranger.

    Raises:
        ValueError: it is damaged or does not fit the map.
    """
    unpacked = zlib.decompressobj()
    try:
        content = unpacked.decompress(change, 5 * label_map.size + 1)
    except zlib.error as error:
        raise ValueError(f"a step of the drawing is damaged ({error})") from None
    count, rest = divmod(len(content), 5)
    gaps = np.frombuffer(content, "<u4", count).astype(np.int64) if not rest else np.empty(0, np.int64)
    places = np.cumsum(gaps)
    if rest or not unpacked.eof or (gaps[1:] <= 0).any() or (count and places[-1] >= label_map.size):
        raise ValueError("a step of the drawing is damaged: it does not fit the map")
    after = label_map.copy()
    after.ravel()[places] ^= np.frombuffer(content, np.uint8, offset=4 * count)
    if (after.ravel()[places] >= NUM_CLASSES).any():
        raise ValueError(f"a step of the drawing is damaged: it makes classes outside 0-{NUM_CLASSES - 1}")
    return after
