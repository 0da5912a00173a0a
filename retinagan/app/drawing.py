"""A drawing: a board on the page, and what it starts from."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import streamlit as st

from retinagan.app.board import Board
from retinagan.app.history import History
from retinagan.app.starts import UPLOAD, Sampled, parse
from retinagan.app.studio import Models, Weights, data_url
from retinagan.files.maps import encode_map_png
from retinagan.files.provenance import Source
from retinagan.maps.labels import OD
from retinagan.pairs import Pair


class Drawing(Board):
    """One session's drawing.

    Attributes:
        text: what it starts from (``retinagan.app.starts``).
        weights: those with which it was begun; it outlives them.
        start: the map that it starts from, ``uint8 (S, S)``.
        note: why it starts from something else than was asked.
        initial: the strokes with which the canvas was mounted. While it lives they must not change, or it would begin
            anew with each run and lose strokes.
    """

    def __init__(self, text: str, weights: Weights, start: np.ndarray, mounts: int = 0) -> None:
        super().__init__(start, mounts)
        self.text, self.weights, self.start = text, weights, start
        self.note = ""
        self.initial: dict | None = None

    @classmethod
    def going_on(cls, text: str, weights: Weights, history: History, mounts: int) -> Drawing:
        """A drawing with a history that was kept, on a canvas of its own."""
        drawing = cls(text, weights, history.start, mounts)
        drawing.history = history
        drawing.remount(mounts)
        return drawing

    @property
    def key(self) -> str:
        """Of the mounted canvas in the session's state."""
        return f"canvas_{self.mounts}"

    @property
    def background(self) -> str:
        """What lies below the strokes as a ``data:`` URL, which costs less than a picture that is encoded each run."""
        return data_url(map_png(self.picture), "image/png")

    def sync(self) -> None:
        """Take in what the mounted canvas holds; what a button does comes after its strokes."""
        if self.key in st.session_state:
            self.receive(st.session_state[self.key])

    def act(self, how: Callable, *args: object) -> None:
        """What a button does: ``how(*args)`` on the canvas as it is now."""
        self.sync()
        how(*args)

    def pair(self, networks: Models) -> Pair:
        """The map as it is now, with where it came from: drawn, unless it is the start itself."""
        start = parse(self.text)
        # Seeds say what a map is with the weights that sampled it alone.
        sampled = start if isinstance(start, Sampled) and self.weights == networks.weights else None
        source: Source
        if not np.array_equal(self.map, self.start):
            source = "drawn"
        elif isinstance(start, Sampled):
            source = "sampled" if sampled else "drawn"
        else:
            source = "uploaded" if start == UPLOAD else "template"
        if sampled is None:
            return networks.pair(self.map, source)
        return networks.pair(
            self.map, source, grade=sampled.grade, map_seed=sampled.seed, truncation=sampled.truncation
        )


def map_png(label_map: np.ndarray) -> bytes:
    """A map's PNG, encoded once for all runs that need it."""
    return _map_png(label_map.tobytes(), label_map.shape)


@lru_cache(maxsize=64)
def _map_png(pixels: bytes, shape: tuple[int, int]) -> bytes:
    return encode_map_png(np.frombuffer(pixels, np.uint8).reshape(shape))


def disc_side(label_map: np.ndarray) -> str | None:
    """``left`` or ``right`` of the middle, where the disc lies; None without one."""
    columns = np.nonzero((label_map == OD).any(axis=0))[0]
    return None if not len(columns) else "left" if columns.mean() < label_map.shape[1] / 2 else "right"
