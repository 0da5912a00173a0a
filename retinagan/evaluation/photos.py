"""Would an ophthalmologist take the photographs for real?

``python -m retinagan evaluate photos --data data/idrid512``. Held-out photographs are the reference, also those
without a lesion map. Generated ones are made for the same eyes (:mod:`retinagan.evaluation.photo_sets`), style seeds 0
… count-1. Everything that is made is kept in ``OUT/photographs``, so that a stopped evaluation goes on; the folder may
be deleted. ``OUT`` may hold real photographs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.data.graders import Graders
from retinagan.data.prepare import read_manifest
from retinagan.evaluation import contrast, criteria, reading, same_eye
from retinagan.evaluation.colour import Colour
from retinagan.evaluation.copying import Copy, Copying, NearestTrees
from retinagan.evaluation.criteria import Criterion
from retinagan.evaluation.diversity import Diversity, low_pass
from retinagan.evaluation.feature_space import Features, Photographs, inception_features, segmenter_logits
from retinagan.evaluation.fidelity import Fidelity
from retinagan.evaluation.judge import MISSING, Judge, Judgement
from retinagan.evaluation.photo_measures import Measurer, ahead
from retinagan.evaluation.photo_sets import Store, Wanted, annotated, code_hash, wanted_photographs
from retinagan.evaluation.report import Report, Result, unreported
from retinagan.evaluation.sheet import contact_sheet, shrunk
from retinagan.evaluation.spectrum import Spectrum
from retinagan.evaluation.vessels import Vessels
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import colours_from_map
from retinagan.models.grader import grade_of
from retinagan.pipeline import RetinaGAN
from retinagan.resources import DEFAULT_MODEL
from retinagan.training.agreement import Agreement

COUNT = 500
"""Generated photographs unless told otherwise."""

LEAST_COUNT = 8
FIDELITY_STYLES = 8
"""Styles of each annotated held-out map for the lesions' fidelity; this and what follows shrink with the count."""
GRID = 8
"""Maps and styles of the grid that diversity is measured on."""
EDIT_STYLES = 2
"""Styles in which lesions are removed, mirrored and moved."""
SHEET_SEEDS = 8
"""Photographs of each grade on the contact sheet."""


@dataclass(frozen=True)
class Speed(Result):
    """Seconds a photograph with its eye, median of five; on this machine and whatever else it does."""

    title: ClassVar = "Speed"
    seconds_a_photograph: float

    @classmethod
    def of(cls, gan: RetinaGAN, label_map: np.ndarray) -> Speed:
        taken = []
        for style in range(5):
            started = time.perf_counter()
            gan.render(label_map[None], [style])
            taken.append(time.perf_counter() - started)
        return cls(float(np.median(taken)))

    def criteria(self) -> list[Criterion]:
        told = f"{self.seconds_a_photograph:.2f} s here, whatever else this machine did"
        return [criteria.SECONDS.judge(self.seconds_a_photograph, told)]


@dataclass(frozen=True)
class Sheets(Result):
    """For looking at: maps and photographs of each grade's first seeds, and beside held-out photographs the maps and
    photographs made for their eyes."""

    title: ClassVar = "Contact sheets: photos-sheet.png and photos-beside.png"
    sheet: Image.Image = unreported()
    beside: Image.Image = unreported()

    @classmethod
    def of(cls, measurer: Measurer, heldout: PreparedDataset, wanted: Sequence[Wanted]) -> Sheets:
        columns = [
            [heldout.photos[one.eye], colours_from_map(one.label_map), measurer.render(one.label_map, one.style)]
            for one in wanted
        ]
        beside = np.hstack([np.vstack([shrunk(picture, 320) for picture in column]) for column in columns])
        sheet = contact_sheet(measurer.gan, range(len(wanted)))
        return cls(Image.fromarray(sheet), Image.fromarray(beside))

    def pictures(self) -> dict[str, Image.Image]:
        return {"sheet": self.sheet, "beside": self.beside}


