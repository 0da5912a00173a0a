"""The rows of a model: what is asked of it while the bench runs."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack

import numpy as np

from retinagan.bench.plan import Comparison, Plan
from retinagan.bench.processes import GRADE, PAIRS, ColdStart, cores, make_pair, workers
from retinagan.bench.timing import Work
from retinagan.bench.training_row import TrainingStep
from retinagan.eye.grown import make_eye
from retinagan.maps.labels import BG, HE, OD
from retinagan.pipeline import RetinaGAN
from retinagan.redraw import Redraw

MAPS, PHOTOS = 5, 4
"""Of the page Random."""
STYLE = 7
"""Of the photographs that strokes are painted on."""
STROKE_RADIUS = 1 / 64
"""Of a painted haemorrhage, as a share of the side."""
TRAINING_EYES = 2
COMPARED = 5
"""Strokes whose redrawn photographs are compared with full renders."""


def plan_model(plan: Plan, model: RetinaGAN, folder: str, wanted: Collection[str], open_until_done: ExitStack) -> None:
    """Add the works of the rows in ``wanted``; worker processes stay until ``open_until_done`` is closed."""
    photos = model.photo_generator
    maps = model.sample_maps(GRADE, range(7, 7 + MAPS))
    first = maps[:1]

    def eye(number: int) -> None:
        make_eye(maps[number % MAPS], 7 + number, photos.eye, photos.config.corrections, photos.config.latent_std)

    def page(number: int) -> None:
        shown = model.sample_maps(GRADE, range(MAPS))
        model.render(shown.repeat(PHOTOS, axis=0), range(MAPS * PHOTOS * number, MAPS * PHOTOS * (number + 1)))

    def part_of_page() -> None:
        model.render(model.sample_maps(GRADE, [7]).repeat(PHOTOS, axis=0), range(PHOTOS))

    works = [
        Work("map", lambda number: model.sample_maps(GRADE, [7 + number])),
        Work("photo", lambda number: model.render(maps[[number % MAPS]], [7 + number]), half=model.has_eye),
        Work("styles", lambda number: model.render(first.repeat(4, axis=0), range(4 * number, 4 * number + 4)),
             half=model.has_eye),
        Work("page", page, part_of_page, MAPS, heavy=True, half=model.has_eye),
        Work("stroke", lambda number: model.render(with_stroke(first[0], number)[None], [STYLE]), half=model.has_eye),
    ]  # fmt: skip
    plan.add(*(work for work in works if work.name in wanted))
    if "eye" in wanted and model.has_eye:
        plan.add(Work("eye", eye))
    elif "eye" in wanted:
        plan.skipped["eye"] = f"the model {model.name} has no eye"
    if "large" in wanted and model.superres is not None:
        size = model.superres.config.size
        plan.add(Work("large", lambda number: model.render(maps[[number % MAPS]], [7 + number], size), half=True))
    elif "large" in wanted:
        plan.skipped["large"] = f"the model {model.name} has no superres.safetensors, the last stage"
    if "redraw" in wanted and model.has_eye:
        plan.add(Work("redraw", Strokes(model, first[0]), half=True))
    elif "redraw" in wanted:
        plan.skipped["redraw"] = f"the model {model.name} has no eye: all of a photograph depends on all of its map"
    if {"stroke", "redraw"} <= set(wanted) and model.has_eye:
        title = "a stroke's redraw against the full render"
        plan.comparisons.append(
            Comparison(title, ("stroke", "redraw"), lambda: redraw_difference(model, first[0]), "/255")
        )
    if "train" in wanted and model.has_eye:
        plan.add(Work("train", TrainingStep(model, maps[:TRAINING_EYES]), heavy=True, half=True))
    elif "train" in wanted:
        plan.skipped["train"] = f"the model {model.name} has no eye, which the training of photos needs"
    if "cold" in wanted:
        cold = ColdStart(folder, str(model.device))
        plan.memory = cold.memory
        plan.add(Work("cold", cold, lambda: model.render(model.sample_maps(GRADE, [7]), [7]), heavy=True, half=True))
    for count in (1, 2):
        if (name := f"pairs-{count}") not in wanted:
            continue
        if model.device.type != "cpu":
            plan.skipped[name] = f"worker processes share out processor cores; this run is on {model.device}"
        elif cores() < count:
            plan.skipped[name] = f"{count} workers need {count} processor cores; this process may use {cores()}"
        else:
            ready = open_until_done.enter_context(workers(count, folder))
            plan.add(Work(name, ready, lambda: make_pair(model, 0), units=PAIRS, heavy=True))


class Strokes:
    """Strokes on a map, one upon the other, and the photograph that follows them."""

    def __init__(self, model: RetinaGAN, label_map: np.ndarray) -> None:
        self.label_map, self.redraw = label_map, Redraw(model, STYLE)
        self.redraw.update(label_map)

    def __call__(self, number: int) -> np.ndarray:
        self.label_map = with_stroke(self.label_map, number)
        return self.redraw.update(self.label_map)


def redraw_difference(model: RetinaGAN, label_map: np.ndarray) -> float:
    """The most that the photographs of :data:`COMPARED` strokes differ from full renders of the same maps, of 255."""
    strokes = Strokes(model, label_map)
    differences = []
    for number in range(COMPARED):
        redrawn = strokes(number).astype(int)
        differences.append(np.abs(redrawn - model.render(strokes.label_map[None], [STYLE])[0]).max())
    return float(max(differences))


def with_stroke(label_map: np.ndarray, number: int) -> np.ndarray:
    """The map with a painted haemorrhage, at another place of the retina for each number."""
    size, angle = len(label_map), 2.4 * number  # the golden angle: places that do not repeat
    distance = 0.38 * np.sqrt(0.618 * (number + 1) % 1)
    row, column = size * (0.5 + distance * np.sin(angle)), size * (0.5 + distance * np.cos(angle))
    rows, columns = np.ogrid[:size, :size]
    painted = (rows - row) ** 2 + (columns - column) ** 2 <= (STROKE_RADIUS * size) ** 2
    edited = label_map.copy()
    edited[painted & ~np.isin(label_map, (BG, OD))] = HE
    return edited
