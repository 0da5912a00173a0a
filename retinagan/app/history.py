"""Undo and redo: the maps of a drawing, one a step."""

from __future__ import annotations

import zlib

import numpy as np

MAX_STEPS = 200


class History:
    """Lesion maps ``uint8 (S, S)`` from the first to the newest, and which of them is shown; some KiB each."""

    def __init__(self, start: np.ndarray) -> None:
        self._shape = start.shape
        self._steps = [("Start", self._pack(start))]
        self._at = 0
        self._current = start

    @property
    def current(self) -> np.ndarray:
        """The map that is shown; not to be written to."""
        return self._current

    @property
    def can_undo(self) -> bool:
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        return self._at + 1 < len(self._steps)

    @property
    def names(self) -> list[str]:
        """What was done, up to the map that is shown."""
        return [name for name, _ in self._steps[1 : self._at + 1]]

    def add(self, label_map: np.ndarray, name: str) -> bool:
        """A new step after the one that is shown; steps undone before it are gone. False: nothing changed."""
        if np.array_equal(label_map, self._current):
            return False
        del self._steps[self._at + 1 :]
        self._steps.append((name, self._pack(label_map)))
        # The start stays reachable for Clear; the oldest step after it goes.
        if len(self._steps) > MAX_STEPS + 1:
            del self._steps[1]
        self._go(len(self._steps) - 1)
        return True

    def undo(self) -> None:
        self._go(max(0, self._at - 1))

    def redo(self) -> None:
        self._go(min(len(self._steps) - 1, self._at + 1))

    def clear(self) -> None:
        """The first map again, as a step of its own that can be undone."""
        self.add(self._unpack(0), "Clear")

    def _go(self, at: int) -> None:
        self._at = at
        self._current = self._unpack(at)

    def _pack(self, label_map: np.ndarray) -> bytes:
        return zlib.compress(np.ascontiguousarray(label_map).tobytes(), 1)

    def _unpack(self, at: int) -> np.ndarray:
        return np.frombuffer(zlib.decompress(self._steps[at][1]), np.uint8).reshape(self._shape).copy()