def evaluate(
    data: Path,
    model: Path,
    out: Path,
    count: int | None = None,
    progress: bool = True,
    *,
    segmenter: Path | None = None,
    inception: Path | None = None,
    grader: Path | None = None,
) -> Report:
    """Compare the photographs of a model with real held-out ones; about 20 minutes on two cores by default.

    Args:
        data: prepared folder at the model's size, best with ``--include-unlabelled``: more real photographs.
        model: model folder.
        out: folder for ``photos.json``, ``photos.md``, pictures and contact sheets.
        count: generated photographs, 8 and more (500); the smaller sets shrink with it.
        segmenter: checkpoint of the segmenter whose feature space is used; by default that of the shipped model,
            whatever ``model`` is, so that figures of several models compare.
        inception: weights for :func:`retinagan.evaluation.feature_space.inception_features`, which adds FID and KID.
        grader: checkpoint or folder of graders (:class:`retinagan.data.graders.Graders`) that reads the grades; by
            default that of the shipped model, if it has one.

    Raises:
        FileNotFoundError, ValueError: no such folder, model or segmenter, photographs of another size, or too small a
            count.
    """
    count = COUNT if count is None else count
    if count < LEAST_COUNT:
        raise ValueError(f"count is {count}; distances need {LEAST_COUNT} photographs and more")
    started = time.perf_counter()
    gan = RetinaGAN.from_pretrained(model)
    yardstick = Path(segmenter or DEFAULT_MODEL / "segmenter.safetensors")
    if not yardstick.is_file():
        raise FileNotFoundError(f"no segmenter at {yardstick}; train one: python -m retinagan train segmenter --help")
    network, _ = checkpoints.load(yardstick, "segmenter")
    heldout = load_prepared(data, "heldout", include_unlabelled=True)
    train = load_prepared(data, "train", include_unlabelled=True)
    size = heldout.photos.shape[1]
    if size != gan.size:
        raise ValueError(f"{data} was prepared at {size}, the model makes {gan.size}; prepare with --size {gan.size}")
    if not annotated(heldout):
        raise ValueError(f"{data} holds no held-out eye with annotated lesions; prepare a data set with lesion masks")
    yardstick_hash = checkpoints.sha256(yardstick)
    hashes = {"photos": gan.hashes.get("photos"), "segmenter": yardstick_hash}
    judge, store = Judge.installed(gan.device), Store(out / "photographs")
    if judge is not None:
        hashes["judge"] = judge.weights
    measurer = Measurer(gan, network.to(gan.device), yardstick_hash, judge, store, progress)

    wanted = wanted_photographs(gan, heldout, count)
    eyes = np.array([one.eye for one in wanted])
    real = measurer.real(heldout)
    generated = measurer.generated(wanted)
    # A quick look does not need them all; the default count does.
    known = np.sort(np.random.default_rng(2).permutation(len(train))[: 2 * count])
    seen = [
        (measurer.features(train.photos[i]), measurer.judged(train.photos[i])) for i in measurer.bar(known, "train")
    ]

    def compared(real: np.ndarray, train_ones: np.ndarray, generated: np.ndarray) -> Photographs:
        return Photographs(real, heldout.grades, train_ones, train.grades[known], generated, eyes)

    features, judged = (np.stack(rows) for rows in zip(*seen, strict=True))
    results: dict[str, Result] = {"features": Features.of(compared(real.features, features, generated.features))}
    if judge is None:
        results["judge"] = Judgement(MISSING)
    else:
        name_of = {row["id"]: row["eye"] for row in read_manifest(data).values()}
        names, train_names = (np.array([name_of[one] for one in ids]) for ids in (heldout.ids, train.ids))
        photographs = compared(real.judged, judged, generated.judged)
        results["judge"] = Judgement.of(photographs, judge.spaces(size), names, train_names[known])
    if inception is not None:
        theirs, known_ones = (inception_features(p, inception) for p in (heldout.photos, train.photos[known]))
        ours = inception_features((measurer.render(one.label_map, one.style) for one in wanted), inception)
        results["inception"] = Features.of(compared(theirs, known_ones, ours), "Inception (FID, KID)")
    trees = NearestTrees(train.vessels)
    results |= {
        "reading": _reading(measurer, heldout, wanted, grader),
        "fidelity": _fidelity(measurer, heldout, _shrunk(FIDELITY_STYLES, count)),
        "spectrum": Spectrum.of(real.spectra, generated.spectra),
        "vessels": Vessels.of(real.statistics, generated.statistics),
        "copying": Copying.of(
            _nearest(measurer, trees, generated.vessels), _nearest(measurer, trees, real.vessels), train.ids
        ),
        "colour": Colour.of(real.colours, generated.colours, eyes),
        "diversity": _diversity(measurer, heldout, real.low, _shrunk(GRID, count, 3)),
        "same_eye": _same_eye(measurer, heldout, wanted, _shrunk(EDIT_STYLES, count)),
        "contrast": _contrast(measurer, heldout),
        "speed": Speed.of(gan, wanted[0].label_map),
        "sheets": Sheets.of(measurer, heldout, wanted[: _shrunk(SHEET_SEEDS, count, 2)]),
    }
    n = {
        "generated": count, "own_map": sum(one.own_map for one in wanted),
        "heldout": len(heldout), "train": len(train), "annotated": len(annotated(heldout)),
    }  # fmt: skip
    report = Report(
        name="photos",
        title=[
            f"Photographs of {gan.name} against {data.name}. Synthetic, not for diagnosis.", "",
            f"- generated: {count}, styles 0-{count - 1}, made for the held-out eyes in turn",
            f"  of their own maps ({n['own_map']}), or where those are not known of maps sampled for their grade",
            f"- real: {n['heldout']} held out ({n['annotated']} with annotated lesions), {n['train']} in training",
            *(f"- sha256 of {name}: {sha}" for name, sha in hashes.items()),
        ],
        facts={
            "model": gan.name, "sha256": hashes, "data": data.name, "count": count, "device": str(gan.device), "n": n,
            "minutes": (time.perf_counter() - started) / 60,
        },
        results=results,
    )  # fmt: skip
    report.write(out)
    return report


