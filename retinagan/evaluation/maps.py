"""Are the generated lesion maps such as a grader would place at the grade asked for, as varied as real ones, and new?

``python -m retinagan evaluate maps --data data/idrid512``. Real maps are those of a prepared folder: annotated lesions
("masks"), lesions predicted by a segmenter ("pseudo"), and grade 0, which has none by definition ("disc"). What maps
hold is told of both splits together, as is the distance between the distributions; copies are looked for among the
training maps, and the grader is fitted on them. The fovea is inferred from the disc on both sides alike. Predicted maps
were cleaned with the grade in hand (:mod:`retinagan.data.pseudo`), which flatters the grader's kappa on real maps. From grade 2 on, where
the grade did not clean them, their shares are corrected for what the segmenter misses and makes up (:mod:`retinagan.data.presence`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from tqdm import tqdm

from retinagan.data.prepare import read_manifest
from retinagan.data.presence import corrected, read_presence
from retinagan.evaluation import grading
from retinagan.evaluation.descriptors import ASSUMED, DESCRIPTORS, Measured, quartiles, summarise
from retinagan.evaluation.maps_distances import coverage, frechet_ratio, neighbour_distances
from retinagan.evaluation.maps_table import TRACE, criteria, table
from retinagan.evaluation.nearest import Match, NearestMaps
from retinagan.maps.anatomy import SPECK_AREA
from retinagan.maps.clean import is_plausible_disc
from retinagan.maps.labels import LESIONS, MA, NUM_GRADES, OD, check_map, field_of_view
from retinagan.maps.measure import Measurements
from retinagan.pipeline import RetinaGAN

__all__ = ["MapSet", "evaluate", "judge_raw_map", "read_map_set", "table"]

COUNT = 200
"""Generated maps a grade unless told otherwise: a thousand in all."""

COPY_IOU = 0.7
"""A map whose lesions overlap those of a training map by this much or more, turned or mirrored, counts as a copy."""


@dataclass(frozen=True)
class MapSet:
    """Real maps ``uint8 (N, S, S)``, their grades ``int64 (N,)`` (-1 unknown), and of each where its lesions are from
    (``labels``: masks, pseudo, disc), its split, eye and id."""

    maps: np.ndarray
    grades: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    eyes: np.ndarray
    ids: tuple[str, ...]


def read_map_set(folder: Path | str) -> MapSet:
    """All maps of a prepared folder, both splits, without their photographs.

    Raises:
        FileNotFoundError: no manifest, or a map that it lists is missing.
        ValueError: no map at all, or a damaged one (it is named).
    """
    folder = Path(folder)
    rows = [row for row in read_manifest(folder).values() if row["has_map"] == "1"]
    if not rows:
        raise ValueError(f"{folder} holds no lesion map; prepare data with masks, or with --pseudo-label")
    maps = np.empty((len(rows), int(rows[0]["size"]), int(rows[0]["size"])), dtype=np.uint8)
    for number, row in enumerate(rows):
        path = folder / "maps" / f"{row['id']}.png"
        try:
            with Image.open(path, formats=["PNG"]) as picture:
                if picture.mode != "P" or picture.size != maps.shape[1:]:
                    raise ValueError(f"it is {picture.mode} {picture.size}, expected P {maps.shape[1:]}")
                maps[number] = np.asarray(picture)
            check_map(maps[number])
        except FileNotFoundError:
            raise
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{path} is damaged or was changed ({error}); prepare the folder again") from error
    return MapSet(
        maps=maps,
        grades=np.array([int(row["grade"]) if row["grade"] else -1 for row in rows], dtype=np.int64),
        labels=np.array([row["label"] for row in rows]),
        splits=np.array([row["split"] for row in rows]),
        eyes=np.array([row["eye"] for row in rows]),
        ids=tuple(row["id"] for row in rows),
    )


def evaluate(data: Path, model: Path, out: Path, count: int | None = None, progress: bool = True) -> dict:
    """Compare the maps of a model with the real maps of a prepared folder.

    Writes ``maps.json``, figures ``maps-*.png`` and the contact sheet ``maps-sheet.png`` into ``out``. Map seeds are
    0 … count-1, truncation is 1.

    Args:
        data: prepared folder, of the model's size.
        model: model folder.
        count: generated maps a grade, 2 and more (200).

    Returns:
        The figures, ready for JSON; :func:`table` makes them readable.

    Raises:
        FileNotFoundError, ValueError: no such folder or model, maps of another size, or too small a count.
    """
    count = COUNT if count is None else count
    if count < 2:
        raise ValueError(f"count is {count}; distances need 2 maps a grade and more")
    real = read_map_set(data)
    gan = RetinaGAN.from_pretrained(model)
    if gan.size != real.maps.shape[1]:
        raise ValueError(
            f"{data} was prepared at {real.maps.shape[1]}, the model makes {gan.size}; prepare with --size {gan.size}"
        )
    generated, raw, (seconds, processor_seconds) = _sample(gan, count, progress)
    theirs = Measured.of(tqdm(real.maps, unit="map", desc="measure real", disable=not progress), gan.size)
    ours = [
        Measured.of(tqdm(maps, unit="map", desc=f"measure grade {grade}", disable=not progress), gan.size)
        for grade, maps in enumerate(generated)
    ]
    matches, nearest = _nearest(real, generated, progress)
    figures = {
        "model": gan.name, "sha256": gan.hashes.get("maps"), "data": Path(data).name, "count": count, "truncation": 1.0,
        "real": _count_real(real),
        "seconds_a_thousand": 1000 * seconds / (count * NUM_GRADES),
        "processor_seconds_a_thousand": 1000 * processor_seconds / (count * NUM_GRADES),
        "clean_up": raw,
        "presence": (noted := read_presence(data)),
        "grades": _by_grade(real, theirs, ours, noted),
        "mild": _mild(ours[1].found),
        "distances": _distances(real, theirs, ours),
        "grader": _grade(real, theirs.descriptors, [one.descriptors for one in ours]),
        "nearest": nearest,
    }  # fmt: skip
    figures = _plain(figures)
    figures["criteria"] = criteria(figures)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "maps.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    from retinagan.evaluation import maps_figures

    maps_figures.write(
        out, figures, [theirs.chosen(real.grades == g) for g in range(NUM_GRADES)], ours, real.maps, matches
    )
    return figures


def _sample(gan: RetinaGAN, count: int, progress: bool) -> tuple[list[np.ndarray], dict, np.ndarray]:
    """Maps of each grade ``uint8 (count, S, S)``; shares that are right; seconds and processor seconds of sampling."""
    generated, before, after, clocks = [], [], [], (time.perf_counter, time.process_time)
    seconds = np.zeros(len(clocks))
    with tqdm(total=count * NUM_GRADES, unit="map", desc="sample", disable=not progress) as bar:
        for grade in range(NUM_GRADES):
            maps = np.empty((count, gan.size, gan.size), dtype=np.uint8)
            for seed in range(count):
                raw = gan.sample_maps(grade, [seed], clean=False)[0]
                start = [clock() for clock in clocks]
                maps[seed] = gan.sample_maps(grade, [seed])[0]
                seconds += np.subtract([clock() for clock in clocks], start)
                before.append(judge_raw_map(raw))
                after.append(judge_raw_map(maps[seed]))
                bar.update()
            generated.append(maps)
    shares = {
        name: {key: float(np.mean([judged[key] for judged in all_judged])) for key in all_judged[0]}
        for name, all_judged in (("before", before), ("after", after))
    }
    return generated, {"n": count * NUM_GRADES, **shares}, seconds


def judge_raw_map(label_map: np.ndarray) -> dict[str, float]:
    """Whether a map ``uint8 (S, S)`` has ``one_disc`` (one connected region, specks of under 10 pixels at 512 aside), a
    ``plausible_disc`` (one, of a radius within :data:`retinagan.maps.clean.PLAUSIBLE_RADIUS`), ``no_speck`` of disc beside it, and all
    ``lesions_inside`` the circular field; and the ``lesions_outside``, a share of all lesion pixels."""
    components, count = ndimage.label(label_map == OD, structure=np.ones((3, 3), dtype=int))
    shares = np.bincount(components.ravel(), minlength=count + 1)[1:] / label_map.size
    discs = shares[shares >= SPECK_AREA]
    lesions = np.isin(label_map, LESIONS)
    outside = int((lesions & ~field_of_view(len(label_map))).sum())
    return {
        "one_disc": len(discs) == 1,
        "plausible_disc": len(discs) == 1 and is_plausible_disc(discs[0]),
        "no_speck": len(discs) == len(shares),
        "lesions_inside": outside == 0,
        "lesions_outside": outside / max(int(lesions.sum()), 1),
    }


def _count_real(real: MapSet) -> dict:
    return {
        "n": len(real.ids),
        "splits": dict(Counter(real.splits.tolist())),
        "labels": dict(Counter(real.labels.tolist())),
        "ungraded": int((real.grades < 0).sum()),
    }


def _by_grade(real: MapSet, theirs: Measured, ours: list[Measured], noted: dict | None) -> list[dict]:
    rows = []
    for grade in range(NUM_GRADES):
        chosen = real.grades == grade
        summary = summarise(theirs.chosen(chosen))
        predicted = chosen & (real.labels == "pseudo")
        if noted and grade >= 2 and predicted.any():
            _correct(summary, summarise(theirs.chosen(predicted)), noted)
        rows.append(
            {
                "grade": grade,
                "labels": dict(Counter(real.labels[chosen].tolist())),
                "real": summary,
                "masks": summarise(theirs.chosen(chosen & (real.labels == "masks"))),
                "generated": summarise(ours[grade]),
            }
        )
    return rows


def _correct(summary: dict, predicted: dict, noted: dict) -> None:
    """Add each lesion's ``corrected`` share to a summary of maps of which the ``predicted`` ones are a part."""
    for kind, lesion in summary["lesions"].items():
        share = corrected(predicted["lesions"][kind]["share"], noted[kind])
        if share is not None:
            difference = (share - predicted["lesions"][kind]["share"]) * predicted["n"]
            lesion["corrected"] = lesion["share"] + difference / summary["n"]


