"""How good are maps as the network makes them, before and after clean-up, and how long do they take?"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from retinagan.evaluation import criteria
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.report import Result, unreported
from retinagan.maps.anatomy import SPECK_AREA
from retinagan.maps.clean import is_plausible_disc
from retinagan.maps.labels import LESIONS, OD, colours_from_map
from retinagan.maps.parts import connected, field_of_view
from retinagan.pipeline import RetinaGAN
from retinagan.seeds import NUM_GRADES

PER_GRADE = 8
"""Maps of each grade on the contact sheet."""


@dataclass(frozen=True)
class Judged:
    """Whether a map has ``one_disc`` (one connected region, specks of under 10 pixels at 512 aside), a
    ``plausible_disc`` (one, of a radius within :data:`retinagan.maps.clean.PLAUSIBLE_RADIUS`), ``no_speck`` of disc
    beside it, and all ``lesions_inside`` the circular field; and the ``lesions_outside``, a share of all lesion pixels.
    Of several maps: the means."""

    one_disc: float
    plausible_disc: float
    no_speck: float
    lesions_inside: float
    lesions_outside: float

    @classmethod
    def of(cls, label_map: np.ndarray) -> Judged:
        """Of a map ``uint8 (S, S)``."""
        shares = np.bincount(connected(label_map == OD)[0].ravel())[1:] / label_map.size
        discs = shares[shares >= SPECK_AREA]
        lesions = np.isin(label_map, LESIONS)
        outside = int((lesions & ~field_of_view(len(label_map))).sum())
        plausible = len(discs) == 1 and is_plausible_disc(discs[0])
        return cls(
            len(discs) == 1, plausible, len(discs) == len(shares), outside == 0, outside / max(int(lesions.sum()), 1)
        )

    @classmethod
    def mean(cls, judged: list[Judged]) -> Judged:
        return cls(*np.mean([list(vars(one).values()) for one in judged], axis=0).tolist())


@dataclass(frozen=True)
class CleanUp(Result):
    """Shares of ``n`` generated maps that are right, and seconds of a thousand maps, with clean-up: as it was on this
    machine, and of processor time. ``maps``: the generated ones by grade, ``uint8 (count, S, S)`` each."""

    title: ClassVar = "Before and after clean-up: shares of maps; seconds on this machine"
    n: int
    before: Judged
    after: Judged
    seconds_a_thousand: float
    processor_seconds_a_thousand: float
    maps: list[np.ndarray] = unreported(default_factory=list)

    @classmethod
    def of(cls, gan: RetinaGAN, count: int, progress: bool) -> CleanUp:
        """Of ``count`` maps a grade that are sampled here, seeds 0 … count-1, truncation 1."""
        generated, before, after, clocks = [], [], [], (time.perf_counter, time.process_time)
        seconds = np.zeros(len(clocks))
        with tqdm(total=count * NUM_GRADES, unit="map", desc="sample", disable=not progress) as bar:
            for grade in range(NUM_GRADES):
                maps = np.empty((count, gan.size, gan.size), dtype=np.uint8)
                for seed in range(count):
                    before.append(Judged.of(gan.sample_maps(grade, [seed], clean=False)[0]))
                    start = [clock() for clock in clocks]
                    maps[seed] = gan.sample_maps(grade, [seed])[0]
                    seconds += np.subtract([clock() for clock in clocks], start)
                    after.append(Judged.of(maps[seed]))
                    bar.update()
                generated.append(maps)
        spent, processor = 1000 * seconds / len(after)
        return cls(len(after), Judged.mean(before), Judged.mean(after), float(spent), float(processor), generated)

    def criteria(self) -> list[Criterion]:
        right, cleaned = (min(one.plausible_disc, one.one_disc) for one in (self.before, self.after))
        strayed = 1 - self.after.lesions_inside
        minutes, processor = self.seconds_a_thousand / 60, self.processor_seconds_a_thousand / 60
        return [
            Criterion(
                f"{criteria.RAW_DISCS.name}, and all after it; no lesion outside the field",
                criteria.RAW_DISCS.met(right) and cleaned == 1 and strayed == 0,
                f"{right:.1%} before, {cleaned:.1%} after, n = {self.n}; lesions outside the field in {strayed:.1%} of "
                f"maps after clean-up, {self.before.lesions_outside:.2%} of lesion pixels before",
            ),
            criteria.MINUTES.judge(
                minutes, f"{minutes:.1f} on this machine as busy as it was, {processor:.1f} of processor time"
            ),
        ]

    def pictures(self) -> dict[str, Image.Image]:
        return {"sheet": contact_sheet(self.maps)}


def contact_sheet(generated: list[np.ndarray], side: int = 240, gap: int = 8) -> Image.Image:
    """The first maps of each grade, a row a grade, which stands to the left."""
    margin = 40
    sheet = Image.new("RGB", (margin + PER_GRADE * (side + gap), NUM_GRADES * (side + gap) + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for row, maps in enumerate(generated):
        top = gap + row * (side + gap)
        draw.text((margin / 2, top + side / 2), str(row), "black", ImageFont.load_default(28), anchor="mm")
        for column, label_map in enumerate(maps[:PER_GRADE]):
            picture = Image.fromarray(colours_from_map(label_map)).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(picture, (margin + column * (side + gap), top))
    return sheet