def _shrunk(size: int, count: int, least: int = 1) -> int:
    """The size of a smaller set: whole from a quarter of the default count, less for a quick look."""
    return min(size, max(least, 4 * size * count // COUNT))


def _nearest(measurer: Measurer, trees: NearestTrees, planes: np.ndarray) -> list[Copy]:
    """Nearest training eyes of trees."""
    return list(ahead(measurer.bar(planes, "nearest eyes"), lambda plane: plane, trees.find))


def _fidelity(measurer: Measurer, heldout: PreparedDataset, styles: int) -> Fidelity:
    """On annotated held-out eyes alone: predicted lesions are no truth to measure by."""
    theirs, ours = Agreement(), Agreement()
    for index in measurer.bar(annotated(heldout), "lesions"):
        label_map = heldout.maps[index]
        theirs.add(segmenter_logits(measurer.segmenter, heldout.photos[index]), label_map)
        for style in range(styles):
            ours.add(segmenter_logits(measurer.segmenter, measurer.render(label_map, style)), label_map)
    return Fidelity.of(theirs, ours, len(annotated(heldout)), styles)


def _reading(
    measurer: Measurer, heldout: PreparedDataset, wanted: Sequence[Wanted], grader: Path | None
) -> reading.Reading:
    shipped = DEFAULT_MODEL / "grader.safetensors"
    if grader is None and not shipped.is_file():
        return reading.Reading(reading.MISSING)
    graders = Graders.load(grader or shipped)
    name = " ".join(graders.hashes.values())
    code = code_hash("models/grader.py", "models/lite.py", "models/looks.py")

    def given(photo: np.ndarray) -> np.ndarray:
        key = f"graded {name} {code} {hashlib.sha256(photo.tobytes()).hexdigest()}"
        return measurer.store.get(key, lambda: graders.probabilities(photo))

    real = [given(photo) for photo in measurer.bar(heldout.photos, "grades of real photographs")]
    made = [
        given(measurer.render(one.label_map, one.style)) for one in measurer.bar(wanted, "grades of generated ones")
    ]
    eyes = np.array([one.eye for one in wanted])
    return reading.Reading.of(name, heldout.grades, grade_of(np.stack(real)), grade_of(np.stack(made)), eyes)


def _diversity(measurer: Measurer, heldout: PreparedDataset, real_low: np.ndarray, side: int) -> Diversity:
    """On a grid of the first held-out eyes with a map, in an order drawn once, and styles 0 …"""
    order = np.random.default_rng(1).permutation(np.flatnonzero(heldout.labels))[:side]
    grid = []
    for index in measurer.bar(order, "styles and maps"):
        left = find_anatomy(heldout.maps[index]).side == "left"
        grid.append(low_pass([measurer.render(heldout.maps[index], style) for style in range(side)], [left] * side))
    return Diversity.of(real_low, np.stack(grid))


def _same_eye(measurer: Measurer, heldout: PreparedDataset, wanted: Sequence[Wanted], styles: int) -> same_eye.SameEye:
    edits = []
    for index in measurer.bar(annotated(heldout), "edited maps"):
        label_map = heldout.maps[index]
        for style in range(styles):
            photo = measurer.render(label_map, style)
            for name, edited in same_eye.edited_maps(label_map).items():
                edits.append(same_eye.compare_edit(name, label_map, photo, edited, measurer.render(edited, style)))
    some, gan = wanted[:3], measurer.gan
    together = gan.render(np.stack([one.label_map for one in some]), [one.style for one in some])
    alone = [gan.render(one.label_map[None], [one.style])[0] for one in some]
    return same_eye.SameEye.of(edits, np.array_equal(together, alone))


def _contrast(measurer: Measurer, heldout: PreparedDataset) -> contrast.Contrast:
    """Real beside generated (style 0)."""
    maps = [(heldout.maps[i], heldout.photos[i]) for i in annotated(heldout)]
    real = [region for label_map, photo in maps for region in contrast.regions(label_map, photo)]
    made = [region for label_map, _ in maps for region in contrast.regions(label_map, measurer.render(label_map, 0))]
    least = same_eye.SMALLEST
    return contrast.Contrast(contrast.summary(real, least), contrast.summary(made, least), least)
