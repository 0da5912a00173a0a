"""What maps and photographs are accepted by: every threshold of the reports, as data."""

from __future__ import annotations

from dataclasses import dataclass

from retinagan.maps.labels import CLASSES, EX, HE, MA, OD, SE


@dataclass(frozen=True)
class Criterion:
    """A judgement: its ``name``, whether it is ``met`` (None: these data cannot tell), and the ``figures`` in words."""

    name: str
    met: bool | None
    figures: str


@dataclass(frozen=True)
class Limit:
    """What a figure must be: at least ``least``, at most ``most``, below ``below``."""

    what: str
    least: float | None = None
    most: float | None = None
    below: float | None = None

    @property
    def name(self) -> str:
        limits = (("at least", self.least), ("at most", self.most), ("below", self.below))
        return f"{self.what}: {' and '.join(f'{word} {value:g}' for word, value in limits if value is not None)}"

    def met(self, value: float) -> bool:
        return bool(
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def judge(self, value: float | None, figures: str) -> Criterion:
        """The criterion for a value; None: it cannot be told."""
        return Criterion(self.name, None if value is None else self.met(value), figures)


ENOUGH_MAPS = 40
"""Real maps of a grade from which distances to them count."""
TRACE = 20
"""Pixels at a side of 512 up to which lesions beside microaneurysms are a trace (a share of 1e-4 of the field)."""
ENOUGH_PHOTOS = 64
"""Photographs from which chance makes no peak in the mean spectrum: it scatters by 1/√n."""

# Maps
SHARES = Limit("difference of the share of maps with each lesion to that of real ones", most=0.12)
MEDIANS = Limit(
    f"generated over real median of number, area and size of each lesion, every grade with {ENOUGH_MAPS} real maps",
    least=0.75, most=1.25,
)  # fmt: skip
PLACES = Limit(
    "difference of the shares of exudates, haemorrhages and microaneurysms up to any distance to fovea and disc, every "
    f"grade with {ENOUGH_MAPS} real maps",
    most=0.15,
)
MILD_ANEURYSMS = Limit("share of grade-1 maps with microaneurysms", least=0.9)
MILD_OTHERS = Limit("share of grade-1 maps with more than a trace of other lesions", most=0.1)
KAPPA = Limit("kappa of generated maps over that of real ones", least=0.9)
MAPS_FRECHET = Limit(f"Fréchet ratio of every grade with {ENOUGH_MAPS} real maps and more", most=3.0)
MAPS_COVERAGE = Limit(f"coverage of every grade with {ENOUGH_MAPS} real maps and more", least=0.5)
COPIED_MAP = Limit("IoU of all lesions with a training map, turned and mirrored", below=0.7)
RAW_DISCS = Limit("share of maps with one plausible disc before clean-up", least=0.95)
MINUTES = Limit("minutes for 1000 maps", most=10)

# Photographs
FEATURES = Limit("Fréchet distance of generated to held-out real over that of training real", most=2.0)
DICE = {
    index: Limit(f"Dice of {CLASSES[index].name.lower()} on generated over that on real", least=least)
    for index, least in ((EX, 0.9), (HE, 0.9), (SE, 0.8), (MA, 0.8), (OD, 0.9))
}
JUDGE = Limit("an independent judge's Fréchet distance of generated to held-out over that of training real", most=2.0)
PROBE = Limit("AUC by which a linear probe of the independent judge tells generated from real", most=0.9)
READING = Limit("kappa of a grader of real photographs on generated over that on held-out ones", least=0.9)
POWER = Limit("power within ±20 % of real: generated over real in every band", least=0.8, most=1.2)
FINE_POWER = Limit("luminance within ±20 % of real up to 0.9 of the Nyquist frequency, every band", least=0.8, most=1.2)
CHANNEL_POWER = Limit("red, green and blue within ±30 % of real up to 0.9 of it, every band", least=0.7, most=1.3)
PEAK = Limit("no peak in the spectrum at a grid's frequencies: generated over real", most=1.5)
VESSELS = Limit("share of photographs within the real 10th to 90th percentile", least=0.8)
"""Of the real ones themselves, 0.8 lie there."""
COPIED_TREE = Limit("highest vessel overlap with a training eye", below=0.5)
COLOUR = Limit("distance of photographs to real, over that of real halves", most=1.5)
DIVERSITY = Limit("diversity of styles over real diversity", least=0.7)
CHANGE = Limit("same style, lesions changed: mean change outside them, in levels of 255", most=2.0)
SEEN = Limit("share of lesions moved, mirrored or removed that are seen where they are", least=0.9)
GONE = Limit("share of lesions moved, mirrored or removed that are gone from where they were", least=0.9)
SECONDS = Limit("seconds a photograph at 512 on two CPU cores", most=0.6)

# Segmenter
AUPR = {
    index: Limit(f"AUPR of {CLASSES[index].name.lower()} on unseen annotated eyes", least=least)
    for index, least in ((EX, 0.85), (HE, 0.60), (SE, 0.65), (MA, 0.42))
}
DISC_JACCARD = Limit("Jaccard of the disc on unseen annotated eyes", least=0.93)
BURDEN = {
    index: Limit(f"{CLASSES[index].name.lower()} predicted over annotated: number, area and size off 1", most=0.25)
    for index in (EX, HE, MA)
}

# Grader of photographs
GRADER = Limit("quadratic weighted kappa of the grader on training photographs, cross-validated", least=0.8)
