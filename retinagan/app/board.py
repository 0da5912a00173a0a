"""What the canvas shows and what has been painted on it, with undo and redo; plain Python that knows no page.

The canvas (streamlit-drawable-canvas) keeps its strokes as objects in the browser. The map is then the map on which the
canvas was *mounted*, painted with those objects. Whatever else changes the map bakes the objects into it, each as one
step of the history, and mounts the canvas anew on the result.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from retinagan.app.history import History, Step, difference
from retinagan.maps import lesions
from retinagan.maps.budget import Budget
from retinagan.maps.canvas import Mark, Window, rasterise, read_mark
from retinagan.maps.strokes import MAX_OBJECTS, MAX_POINTS, Gesture, count_points, describe, gesture_of

CANVAS = 512
"""Side of the canvas in its own pixels; the page zooms it to its column."""

ZOOMS = (1, 2, 4)

_AT_ONCE = {Gesture.SWEEP, Gesture.MOVE_DISC, Gesture.LOOK_CLOSER}
"""Gestures that the canvas must not go on showing. What a sweep takes away may be strokes."""


class _Painted(NamedTuple):
    """The mounted canvas' strokes that are painted already, the map with them, their work, which gestures they are, and
    the steps that they will be.

    With half of a drawing's work done the strokes are baked, so that the next ones begin with none."""

    objects: list
    label_map: np.ndarray
    budget: Budget
    gestures: frozenset[Gesture] = frozenset()
    steps: tuple[Step, ...] = ()


