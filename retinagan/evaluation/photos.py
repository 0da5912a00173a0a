"""Would an ophthalmologist take the photographs for real? Figures, and what they are accepted by.

``python -m retinagan evaluate photos --data data/idrid512``. Held-out photographs are the reference, also those
without a lesion map. Generated ones are made for the same eyes (:mod:`retinagan.evaluation.photo_sets`), style seeds 0
… count-1. Everything that is made is kept in ``OUT/photographs``, so that a stopped evaluation goes on; the folder may
be deleted. ``OUT`` may hold real photographs.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.evaluation import colour, same_eye, spectrum
from retinagan.evaluation.contrast import regions
from retinagan.evaluation.contrast import summary as contrasts
from retinagan.evaluation.copying import LIMIT, Copy, NearestTrees
from retinagan.evaluation.distances import compare, share_within, split_halves
from retinagan.evaluation.diversity import diversity, low_pass
from retinagan.evaluation.feature_space import (
    compare_features,
    inception_features,
    segmenter_logits,
)
from retinagan.evaluation.fidelity import fidelity
from retinagan.evaluation.photo_measures import Measured, Measurer, ahead
from retinagan.evaluation.photo_sets import Store, annotated, wanted_photographs
from retinagan.evaluation.photos_table import criteria, table
from retinagan.maps.anatomy import find_anatomy
from retinagan.pipeline import RetinaGAN
from retinagan.resources import DEFAULT_MODEL
from retinagan.training.agreement import Agreement

__all__ = ["evaluate", "table"]

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
GRIDS = (2, 4, 8, 16)
"""Periods in pixels at which upsampling may leave a grid."""


def evaluate(
    data: Path,
    model: Path,
    out: Path,
    count: int | None = None,
    progress: bool = True,
    *,
    segmenter: Path | None = None,
    inception: Path | None = None,
) -> dict:
    """Compare the photographs of a model with real held-out ones.

    Writes ``photos.json``, figures ``photos-*.png`` and contact sheets into ``out``. About 20 minutes on two CPU cores
    with the default count.

    Args:
        data: prepared folder at the model's size, best with ``--include-unlabelled``: more real photographs.
        model: model folder.
        count: generated photographs, 8 and more (500); the smaller sets shrink with it.
        segmenter: checkpoint of the segmenter whose feature space is used; by default that of the shipped model,
            whatever ``model`` is, so that figures of several models compare.
        inception: weights for :func:`retinagan.evaluation.feature_space.inception_features`, which adds FID and KID.

    Returns:
        The figures, ready for JSON; :func:`table` makes them readable.

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
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    hashes = {"photos": gan.hashes.get("photos"), "segmenter": checkpoints.sha256(yardstick)}
    store = Store(out / "photographs")
    measurer = Measurer(gan, network.to(gan.device), hashes["segmenter"], store, progress)

    wanted = wanted_photographs(gan, heldout, count)
    eyes = np.array([one.eye for one in wanted])
    real = measurer.real(heldout)
    generated = measurer.generated(wanted)
    # A quick look does not need them all; the default count does.
    known = np.sort(np.random.default_rng(2).permutation(len(train))[: 2 * count])
    train_features = np.stack([measurer.features(train.photos[i]) for i in measurer.bar(known, "training photographs")])
    copies = _find_copies(measurer, train, real, generated)

    figures = {
        "model": gan.name, "sha256": hashes, "data": Path(data).name, "count": count, "device": str(gan.device),
        "n": {
            "generated": count, "own_map": sum(one.own_map for one in wanted),
            "heldout": len(heldout), "train": len(train), "annotated": len(annotated(heldout)),
        },
        "features": compare_features(
            real.features, heldout.grades, train_features, train.grades[known], generated.features, eyes
        ),
        "fidelity": _fidelity(measurer, heldout, _shrunk(FIDELITY_STYLES, count)),
        "spectrum": _spectrum(real.spectra, generated.spectra),
        "colour": _colour(real.colours, generated.colours, eyes),
        "vessels": {name: share_within(real.statistics[name], generated.statistics[name]) for name in real.statistics},
        "copying": _copying(copies, train),
        "diversity": _diversity(measurer, heldout, real.low, _shrunk(GRID, count, 3)),
        "same_eye": _same_eye(measurer, heldout, _shrunk(EDIT_STYLES, count)),
        "contrast": _contrast(measurer, heldout),
        "batch_is_single": _batch_is_single(gan, wanted),
        "seconds_a_photograph": _seconds_a_photograph(gan, wanted[0].label_map),
    }  # fmt: skip
    if inception is not None:
        of_real, of_train = (inception_features(p, inception) for p in (heldout.photos, train.photos[known]))
        of_generated = inception_features((measurer.render(one.label_map, one.style) for one in wanted), inception)
        figures["inception"] = compare_features(
            of_real, heldout.grades, of_train, train.grades[known], of_generated, eyes
        )
    figures["criteria"] = criteria(figures)
    figures["minutes"] = (time.perf_counter() - started) / 60
    (out / "photos.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    from retinagan.evaluation import photos_figures

    photos_figures.write(out, figures, real, generated, copies)
    photos_figures.sheets(out, measurer, heldout, wanted, _shrunk(SHEET_SEEDS, count, 2))
    return figures


def _shrunk(size: int, count: int, least: int = 1) -> int:
    """The size of a smaller set: whole from a quarter of the default count, less for a quick look."""
    return min(size, max(least, 4 * size * count // COUNT))


def _spectrum(real: spectrum.Spectra, generated: spectrum.Spectra) -> dict:
    """Power ratios of each plane and band, what halves of the real ones differ by, and the grids' peaks."""
    theirs, ours = real.stack(), generated.stack()
    halves = [
        spectrum.power_ratios(theirs[a], theirs[b])[0]
        for a, b in (split_halves(len(theirs), seed) for seed in range(100))
    ]
    peaks = {}
    for factor in GRIDS:
        if len(real.power) % factor == 0:
            expected, found = spectrum.grid_peaks(real.power, factor), spectrum.grid_peaks(generated.power, factor)
            # What is a dip in the real ones by chance makes no peak of what is none.
            ratios = {frequency: found[frequency] / max(1, expected[frequency]) for frequency in found}
            place = max(ratios, key=ratios.get)
            peaks[str(factor)] = {"frequency": [k / factor for k in place], "ratio": ratios[place]}
    return {
        "edges": spectrum.bands(real.size).tolist(),
        "ratios": {
            plane: row.tolist() for plane, row in zip(spectrum.PLANES, spectrum.power_ratios(theirs, ours), strict=True)
        },
        "n": {"real": len(theirs), "generated": len(ours)},
        "real_halves": np.percentile(halves, [5, 95], axis=0).tolist(),
        "peaks": peaks,
    }


def _colour(real: colour.Colours, generated: colour.Colours, eyes: np.ndarray) -> dict:
    figures = {}
    for component, name in enumerate(colour.MEANS):
        values = {
            key: [float(of.means[:, component].mean()), float(of.means[:, component].std())]
            for key, of in (("real_mean_std", real), ("generated_mean_std", generated))
        }
        figures[name] = compare(colour.mean_distance(component), real, generated, eyes) | values
    for channel, name in enumerate(colour.CHANNELS):
        figures[name] = compare(colour.channel_distance(channel), real, generated, eyes)
    return figures


def _fidelity(measurer: Measurer, heldout: PreparedDataset, styles: int) -> dict:
    """On annotated held-out eyes alone: predicted lesions are no truth to measure by."""
    theirs, ours = Agreement(), Agreement()
    for index in measurer.bar(annotated(heldout), "lesions"):
        label_map = heldout.maps[index]
        theirs.add(segmenter_logits(measurer.segmenter, heldout.photos[index]), label_map)
        for style in range(styles):
            ours.add(segmenter_logits(measurer.segmenter, measurer.render(label_map, style)), label_map)
    return {"n_maps": len(annotated(heldout)), "styles": styles, "classes": fidelity(theirs, ours)}


def _find_copies(
    measurer: Measurer, train: PreparedDataset, real: Measured, generated: Measured
) -> dict[str, list[Copy]]:
    """Nearest training eyes of generated and of held-out real trees."""
    trees = NearestTrees(train.vessels)
    return {
        name: list(ahead(measurer.bar(planes, f"nearest eyes, {name}"), lambda plane: plane, trees.find))
        for name, planes in (("generated", generated.vessels), ("heldout", real.vessels))
    }


def _copying(copies: dict[str, list[Copy]], train: PreparedDataset) -> dict:
    figures = {}
    for name, found in copies.items():
        overlaps = np.array([copy.overlap for copy in found])
        figures[name] = {
            "n": len(found),
            "quartiles": np.percentile(overlaps, [25, 50, 75]).tolist(),
            "max": overlaps.max().item(),
        }
    highest = max(range(len(copies["generated"])), key=lambda i: copies["generated"][i].overlap)
    copy = copies["generated"][highest]
    figures["generated"] |= {
        "copies": sum(c.overlap >= LIMIT for c in copies["generated"]), "highest_style": highest,
        "highest_eye": train.ids[copy.index],
    }  # fmt: skip
    return figures


def _diversity(measurer: Measurer, heldout: PreparedDataset, real_low: np.ndarray, side: int) -> dict:
    """On a grid of the first held-out eyes with a map, in an order drawn once, and styles 0 …"""
    order = np.random.default_rng(1).permutation(np.flatnonzero(heldout.has_map))[:side]
    grid = []
    for index in measurer.bar(order, "styles and maps"):
        left = find_anatomy(heldout.maps[index]).side == "left"
        grid.append(low_pass([measurer.render(heldout.maps[index], style) for style in range(side)], [left] * side))
    return diversity(real_low, np.stack(grid))


def _same_eye(measurer: Measurer, heldout: PreparedDataset, styles: int) -> dict:
    edits = []
    for index in measurer.bar(annotated(heldout), "edited maps"):
        label_map = heldout.maps[index]
        for style in range(styles):
            photo = measurer.render(label_map, style)
            for name, edited in same_eye.edited_maps(label_map).items():
                edits.append(same_eye.compare_edit(name, label_map, photo, edited, measurer.render(edited, style)))
    return same_eye.summary(edits)


def _contrast(measurer: Measurer, heldout: PreparedDataset) -> dict:
    """Contrast of each class inside its regions, real beside generated (style 0)."""
    chosen = annotated(heldout)
    real = [r for i in chosen for r in regions(heldout.maps[i], heldout.photos[i])]
    made = [r for i in chosen for r in regions(heldout.maps[i], measurer.render(heldout.maps[i], 0))]
    return {"real": contrasts(real, same_eye.SMALLEST), "generated": contrasts(made, same_eye.SMALLEST)}


def _batch_is_single(gan: RetinaGAN, wanted: list) -> bool:
    """Whether photographs rendered together are those rendered alone, byte by byte."""
    some = wanted[:3]
    together = gan.render(np.stack([one.label_map for one in some]), [one.style for one in some])
    return all(
        np.array_equal(photo, gan.render(one.label_map[None], [one.style])[0])
        for photo, one in zip(together, some, strict=True)
    )


def _seconds_a_photograph(gan: RetinaGAN, label_map: np.ndarray) -> float:
    """Median of five, with the eye; on this machine and whatever else it does."""
    taken = []
    for style in range(5):
        started = time.perf_counter()
        gan.render(label_map[None], [style])
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))