def _mild(found: list[Measurements]) -> dict:
    """Of maps asked for as grade 1: the share with microaneurysms, and with more than a trace of anything else."""
    others = [sum(sum(one.lesions[index].areas) for index in LESIONS if index != MA) for one in found]
    return {
        "with_aneurysms": np.mean([one.lesions[MA].count > 0 for one in found]),
        "more_than_a_trace": np.mean(np.array(others) > TRACE),
    }


def _distances(real: MapSet, theirs: Measured, ours: list[Measured]) -> list[dict]:
    # Whether there are lesions varies among all maps, where they lie among those that have some: the larger unit counts.
    scale = theirs.descriptors.std(0)
    if theirs.with_lesions.any():
        scale = np.maximum(scale, theirs.descriptors[theirs.with_lesions].std(0))
    scale[scale < 1e-9] = 1.0
    rows = []
    for grade in range(NUM_GRADES):
        chosen = real.grades == grade
        painted = bool((real.labels[chosen] == "disc").any())
        used = np.array([not (painted and name in ASSUMED) for name in DESCRIPTORS])
        pair = [(d / scale)[:, used] for d in (theirs.descriptors[chosen], ours[grade].descriptors)]
        n = int(chosen.sum())
        rows.append(
            {
                "grade": grade,
                "n": n,
                "descriptors": int(used.sum()),
                "frechet": frechet_ratio(*pair) if n >= 4 else None,
                "coverage": coverage(*pair),
                "neighbour": neighbour_distances(*pair) if n >= 2 else None,
            }
        )
    return rows


