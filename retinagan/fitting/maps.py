"""Fits to a map generator's weights how its maps are drawn, and which of them are kept, on real training maps.

First what is added to each lesion's logits: training teaches shares of area, and where a class must have the largest
share, small and uncertain lesions drown. Then the selection (:mod:`retinagan.maps.selection`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq
from tqdm import tqdm

from retinagan import checkpoints
from retinagan.evaluation.map_set import read_map_set
from retinagan.evaluation.report import markdown, number
from retinagan.maps.descriptors import DESCRIPTORS, Measured
from retinagan.maps.labels import CLASSES, LESIONS, NUM_CLASSES
from retinagan.maps.selection import JUDGED, KEEP_ALL, MapSelection, chosen
from retinagan.pipeline import RetinaGAN
from retinagan.seeds import NUM_GRADES

FIRST_SEED = 10**12
"""Of the maps that are held against real ones: none that anybody evaluates."""
BIASED, BIAS_ROUNDS, BIAS_STEP, MOST_BIAS = 60, 8, 0.5, 2.0
"""Maps a grade that tell the bias, and how it is found: rounds, the step for each e-fold of area that is lacking, and
its bound."""
KEPT = 0.6
"""Share of the drawn maps that a grade keeps: its ceiling is set so. A map costs one over it."""
LEAST_MAPS = 20
"""Real maps of a grade below which its maps are all kept."""
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Of the logistic regression's regularisation (C), of which cross-validation chooses."""
FOLDS = 5
AMOUNTS = ("count", "area", "largest")
"""Endings of the descriptors of which no map may hold more than all real ones of its grade; the others may be up to
:data:`ANY`."""
ANY = 1e9
TOLD = tuple(name for name in DESCRIPTORS if name.endswith(("count", "area")))
"""Descriptors whose medians the table shows."""

Bias = tuple[float, float, float, float]


@dataclass(frozen=True)
class MapsFit:
    """What was found, and of each grade with enough ``real`` maps ``{descriptor: [real, drawn, kept]}``, the medians of
    :data:`TOLD`; ``bias``: ``MapGeneratorConfig.lesion_bias``."""

    bias: Bias
    selection: MapSelection
    real: dict[int, int]
    medians: dict[int, dict[str, list[float]]]


def fit_maps(
    data: str | Path,
    model_folder: str | Path,
    count: int = 400,
    *,
    write: bool = True,
    device: str = "auto",
    progress: bool = False,
) -> MapsFit:
    """Fit lesion bias and selection of ``model_folder`` to the training maps of ``data``; write them into its
    maps.safetensors.

    Args:
        data: folder written by ``prepare``, of the model's size or larger, with labelled training eyes of each grade.
        model_folder: whose maps are drawn, without its present bias and selection.
        count: drawn maps a grade.
        write: whether the checkpoint is changed.

    Raises:
        ValueError: smaller or no maps in ``data``, or no grade with :data:`LEAST_MAPS` of them and lesions.
        FileNotFoundError: no such folder or file.
    """
    folder = Path(model_folder)
    model = RetinaGAN.from_pretrained(folder, device)
    real = read_map_set(data, model.size)
    by_grade = {
        grade: Measured.of(real.maps[usable], model.size).descriptors
        for grade in range(1, NUM_GRADES)
        if (usable := (real.grades == grade) & (real.splits == "train")).sum() >= LEAST_MAPS
    }
    if not by_grade:
        raise ValueError(f"no grade above 0 has {LEAST_MAPS} training maps in {data}; prepare it with --pseudo-label")
    generator = model.map_generator
    generator.config = dataclasses.replace(generator.config, lesion_bias=(0.0, 0.0, 0.0, 0.0), selection=KEEP_ALL)
    bias = _fitted_bias(model, by_grade, progress)
    generator.config = dataclasses.replace(generator.config, lesion_bias=bias)
    drawn = {}
    with tqdm(total=count * len(by_grade), unit="map", desc="draw", disable=not progress) as bar:
        for grade in by_grade:
            maps = []
            for seed in range(FIRST_SEED, FIRST_SEED + count):
                maps.append(model.sampler.plausible(grade, seed, 1.0)[0])
                bar.update()
            drawn[grade] = Measured.of(maps, model.size).descriptors
    selection = _selection(by_grade, drawn)
    if write:
        path = folder / "maps.safetensors"
        checkpoints.change_config(path, lesion_bias=bias, selection=dataclasses.asdict(selection))
    medians = {}
    for grade, rows in drawn.items():
        kept = selection.kept(grade, chosen(rows))
        sets = ((by_grade[grade], None), (rows, None), (rows, kept))
        columns = {name: DESCRIPTORS.index(name) for name in TOLD}
        medians[grade] = {name: [_median(of[:, at], weights) for of, weights in sets] for name, at in columns.items()}
    return MapsFit(bias, selection, {grade: len(rows) for grade, rows in by_grade.items()}, medians)


