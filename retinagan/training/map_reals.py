"""Real lesion maps of a wanted grade, endlessly varied: what the map generator's discriminator is shown as real.

Fifty eyes with lesion masks are few, so each sample is put together anew from what is interchangeable between eyes:
the disc of one eye, the lesions of another, laid at the same side of the disc, now and then each class of lesions from
an eye of its own. All is turned by up to 12 degrees, mirrored (left/right: above and below differ in eyes), shifted,
scaled and bent a little, single lesions are moved or left out. Nothing is interpolated between classes: geometry is
applied to classes at full size, which are then averaged to area shares.

Grades: 2, 3 and 4 come from eyes of that grade; eyes with lesions whose grade is unknown count as 3 from the share of
haemorrhages on that lies between what is usual of 2 and of 3, as 2 below it (4 cannot be told from masks: its mark is
new vessels). Grade 1 is microaneurysms alone, as the scale defines mild retinopathy: those of eyes of grade 1 where
there are enough (pseudo-labelled ones, see retinagan.data.pseudo); else it is **made, not observed**, of a few of any
eye's with lesions. Grade 0 is field and disc alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retinagan.data.augment import rotation
from retinagan.maps.labels import BG, EX, HE, LESIONS, MA, NUM_CLASSES, OD, SE, VB
from retinagan.maps.parts import connected, field_of_view, round_disc
from retinagan.seeds import NUM_GRADES

SEVERE_HAEMORRHAGE = 0.0067
"""Share of the map that haemorrhages cover, from which an ungraded eye counts as grade 3 (geometric mean of the medians
of IDRiD's graded eyes: 0.28 % at grade 2, 1.6 % at grade 3)."""

MILD_ANEURYSMS = (1, 12)
"""Fewest and most microaneurysms of a made grade-1 eye."""

MILD_EYES = 5
"""Eyes of grade 1 from which on it is observed instead of made."""

MIXED = 0.2
"""Share of samples whose classes of lesions come each from an eye of its own."""

DISC_AREA = (0.013, 0.045)
"""Discs outside these shares of the map are hidden by lesions or badly drawn and not used."""

CIRCLE = 0.02
"""Share of a disc's area by which it differs from a circle at most if it was painted as one."""


@dataclass(frozen=True)
class Lesions:
    """The lesions of one eye as pixels, sorted so that smaller kinds come later and stay on top."""

    ys: np.ndarray
    xs: np.ndarray
    classes: np.ndarray
    component: np.ndarray
    """Which connected lesion a pixel belongs to, 0 to count − 1."""
    areas: np.ndarray
    kinds: np.ndarray
    """Area and class of each connected lesion."""
    disc: tuple[float, float]
    """Disc centre (x, y) in −1..1 of the map's side; its usual place on the left if there is none."""


def find_lesions(label_map: np.ndarray, disc: tuple[float, float] | None) -> Lesions:
    """All lesions of a map ``uint8 (S, S)``; ``disc`` is its centre in −1..1."""
    parts, areas, kinds, first = [], [], [], 0
    for kind in (SE, EX, HE, MA):
        labels, count = connected(label_map == kind)
        ys, xs = np.nonzero(labels)
        parts.append((ys, xs, np.full(len(ys), kind, np.uint8), labels[ys, xs] - 1 + first))
        areas.append(np.bincount(labels.ravel(), minlength=count + 1)[1:])
        kinds.append(np.full(count, kind))
        first += count
    ys, xs, classes, component = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Lesions(ys, xs, classes, component, np.concatenate(areas), np.concatenate(kinds), disc or (-0.56, -0.04))


def is_circle(mask: np.ndarray) -> bool:
    """Whether a disc ``bool (S, S)`` was painted as a circle where nobody drew its outline: real ones are oval."""
    ys, xs = np.nonzero(mask)
    circle = round_disc(mask.shape, xs.mean() + 0.5, ys.mean() + 0.5, math.sqrt(len(xs) / math.pi))
    return bool((mask ^ circle).sum() <= CIRCLE * len(xs))


class RealMaps:
    """Draws soft real maps of a grade from the maps of a data set. Discs that were painted as circles are used only
    where there are no others.

    Args:
        maps: ``uint8 (N, S, S)``.
        grades: ``int (N,)``, -1 where unknown.
        size: side of the drawn maps; S must be a multiple of it.
    Raises:
        ValueError: sizes that do not fit, or no eye for grades 2, 3 or 4, no disc, no microaneurysm.
    """

    def __init__(self, maps: np.ndarray, grades: np.ndarray, size: int) -> None:
        side = maps.shape[-1]
        if maps.ndim != 3 or maps.shape[1] != side or side % size:
            raise ValueError(f"maps of shape {maps.shape} cannot be averaged to side {size}; it must divide their side")
        self.side, self.size, self.factor = side, size, side // size
        self.discs: list[tuple[Tensor, tuple[float, float]]] = []
        self.circles: list[tuple[Tensor, tuple[float, float]]] = []
        self.eyes: dict[int, list[Lesions]] = {grade: [] for grade in range(1, NUM_GRADES)}
        self.mild: list[Lesions] = []
        for label_map, grade in zip(maps, grades, strict=True):
            centre = self._add_disc(label_map == OD)
            lesions = find_lesions(label_map, centre)
            if len(lesions.ys):
                self._add_lesions(lesions, int(grade))
        self.discs = self.discs or self.circles
        self.mild_observed = len(self.mild) >= MILD_EYES
        if self.mild_observed:
            self.eyes[1] = self.mild
        empty = [grade for grade, eyes in self.eyes.items() if not eyes]
        if not self.discs or empty:
            what = f"no eye to make grades {', '.join(map(str, empty))} of" if empty else "no optic disc"
            needed = "training needs lesion maps of grades 2, 3 and 4 and discs"
            raise ValueError(f"the {len(maps)} maps hold {what}; {needed}")
        inside = torch.from_numpy(field_of_view(side)).float()[None, None]
        self.field = F.avg_pool2d(inside, self.factor)[0]

    def _add_disc(self, mask: np.ndarray) -> tuple[float, float] | None:
        if not DISC_AREA[0] <= mask.mean() <= DISC_AREA[1]:
            return None
        ys, xs = np.nonzero(mask)
        centre = (float((2 * xs.mean() + 1) / self.side - 1), float((2 * ys.mean() + 1) / self.side - 1))
        soft = F.avg_pool2d(torch.from_numpy(mask).float()[None], self.factor)
        drawn = self.circles if is_circle(mask) else self.discs
        drawn.append(((soft * 255).to(torch.uint8), centre))
        return centre

    def _add_lesions(self, lesions: Lesions, grade: int) -> None:
        if grade < 0:
            share = float((lesions.classes == HE).mean()) * len(lesions.ys) / self.side**2
            grade = 3 if share >= SEVERE_HAEMORRHAGE else 2
        if grade >= 2:
            self.eyes[grade].append(lesions)
        if (lesions.kinds == MA).any():
            self.eyes[1].append(lesions)
            if grade == 1:
                self.mild.append(lesions)

    def batch(self, grades: Tensor, rng: torch.Generator) -> Tensor:
        """Maps of the given ``grades int64 (N,)`` as area shares, ``float32 (N, 7, size, size)``, summing to 1."""
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
        layers, to_disc, to_lesions, discs = [], [], [], []
        for grade in grades.tolist():
            disc, centre = self.discs[draws.integers(len(self.discs))]
            layer, lesion_disc = self._layer(grade, draws)
            here, there = self._placement(centre, lesion_disc, draws)
            discs.append(disc)
            layers.append(layer)
            to_disc.append(here)
            to_lesions.append(there)
        disc_shape = [len(grades), 1, self.size, self.size]
        grid = F.affine_grid(torch.from_numpy(np.stack(to_disc)), disc_shape, align_corners=False)
        disc_share = F.grid_sample(torch.stack(discs).float() / 255, grid, align_corners=False)
        lesion_shares = self._lesion_shares(np.stack(layers), np.stack(to_lesions), draws)
        return self._join(disc_share, lesion_shares)

    def _layer(self, grade: int, draws: np.random.Generator) -> tuple[np.ndarray, tuple[float, float]]:
        """The lesions of one sample as a class map ``uint8 (S, S)`` (0: none), and the disc that belongs to them."""
        layer = np.zeros((self.side, self.side), dtype=np.uint8)
        if grade == 0:
            return layer, (-0.56, -0.04)
        pool = self.eyes[grade]
        eye = pool[draws.integers(len(pool))]
        if grade == 1:
            few = None if self.mild_observed else int(draws.integers(*MILD_ANEURYSMS, endpoint=True))
            self._paint(layer, eye, (MA,), draws, at_most=few)
            return layer, eye.disc
        mixed = draws.random() < MIXED
        for kind in (SE, EX, HE, MA):
            source = pool[draws.integers(len(pool))] if mixed else eye
            if source.disc[0] * eye.disc[0] >= 0:
                self._paint(layer, source, (kind,), draws)
            else:
                self._paint(layer, source, (kind,), draws, mirror=True)
        return layer, eye.disc

    def _paint(
        self,
        layer: np.ndarray,
        eye: Lesions,
        kinds: tuple[int, ...],
        draws: np.random.Generator,
        at_most: int | None = None,
        mirror: bool = False,
    ) -> None:
        """Draw an eye's lesions of some kinds, some left out, each moved on its own: small ones further than large."""
        chosen = np.isin(eye.kinds, kinds)
        if at_most is None:
            kept = draws.random(len(chosen)) >= draws.uniform(0, 0.25)
            chosen &= kept | ~(chosen & kept).any()  # an eye does not lose its only ones
        else:
            places = np.flatnonzero(chosen)
            chosen[:] = False
            chosen[draws.permutation(places)[:at_most]] = True
        reach = self.side * 0.015 / np.maximum(1, np.sqrt(eye.areas) / (self.side * 0.02))
        moves = np.round(draws.standard_normal((2, len(chosen))) * reach).astype(np.int64)
        picked = chosen[eye.component]
        part = eye.component[picked]
        ys = np.clip(eye.ys[picked] + moves[0, part], 0, self.side - 1)
        xs = np.clip(eye.xs[picked] + moves[1, part], 0, self.side - 1)
        layer[ys, self.side - 1 - xs if mirror else xs] = eye.classes[picked]

    def _placement(
        self, disc: tuple[float, float], lesion_disc: tuple[float, float], draws: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Matrices ``float32 (2, 3)`` from drawn to stored coordinates (−1..1), for the disc and for the lesions."""
        angle = math.radians(draws.uniform(-12, 12))
        flip_x = draws.choice([-1.0, 1.0])
        scale = draws.uniform(0.93, 1.07)
        turn = rotation(angle) @ np.diag([flip_x, 1.0]) * scale
        centre = turn @ disc + draws.normal(0, 0.015, 2) - (scale - 1) * (turn @ disc) / scale
        here = _inverse(turn, centre - turn @ disc)
        same_side = 1.0 if disc[0] * lesion_disc[0] >= 0 else -1.0
        flips = np.diag([flip_x * same_side, 1.0])
        turn = rotation(angle + math.radians(draws.normal(0, 4))) @ flips * draws.uniform(0.9, 1.1)
        shift = np.clip(centre - turn @ lesion_disc, -0.12, 0.12) + draws.normal(0, 0.02, 2)
        return here, _inverse(turn, shift)

    def _lesion_shares(self, layers: np.ndarray, matrices: np.ndarray, draws: np.random.Generator) -> Tensor:
        """Class maps ``uint8 (N, S, S)`` placed and bent → the lesions' area shares ``float32 (N, 4, size, size)``."""
        n = len(layers)
        grid = F.affine_grid(torch.from_numpy(matrices), [n, 1, self.side, self.side], align_corners=False)
        bend = torch.from_numpy(draws.normal(0, 0.015, (n, 2, 6, 6)).astype(np.float32))
        bend = F.interpolate(bend, size=min(48, self.side), mode="bicubic", align_corners=False)
        bend = F.interpolate(bend, size=self.side, mode="bilinear", align_corners=False)
        grid = grid + bend.permute(0, 2, 3, 1)
        placed = F.grid_sample(torch.from_numpy(layers)[:, None].float(), grid, mode="nearest", align_corners=False)
        return torch.cat([F.avg_pool2d((placed == kind).float(), self.factor) for kind in LESIONS], dim=1)

    def _join(self, disc: Tensor, lesions: Tensor) -> Tensor:
        lesions = lesions * (1 - disc) * self.field
        disc = disc * self.field
        planes = lesions.new_zeros(len(lesions), NUM_CLASSES, self.size, self.size)
        planes[:, OD] = disc[:, 0]
        planes[:, list(LESIONS)] = lesions
        planes[:, BG] = 1 - self.field
        planes[:, VB] = (1 - planes.sum(dim=1)).clamp_(0, 1)
        return planes


def _inverse(turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The matrix that undoes ``p → turn · p + shift``."""
    back = np.linalg.inv(turn)
    return np.concatenate([back, -(back @ shift)[:, None]], axis=1).astype(np.float32)
