"""Small models for tests: random weights, a side of 64, made in a moment."""

from __future__ import annotations

from pathlib import Path

import torch

from retinagan import checkpoints
from retinagan.eye.statistics import EyeCorrections
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig
from retinagan.resources import DEFAULT_MODEL

TINY_SIZE = 64
SHIPPED = EyeCorrections(**checkpoints.describe(DEFAULT_MODEL / "photos.safetensors")["config"]["corrections"])
"""The corrections of the shipped weights."""


def tiny_map_generator(seed: int = 0) -> MapGenerator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MapGenerator(MapGeneratorConfig(latent_dim=8, w_dim=8, mapping_layers=2, channels=(8, 8, 8, 8))).eval()


def tiny_photo_generator(seed: int = 0) -> PhotoGenerator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PhotoGenerator(
            PhotoGeneratorConfig(size=TINY_SIZE, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4)
        ).eval()


def tiny_model(folder: Path) -> Path:
    """A model folder with both tiny networks; returns ``folder``."""
    facts = {"data": "none (random weights for tests)"}
    checkpoints.save(folder / "maps.safetensors", "maps", tiny_map_generator(), facts)
    checkpoints.save(folder / "photos.safetensors", "photos", tiny_photo_generator(), facts)
    return folder
