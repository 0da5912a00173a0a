"""The corrections as numbers that can be turned, and the step that makes generated figures agree with real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retinagan.eye.statistics import EyeCorrections
from retinagan.eye.texture import TEXTURE_BANDS, texture_power
from retinagan.fitting.figures import FIGURES, band_powers, cycles

SMALL = -0.01
"""A turn of the texture's knobs by which their slopes are told."""
SURE = 1e-4
"""No figure is taken to be surer than this."""
HOLD, MOST = 4.0, 3.0
"""Steps of a knob: how loosely it is held where figures tell nothing, and the most that it is turned by at a time."""
TREE = ("vessel density", "vessel calibre", "largest component", "vessel contrast", "calibre by clearness")
"""What the tree's knobs are fitted by, together. How contrast follows clearness is told, not fitted: the one power
decides on how calibre follows it, too."""
HELD: tuple[str, ...] = ()
"""Figures of a knob that stays, as none tells it. ``shown`` and ``gaps`` move the tree's figures by less than their
scatter, and not otherwise than strength and blur do, so that a fit of all five wanders. Vessels are looked for no
nearer to lesions than ``lesion_margin`` should reach. Power below the bands is mostly the light's. Colours are told in
units of the luminance, which is mostly green. Mottle's colours are told by how far clear retina swings between two
blurs, which holds more than one plane can give: where that agrees, blue has less than half of real power."""


@dataclass(frozen=True)
class Knob:
    """One number of :class:`EyeCorrections`.

    ``figures`` are those that it is fitted by, ``step`` the turn by which their slopes are measured (of its logarithm,
    where ``log``). Knobs of one ``turn`` move different figures and are turned together; the slopes of those of turn 0
    are known, or nothing tells them (:data:`HELD`).
    """

    field: str
    index: int | None
    figures: tuple[str, ...]
    step: float
    low: float
    high: float
    log: bool = False
    turn: int = 0

    @property
    def name(self) -> str:
        return self.field if self.index is None else f"{self.field}[{self.index}]"

    def get(self, corrections: EyeCorrections) -> float:
        value = getattr(corrections, self.field)
        value = value if self.index is None else value[self.index]
        return float(np.log(max(value, self.low))) if self.log else float(value)

    def value(self, turned: float) -> float:
        """The correction itself, within its bounds."""
        return float(np.clip(np.exp(turned) if self.log else turned, self.low, self.high))


KNOBS = (
    Knob("grown_strength", None, TREE, 0.15, 0.3, 2.0, log=True, turn=1),
    Knob("grown_clearness", None, TREE, 0.3, 0.0, 2.0, turn=2),
    Knob("gaps", None, HELD, 0.25, 0.0, 1.0),
    Knob("shown", None, HELD, 0.1, 0.3, 1.5, log=True),
    Knob("blur", None, TREE, 0.3, 0.0, 2.0, turn=3),
    Knob("lesion_margin", None, HELD, 3.0, 0.0, 20.0),
    Knob("macula", None, ("darkness of the fovea",), 0.2, 0.5, 2.0, log=True, turn=3),
    *(Knob("texture_left", band, (f"power of band {band}",), 0.1, 0.3, 3.0, log=True) for band in range(TEXTURE_BANDS)),
    Knob("coarse_slope", None, HELD, 0.5, -6.0, 0.0),
    Knob("grain_colour", 0, ("grain in red",), 0.2, 0.05, 5.0, log=True, turn=1),
    Knob("grain_colour", 1, HELD, 0.2, 0.05, 5.0, log=True),
    Knob("grain_colour", 2, ("grain in blue",), 0.2, 0.05, 5.0, log=True, turn=3),
    *(Knob("mottle_colour", channel, HELD, 0.2, 0.05, 5.0, log=True) for channel in range(3)),
)
"""All of them."""


def turned(corrections: EyeCorrections) -> np.ndarray:
    """All knobs of corrections, ``float64 (K,)``."""
    return np.array([knob.get(corrections) for knob in KNOBS])


def corrected(values: Sequence[float] | np.ndarray) -> EyeCorrections:
    """The corrections of knobs turned to ``values (K,)``, each within its bounds."""
    fields: dict[str, Any] = {}
    for knob, value in zip(KNOBS, values, strict=True):
        if knob.index is None:
            fields[knob.field] = knob.value(value)
        else:
            fields[knob.field] = (*fields.get(knob.field, ()), knob.value(value))
    return EyeCorrections(**fields)


def slopes(
    values: np.ndarray, moved: Sequence[tuple[np.ndarray, np.ndarray]], texture: np.ndarray, size: int
) -> np.ndarray:
    """How the figures follow the knobs, ``float64 (F, K)``; 0 for a figure that a knob is not fitted by.

    Args:
        values: the knobs ``(K,)`` to start with.
        moved: of each turn the knobs ``(K,)`` and how far the figures moved ``(F,)``.
        texture: logarithms of the eyes' texture, on average.
        size: side of the photographs.
    """
    found = np.zeros((len(FIGURES), len(KNOBS)))
    names = [figure.name for figure in FIGURES]
    for column, knob in enumerate(KNOBS):
        rows = [names.index(name) for name in knob.figures]
        for other, change in moved:
            if (turn := other[column] - values[column]) != 0:
                found[rows, column] = change[rows] / turn
    # The texture is laid over the light behind the network, too: its power is what its spectrum says.
    bands = [names.index(f"power of band {band}") for band in range(TEXTURE_BANDS)]
    usual = _texture_powers(corrected(values), texture, size)
    for column, knob in enumerate(KNOBS):
        if knob.field == "texture_left":
            turned_on = values.copy()
            turned_on[column] += SMALL
            found[bands, column] = (_texture_powers(corrected(turned_on), texture, size) - usual) / SMALL
    return found


def _texture_powers(corrections: EyeCorrections, texture: np.ndarray, size: int) -> np.ndarray:
    logs = texture + np.log([*corrections.texture_left, 1.0])
    return np.array(
        band_powers(texture_power(cycles(size), size, logs, corrections.coarse_slope), size)[:TEXTURE_BANDS]
    )


def step(differences: np.ndarray, scatter: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The turn of each knob ``(K,)`` that brings the figures together: least squares in units of their scatter.

    Every knob is held as if another measurement, with :data:`HOLD` of its steps as standard deviation, had told it to
    stay; so it does where the figures tell nothing.

    Args:
        differences: generated less real ``(F,)``.
        scatter: standard deviation of each ``(F,)``; not a number for a figure that tells nothing.
        slope: ``(F, K)`` from :func:`slopes`.
    """
    matrix, known = _weighted(np.where(np.isfinite(differences), scatter, np.nan), slope)
    wanted = np.concatenate([-differences[known] / np.maximum(scatter[known], SURE), np.zeros(len(KNOBS))])
    most = np.array([MOST * knob.step for knob in KNOBS])
    return np.clip(np.linalg.lstsq(matrix, wanted, rcond=None)[0], -most, most)


def spread(scatter: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Standard deviation of what :func:`step` finds for each knob ``(K,)``, its hold's where figures tell nothing."""
    matrix, _ = _weighted(scatter, slope)
    return np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix)))


def _weighted(scatter: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slopes in units of the figures' scatter, with a row for each knob that holds it; and which figures count."""
    known = np.isfinite(scatter) & np.isfinite(slope).all(axis=1)
    hold = np.diag([1 / (HOLD * knob.step) for knob in KNOBS])
    return np.concatenate([slope[known] / np.maximum(scatter[known], SURE)[:, None], hold]), known