class Board:
    """One session's canvas.

    Attributes:
        mounts: how often a canvas was mounted: each has a key of its own, and what a former one still sends is void.
        loaded: the mounted canvas has said what it shows; before that it loses strokes.
        objects: the mounted canvas' strokes as Fabric.js JSON, oldest first.
        undone: strokes that :meth:`undo` took off this canvas, the next to come back last.
        window: the part of the map that the canvas shows.
        troubles: what could not be done lately, in words.
    """

    def __init__(self, start: np.ndarray, mounts: int = 0) -> None:
        self.history = History(start)
        self.mounts = mounts
        self.loaded = False
        self.objects: list = []
        self.undone: list = []
        self.window = Window(0, 0, start.shape[0])
        self.troubles: list[str] = []
        self._painted = _Painted([], start, Budget())

    # --- what is there ---

    @property
    def map(self) -> np.ndarray:
        """The lesion map as it is now, ``uint8 (S, S)``; not to be written to."""
        return self._painted.label_map

    @property
    def size(self) -> int:
        return self.map.shape[0]

    @property
    def zoom(self) -> int:
        return max(1, round(self.size / self.window.side))

    @property
    def names(self) -> list[str]:
        """What was done up to now."""
        return self.history.names + [describe(item) for item in self.objects]

    def whole_history(self) -> History:
        """A copy of the history with the canvas' strokes as its last steps."""
        history = copy.copy(self.history)
        history.steps = list(history.steps)
        history.append(self._painted.steps)
        return history

    def remount(self, mounts: int) -> None:
        """Show the same on a canvas of its own, at least the ``mounts``-th."""
        self.mounts = max(self.mounts, mounts)
        self._mount(self.objects)

    @property
    def can_undo(self) -> bool:
        return bool(self.objects) or self.history.can_undo

    @property
    def can_redo(self) -> bool:
        return bool(self.undone) or (self.history.can_redo and not self.objects)

    @property
    def picture(self) -> np.ndarray:
        """What lies below the canvas' strokes, ``uint8``: the window of the map, each pixel enlarged.

        A spray's lesions are no objects of the canvas: once there are some, the map as it is now lies below.
        """
        shown = self.map if Gesture.SPRAY in self._painted.gestures else self.history.current
        left, top, side = self.window
        times = max(1, CANVAS // side)
        return shown[top : top + side, left : left + side].repeat(times, axis=0).repeat(times, axis=1)

    # --- what the canvas sends ---

    def receive(self, value: object) -> None:
        """Take in the canvas' state, ``{"drawing": {"raw": {"objects": […]}}}``; anything else changes nothing.

        Strokes that cannot be painted are said in :attr:`troubles` and dropped; so is a message of more than a hand
        draws, as a whole and before any work is done. Marks (move the disc, look closer) and
        lesions that were swept away take effect at once, on a canvas mounted anew.
        """
        found = _objects(value)
        self.loaded = self.loaded or found is not None
        if found is None or found == self.objects:
            return
        self.undone, self.troubles = [], []
        points = count_points(found[: MAX_OBJECTS + 1])
        if len(found) > MAX_OBJECTS or points > MAX_POINTS:
            told = f"{len(found):,} strokes" if len(found) > MAX_OBJECTS else f"strokes of {points:,} points"
            told = f"the canvas sent {told}; at most {MAX_OBJECTS:,} of {MAX_POINTS:,} points are taken at a time"
            self.bake()
            self._trouble(ValueError(f"{told}. What was there before is kept: draw on"))
            self._mount([])
            return
        self.objects = found
        self._repaint()
        if self.troubles or self._painted.gestures & _AT_ONCE or self._painted.budget.half_spent:
            self.bake()

    # --- what the page asks for ---

    def change(self, how: Callable[[np.ndarray], np.ndarray], name: str) -> None:
        """One step: ``how`` makes the new map of the one that is shown."""
        self.troubles = []
        self.bake()
        try:
            self.history.add(how(self.map), name)
        except ValueError as error:
            self._trouble(error)
        self._mount([])

    def undo(self) -> None:
        """One stroke of this canvas less; then one step of the history back."""
        self.troubles = []
        if self.objects:
            self.undone.append(self.objects[-1])
            self._mount(self.objects[:-1])
        else:
            self.bake()
            self.history.undo()
            self._mount([])

    def redo(self) -> None:
        self.troubles = []
        if self.undone:
            self._mount([*self.objects, self.undone.pop()])
        elif self.can_redo:
            self.history.redo()
            self._mount([])

    def clear(self) -> None:
        """The first map again, as a step of its own."""
        self.troubles = []
        self.bake()
        self.history.clear()
        self._mount([])

    def look(self, zoom: int, x: float | None = None, y: float | None = None) -> None:
        """Show the map enlarged around a place in map pixels; None: around the middle of what is shown now."""
        self.bake()
        left, top, side = self.window
        x, y = (left + side / 2 if x is None else x), (top + side / 2 if y is None else y)
        side = max(1, self.size // zoom)
        left, top = (int(np.clip(round(at - side / 2), 0, self.size - side)) for at in (x, y))
        self.window = Window(left, top, side)
        self._mount([])

    def pan(self, right: int, down: int) -> None:
        """Move what is shown by half its width."""
        left, top, side = self.window
        self.look(self.zoom, left + side / 2 * (1 + right), top + side / 2 * (1 + down))

    def bake(self) -> None:
        """Make the canvas' strokes steps of the history, and mount it anew without them."""
        if not self.objects and not self.undone:
            return
        place: Mark | None = None
        budget = Budget()
        for item in self.objects:
            try:
                place = self._step(item, budget) or place
            except (ValueError, TypeError) as error:
                self._trouble(error)
        # What was undone lies ahead of where the history stands, so that Redo finds it.
        ahead = sum(
            self.history.add(self._paint(item, self.history.current, budget), describe(item))
            for item in reversed(self.undone)
        )
        for _ in range(ahead):
            self.history.undo()
        self.undone = []
        self._mount([])
        if place is not None:
            self.look(max(ZOOMS), place.x, place.y)

    # --- parts ---

    def _step(self, item: Mapping, budget: Budget) -> Mark | None:
        """An object as a step of the history; the mark of a place to look at, when it is that."""
        mark = read_mark(item, self.size, CANVAS, self.window)
        if mark is None:
            self.history.add(self._paint(item, self.history.current, budget), describe(item))
        elif mark.gesture is Gesture.MOVE_DISC:
            self.history.add(lesions.move_disc(self.history.current, mark.x, mark.y), "Disc moved")
        return mark if mark is not None and mark.gesture is Gesture.LOOK_CLOSER else None

    def _mount(self, objects: list) -> None:
        self.mounts += 1
        self.loaded = False
        self.objects = copy.deepcopy(objects)
        self._painted = _Painted([], self.history.current, Budget())
        self._repaint()

    def _repaint(self) -> None:
        """Paint the objects; those that are painted already are not painted again."""
        done, label_map, budget, gestures, steps = self._painted
        if self.objects[: len(done)] != done:
            done, label_map, budget, gestures, steps = _Painted([], self.history.current, Budget())
        for item in self.objects[len(done) :]:
            before = label_map
            try:
                label_map = self._paint(item, before, budget)
                gestures |= {gesture_of(item)}
            except (ValueError, TypeError) as error:
                self._trouble(error)
            if not np.array_equal(before, label_map):
                steps += (Step(describe(item), difference(before, label_map)),)
        self._painted = _Painted(list(self.objects), label_map, budget, gestures, steps)

    def _paint(self, item: Mapping, label_map: np.ndarray, budget: Budget) -> np.ndarray:
        return rasterise({"objects": [item]}, label_map, CANVAS, self.window, budget)

    def _trouble(self, error: Exception) -> None:
        text = str(error).removeprefix("stroke 1: ")
        if text not in self.troubles:
            self.troubles.append(text)


def _objects(value: object) -> list | None:
    for name in ("drawing", "raw", "objects"):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, list) else None
