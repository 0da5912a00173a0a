"""The rows of the original's architecture, with random weights: times do not depend on them."""

from __future__ import annotations

from collections.abc import Collection

import torch
import yaml

from retinagan.bench.plan import Plan
from retinagan.bench.processes import GRADE
from retinagan.bench.timing import Work
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig
from retinagan.pipeline import RetinaGAN
from retinagan.resources import CONFIGS

MAPS = 3


def original_photo_generator() -> PhotoGenerator:
    """The original's photo generator, 1024², with random weights."""
    network = yaml.safe_load((CONFIGS / "original-photos.yaml").read_text("utf-8"))["network"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PhotoGenerator(PhotoGeneratorConfig(**network))


def plan_original(
    plan: Plan, shipped: RetinaGAN, wanted: Collection[str], photo_generator: PhotoGenerator | None = None
) -> None:
    """Add the works of the rows in ``wanted``.

    Random weights draw no map that looks like one: the ``shipped`` model's map generator gives the maps that are
    rendered, brought to the photographs' size as the pipeline does it.
    """
    model = RetinaGAN(shipped.map_generator, photo_generator or original_photo_generator(), shipped.device)
    maps = model.sample_maps(GRADE, range(7, 7 + MAPS))
    if "original-map" in wanted:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            own = RetinaGAN(MapGenerator(MapGeneratorConfig.original()), model.photo_generator, shipped.device)
        plan.add(Work("original-map", lambda number: own.sample_maps(GRADE, [7 + number], clean=False)))
    if "original-photo" in wanted:
        plan.add(Work("original-photo", lambda number: model.render(maps[[number % MAPS]], [7 + number])))