@torch.inference_mode()
def _fitted_bias(model: RetinaGAN, real: dict[int, np.ndarray], progress: bool) -> Bias:
    """What brings the median area of each lesion in drawn maps to that in real ones, whose descriptors ``(N, 22)`` are
    given by grade: a number a class, as the mean over the grades whose median real map has it."""
    columns = [DESCRIPTORS.index(f"{CLASSES[kind].short} area") for kind in LESIONS]
    wanted = {grade: np.median(rows[:, columns], 0) for grade, rows in real.items()}
    generator, sampler, bias = model.map_generator, model.sampler, np.zeros(len(LESIONS))
    logits = {
        grade: [
            generator.synthesis(*sampler.style(grade, FIRST_SEED - 1 - number, 1.0)).half() for number in range(BIASED)
        ]
        for grade in tqdm(real, unit="grade", desc="logits", disable=not progress)
    }
    for _ in tqdm(range(BIAS_ROUNDS), unit="round", desc="bias", disable=not progress):
        generator.config = dataclasses.replace(generator.config, lesion_bias=_bias(bias))
        lacking = np.zeros((len(LESIONS), 2))
        for grade, drawn in logits.items():
            counts = [np.bincount(sampler.classes(one.float()).ravel(), minlength=NUM_CLASSES) for one in drawn]
            areas = np.median(np.array(counts)[:, list(LESIONS)], 0) * (512 / model.size) ** 2
            has = wanted[grade] > 0
            lacking += np.stack([np.where(has, wanted[grade] - np.log1p(areas), 0), has], axis=1)
        step = BIAS_STEP * lacking[:, 0] / np.maximum(lacking[:, 1], 1)
        bias = np.clip(bias + np.clip(step, -1, 1), -MOST_BIAS, MOST_BIAS)
    return _bias(bias)


def _bias(values: np.ndarray) -> Bias:
    ex, he, se, ma = values.round(3).tolist()
    return ex, he, se, ma


def _selection(real: dict[int, np.ndarray], drawn: dict[int, np.ndarray]) -> MapSelection:
    """The odds of real maps against drawn ones, from all their descriptors ``(N, 22)`` by grade."""
    everything = chosen(np.concatenate([*real.values(), *drawn.values()]))
    deviation = everything.std(0)
    none = np.zeros((NUM_GRADES, everything.shape[1]))
    selection = MapSelection(
        mean=tuple(everything.mean(0).tolist()),
        deviation=tuple(np.where(deviation > 1e-9, deviation, 1.0).tolist()),
        offset=(0.0,) * NUM_GRADES, linear=_rows(none), squares=_rows(none), ceiling=(0.0,) * NUM_GRADES,
        highest=_rows(none + ANY),
    )  # fmt: skip
    linear, squares, offset, ceiling = none.copy(), none.copy(), none[:, 0].copy(), none[:, 0].copy()
    highest, amounts = none + ANY, [name.endswith(AMOUNTS) for name in JUDGED]
    for grade in real:
        x = selection.standardised(chosen(np.concatenate([real[grade], drawn[grade]])))
        is_real = np.arange(len(x)) < len(real[grade])
        fitted = _classifier().fit(np.concatenate([x, x**2], axis=1), is_real).best_estimator_
        linear[grade], squares[grade] = np.split(fitted.coef_[0], 2)
        offset[grade] = fitted.intercept_[0]
        highest[grade, amounts] = chosen(real[grade]).max(0)[amounts]
    selection = dataclasses.replace(
        selection, offset=tuple(offset.tolist()), linear=_rows(linear), squares=_rows(squares)
    )
    for grade in real:
        ceiling[grade] = ceiling_of(selection.log_odds(grade, chosen(drawn[grade])))
    return dataclasses.replace(selection, ceiling=tuple(ceiling.tolist()), highest=_rows(highest))


def _rows(table: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, table.tolist()))


def _classifier() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    regression = LogisticRegression(class_weight="balanced", max_iter=2000)
    return GridSearchCV(regression, {"C": STRENGTHS}, cv=folds, scoring="neg_log_loss")


def ceiling_of(log_odds: np.ndarray) -> float:
    """The ceiling at which :data:`KEPT` of maps with these log odds are kept."""

    def excess(ceiling: float) -> float:
        return float(np.exp(np.minimum(log_odds - ceiling, 0.0)).mean()) - KEPT

    low = float(log_odds.min())
    return float(brentq(excess, low, low + 50.0 + float(np.ptp(log_odds))))


def _median(logs: np.ndarray, weights: np.ndarray | None) -> float:
    """Of counts or areas that are given as log(1 + x)."""
    if weights is not None and not weights.any():  # none is kept: so few, or so unlike real ones
        return float("nan")
    return float(np.expm1(np.quantile(logs, 0.5, weights=weights, method="inverted_cdf")))


def table(fit: MapsFit) -> str:
    """The bias, and medians of lesions by grade: in real maps, in drawn ones, and in those that are kept."""
    rows = {}
    for grade, medians in fit.medians.items():
        for at, who in enumerate(("real", "drawn", "kept")):
            told = f"grade {grade}, {who}" + (f" ({fit.real[grade]})" if who == "real" else "")
            rows[told] = {name: number(values[at]) for name, values in medians.items()}
    added = {"all grades": {CLASSES[kind].short: number(b) for kind, b in zip(LESIONS, fit.bias, strict=True)}}
    tables = [markdown(added, "added to logits"), markdown(rows, "median of a map: lesions; pixels at 512")]
    return "\n".join(line for lines in tables for line in lines)