def _grade(real: MapSet, described: np.ndarray, descriptors: list[np.ndarray]) -> dict:
    """A grader fitted on training maps: its kappa on them (cross-validated), on held-out and on generated maps."""
    train = (real.splits == "train") & (real.grades >= 0)
    kinds = [g for g in range(NUM_GRADES) if len(set(real.eyes[train & (real.grades == g)])) >= grading.FOLDS]
    if len(kinds) < 2:
        return {"grades": kinds}
    usable = np.isin(real.grades, kinds)
    train &= usable
    predicted = grading.cross_validated(described[train], real.grades[train], real.eyes[train])
    grader = grading.fit_grader(described[train], real.grades[train])
    theirs = grading.confusion(real.grades[train], predicted, NUM_GRADES)
    asked = np.concatenate([np.full(len(descriptors[g]), g) for g in kinds])
    ours = grading.confusion(asked, grader.predict(np.concatenate([descriptors[g] for g in kinds])), NUM_GRADES)
    figures = {"grades": kinds}
    tables = {"real": theirs, "generated": ours}
    heldout = (real.splits == "heldout") & usable
    if heldout.any():
        given = grader.predict(described[heldout])
        tables["heldout"] = grading.confusion(real.grades[heldout], given, NUM_GRADES)
    for name, counts in tables.items():
        like = counts if name == "heldout" else theirs
        figures[name] = {
            "n": counts.sum(),
            "kappa": grading.weighted_kappa(grading.reweighted(counts, like)),
            "interval": grading.kappa_interval(counts, like),
            "confusion": counts,
        }
    return figures


