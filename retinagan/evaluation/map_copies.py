"""Are generated maps copies of training maps, turned or mirrored? Each map with lesions beside its nearest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.distances import Overlaps
from retinagan.evaluation.map_set import MapSet
from retinagan.evaluation.nearest import Match, NearestMaps
from retinagan.evaluation.plots import GENERATED, PUBLISHED, REAL
from retinagan.evaluation.report import Result, number, unreported
from retinagan.maps.labels import LESIONS, colours_from_map

NAMES = {"generated": "generated", "real_heldout": "real, held-out", "real_train": "real, other training"}


@dataclass(frozen=True)
class MapMatch:
    """A generated map (``grade``, ``seed``) and the training map (``id``) that it resembles most; :class:`Match` says
    how they lie."""

    grade: int
    seed: int
    iou: float
    id: str
    rotation: float
    mirrored: bool
    lesion_pixels: int
    generated_map: np.ndarray = unreported()
    real_map: np.ndarray = unreported()


@dataclass(frozen=True)
class MapCopies(Result):
    """Overlaps with the ``train`` training maps, of generated and of real maps; ``copies`` overlap too much.
    ``nearest`` are the pairs of highest overlap."""

    title: ClassVar = "Nearest training map, turned and mirrored: IoU of all lesions (maps with lesions)"
    train: int
    generated: Overlaps
    real_heldout: Overlaps
    real_train: Overlaps
    copies: int
    nearest: list[MapMatch]

    @classmethod
    def of(cls, real: MapSet, generated: Sequence[np.ndarray], progress: bool) -> MapCopies:
        """Of real maps, and generated ones by grade and seed."""
        train, heldout = (np.flatnonzero(real.splits == split) for split in ("train", "heldout"))
        finder = NearestMaps(real.maps[train])

        def found(maps: Iterable[np.ndarray], what: str, own: Iterable[int | None]) -> list[Match | None]:
            pairs = tqdm(list(zip(maps, own, strict=True)), unit="map", desc=f"nearest of {what}", disable=not progress)
            return [next(iter(finder.find(m, exclude=() if i is None else (i,))), None) for m, i in pairs]

        def overlaps(matches: Iterable[Match | None]) -> Overlaps:
            return Overlaps.of([match.iou for match in matches if match is not None])

        matches = []
        for grade, maps in enumerate(generated):
            for seed, match in enumerate(found(maps, f"grade {grade}", [None] * len(maps))):
                if match is not None:
                    place = int(train[match.index])
                    pixels = int(np.isin(maps[seed], LESIONS).sum())
                    own = (grade, seed, match.iou, real.ids[place], match.rotation, match.mirrored, pixels)
                    matches.append(MapMatch(*own, maps[seed], real.maps[place]))
        matches.sort(key=lambda match: -match.iou)
        return cls(
            train=len(train),
            generated=Overlaps.of([match.iou for match in matches]),
            real_heldout=overlaps(found(real.maps[heldout], "held-out maps", [None] * len(heldout))),
            real_train=overlaps(found(real.maps[train], "training maps", range(len(train)))),
            copies=sum(not criteria.COPIED_MAP.met(match.iou) for match in matches),
            nearest=matches[:8],
        )

    def criteria(self) -> list[Criterion]:
        told = f"{self.copies} of {self.generated.n} maps with lesions; highest IoU {number(self.generated.max)}"
        return [Criterion(criteria.COPIED_MAP.name, self.copies == 0, told)]

    def pictures(self) -> dict[str, Figure]:
        pairs = self.nearest[:5]
        if not pairs:
            return {}
        figure = Figure(figsize=(11, 6.6), layout="constrained")
        (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 2.2))
        ax = top.subplots()
        shown = f"generated, n = {self.generated.n}"
        ax.hist(self.generated.all, bins=np.linspace(0, 1, 51).tolist(), color=GENERATED, label=shown)
        for row, name, colour in (
            (self.real_heldout, "held-out real", REAL), (self.real_train, "other training maps", PUBLISHED),
        ):  # fmt: skip
            if row.max is not None:
                ax.axvline(row.max, color=colour, linestyle="--", label=f"highest of {name}, n = {row.n}")
        limit = criteria.COPIED_MAP.below or 1.0
        ax.axvline(limit, color="black", linewidth=0.8)
        ax.text(limit + 0.005, ax.get_ylim()[1] * 0.9, "copy", va="top")
        ax.set(xlabel="IoU of all lesions with the nearest training map, turned and mirrored", ylabel="maps")
        ax.legend()
        axes = bottom.subplots(2, len(pairs), squeeze=False)
        for column, match in zip(axes.T, pairs, strict=True):
            own = match.generated_map[:, ::-1] if match.mirrored else match.generated_map
            turned = Image.fromarray(colours_from_map(own)).rotate(-match.rotation, fillcolor=(0, 0, 0))
            column[0].imshow(np.asarray(turned))
            column[0].set_title(f"grade {match.grade} seed {match.seed}, IoU {match.iou:.2f}", fontsize=8)
            column[1].imshow(colours_from_map(match.real_map))
            column[1].set_title(match.id, fontsize=8)
            for ax in column:
                ax.axis("off")
        bottom.suptitle("Nearest pairs: generated above (turned to match), training map below", fontsize=9)
        return {"nearest": figure}
