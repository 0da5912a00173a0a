"""What strokes paint, packed as bits, and a cache of it that is bounded by its bytes."""

from __future__ import annotations

import hashlib
import marshal
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from retinagan.maps.budget import Budget


class Patch(NamedTuple):
    """Pixels of one class: a bit mask of ``shape``, packed, with its top left corner in the map."""

    label: int
    top: int
    left: int
    shape: tuple[int, int]
    bits: bytes

    def mask(self) -> np.ndarray:
        count = self.shape[0] * self.shape[1]
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=count).reshape(self.shape).astype(bool)


def pack(label: int, mask: np.ndarray) -> Patch | None:
    """A mask ``bool (S, S)`` of a map, cut to what it holds; None if that is nothing."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Patch(label, int(rows[0]), int(columns[0]), cut.shape, np.packbits(cut).tobytes())


class Painted(NamedTuple):
    """What a stroke paints, and the work that it was (``retinagan.maps.budget``)."""

    patches: tuple[Patch, ...]
    spent: dict[str, int]


class PaintCache:
    """What strokes paint, those used last: an unchanged stroke is not computed again. Shared by all sessions.

    Attributes:
        held: bytes of all that is kept.
        hits, misses: how often something was there, or had to be made.
    """

    MOST = 32 * 2**20
    """Bytes kept; a long stroke's patch has some ten thousand."""
    EACH = 1_000
    """Bytes that an entry takes beside its bits."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Painted] = OrderedDict()
        self._lock = threading.Lock()
        self.held = self.hits = self.misses = 0

    def get(self, key: tuple, make: Callable[[Budget], tuple[Patch, ...]], budget: Budget) -> tuple[Patch, ...]:
        """What is kept under a key of plain values; if nothing is, what ``make`` gives. Keys are kept as digests.

        What is kept takes from the budget what it took to make. Raises OverBudget.
        """
        # Version 2 writes equal values alike, whatever objects they share.
        digest = hashlib.sha256(marshal.dumps(key, 2)).digest()
        with self._lock:
            if digest in self._kept:
                self.hits += 1
                self._kept.move_to_end(digest)
                found = self._kept[digest]
            else:
                self.misses += 1
                found = None
        if found is not None:
            budget.spend_all(found.spent)
            return found.patches
        before = dict(budget.spent)
        patches = make(budget)
        made = Painted(patches, budget.since(before))
        with self._lock:
            if digest not in self._kept:
                self._kept[digest] = made
                self.held += self._size(made)
            while self.held > self.MOST:
                self.held -= self._size(self._kept.popitem(last=False)[1])
        return patches

    def _size(self, painted: Painted) -> int:
        return self.EACH + sum(len(patch.bits) for patch in painted.patches)