def _nearest(real: MapSet, generated: list[np.ndarray], progress: bool) -> tuple[list[dict], dict]:
    """The nearest training map of each generated map with lesions, nearest first; figures, with those of real maps."""
    train = np.flatnonzero(real.splits == "train")
    finder = NearestMaps(real.maps[train])

    def found(maps: Iterable[np.ndarray], what: str, own: Iterable[int | None]) -> list[Match | None]:
        pairs = tqdm(list(zip(maps, own, strict=True)), unit="map", desc=f"nearest of {what}", disable=not progress)
        return [next(iter(finder.find(m, exclude=() if i is None else (i,))), None) for m, i in pairs]

    heldout = np.flatnonzero(real.splits == "heldout")
    baseline = {
        "heldout": found(real.maps[heldout], "held-out maps", [None] * len(heldout)),
        "train": found(real.maps[train], "training maps", range(len(train))),
    }
    matches = []
    for grade, maps in enumerate(generated):
        for seed, match in enumerate(found(maps, f"grade {grade}", [None] * len(maps))):
            if match is not None:
                pixels = int(np.isin(maps[seed], LESIONS).sum())
                place = int(train[match.index])
                matches.append(
                    {"grade": grade, "seed": seed, "iou": match.iou, "real": place, "id": real.ids[place],
                     "rotation": match.rotation, "mirrored": match.mirrored, "lesion_pixels": pixels}
                )  # fmt: skip
    matches.sort(key=lambda match: -match["iou"])
    ious = np.array([match["iou"] for match in matches])
    figures = {
        "train": len(train), "n": len(matches), "iou": quartiles(ious), "max": ious.max() if len(ious) else None,
        "copies": int((ious >= COPY_IOU).sum()), "nearest": matches[:8],
    }  # fmt: skip
    for name, all_found in baseline.items():
        known = [match.iou for match in all_found if match is not None]
        figures[f"real_{name}"] = {"n": len(known), "iou": quartiles(known), "max": max(known, default=None)}
    return matches, figures


def _plain(value):
    """Numpy's numbers and arrays as Python's, floats of six digits, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value
