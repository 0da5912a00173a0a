"""The rows of a model: what is asked of it while the bench runs."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack

import numpy as np

from retinagan.bench.plan import Plan
from retinagan.bench.processes import GRADE, PAIRS, ColdStart, cores, make_pair, workers
from retinagan.bench.timing import Work
from retinagan.eye.grown import make_eye
from retinagan.maps.labels import BG, HE, OD
from retinagan.pipeline import RetinaGAN

MAPS, PHOTOS = 5, 4
"""Of the page Random."""
STROKE_RADIUS = 1 / 64
"""Of a painted haemorrhage, as a share of the side."""


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

    works = [
        Work("map", lambda number: model.sample_maps(GRADE, [7 + number])),
        Work("photo", lambda number: model.render(maps[[number % MAPS]], [7 + number]), half=model.has_eye),
        Work("styles", lambda number: model.render(first.repeat(4, axis=0), range(4 * number, 4 * number + 4)),
             half=model.has_eye),
        Work("page", page, heavy=True, half=model.has_eye),
        Work("stroke", lambda number: model.render(with_stroke(first[0], number)[None], [7]), half=model.has_eye),
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


def with_stroke(label_map: np.ndarray, number: int) -> np.ndarray:
    """The map with a painted haemorrhage, at another place of the retina for each number."""
    size = len(label_map)
    angle = 2.4 * number  # the golden angle: places that do not repeat
    row, column = size * (0.5 + 0.25 * np.sin(angle)), size * (0.5 + 0.25 * np.cos(angle))
    rows, columns = np.ogrid[:size, :size]
    painted = (rows - row) ** 2 + (columns - column) ** 2 <= (STROKE_RADIUS * size) ** 2
    edited = label_map.copy()
    edited[painted & ~np.isin(label_map, (BG, OD))] = HE
    return edited
