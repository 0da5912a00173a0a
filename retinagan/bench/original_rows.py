"""The rows of the original's architecture, with random weights: times do not depend on them."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import numpy as np
import torch
import yaml

from retinagan.bench.model_rows import with_stroke
from retinagan.bench.names import TITLES
from retinagan.bench.plan import Comparison, Plan
from retinagan.bench.processes import GRADE
from retinagan.bench.timing import Work
from retinagan.maps.labels import one_hot
from retinagan.models.neighbourhoods import SeenNeighbourhoods
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig
from retinagan.pipeline import RetinaGAN
from retinagan.resources import CONFIGS

MAPS, STYLES = 3, 4


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
    if "original-map" in wanted:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            own = RetinaGAN(MapGenerator(MapGeneratorConfig.original()), model.photo_generator, shipped.device)
        plan.add(Work("original-map", lambda number: own.sample_maps(GRADE, [7 + number], clean=False)))
    photographs = Photographs(model)
    sparse = [
        Work("original-sparse", photographs.sparse),
        Work("original-styles", photographs.styles, units=STYLES, heavy=True),
        Work("original-stroke", photographs.stroke),
    ]
    for work in (Work("original-photo", photographs.dense), *sparse):
        if work.name not in wanted:
            continue
        if work in sparse and model.device.type != "cpu":
            plan.skipped[work.name] = f"neighbourhoods are looked up on the CPU alone; this run is on {model.device}"
            continue
        plan.add(work)
        if work in sparse and "original-photo" in wanted:
            title = f"{TITLES[work.name]}, against dense"
            plan.comparisons.append(
                Comparison(title, ("original-photo", work.name), partial(photographs.difference, work.name))
            )


class Photographs:
    """A network's photographs of real-looking maps, by dense convolutions or by way of the maps' neighbourhoods."""

    def __init__(self, model: RetinaGAN) -> None:
        self.model = model
        self.maps = model.sample_maps(GRADE, range(7, 7 + MAPS))
        self.edited, self.seen = self.maps[0], SeenNeighbourhoods()

    def dense(self, number: int) -> torch.Tensor:
        return self._rendered(self.maps[number % MAPS], number, None)

    def sparse(self, number: int) -> torch.Tensor:
        """Of a map that was not seen before."""
        return self._rendered(self.maps[number % MAPS], number, SeenNeighbourhoods())

    def styles(self, number: int) -> None:
        """Several of a map that was not seen before."""
        seen = SeenNeighbourhoods()
        for style in range(STYLES):
            self._rendered(self.maps[number % MAPS], STYLES * number + style, seen)

    def stroke(self, number: int) -> torch.Tensor:
        """Of a map that was seen before the last stroke."""
        self.edited = with_stroke(self.edited, number)
        return self._rendered(self.edited, 0, self.seen)

    def difference(self, name: str) -> float:
        """The most that dense and sparse differ, in 0..1, in the way that a row goes."""
        label_map, seen = self.maps[0], SeenNeighbourhoods()
        if name != "original-sparse":  # its neighbourhoods, or most of them, were seen in another photograph
            self._rendered(label_map, 0, seen)
        if name == "original-stroke":
            label_map = with_stroke(label_map, 0)
        dense, sparse = self._rendered(label_map, 1, None), self._rendered(label_map, 1, seen)
        return (dense - sparse).abs().max().item()

    @torch.inference_mode()
    def _rendered(self, label_map: np.ndarray, style: int, seen: SeenNeighbourhoods | None) -> torch.Tensor:
        network, device = self.model.photo_generator, self.model.device
        config = network.config
        latent = torch.randn(1, config.latent_dim, generator=torch.Generator().manual_seed(style)) * config.latent_std
        onehot = one_hot(label_map[None]).to(device, memory_format=torch.channels_last)
        return network(onehot, latent.to(device), seen=seen)
