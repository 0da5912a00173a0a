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
TINY_ORIGINAL = dict(
    size=TINY_SIZE,
    channels=(8, 8, 6),
    spade_hidden=(4, 4, 4),
    final_upsample=True,
    latent_dim=5,
    stem="latent",
    modulation_kernel=3,
    norm="instance",
    skip="spade",
    map_resize="nearest",
    guidance="none",
    output="sigmoid",
    final_kernel=4,
)
"""A photo generator of the original's architecture."""


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


def tiny_original_generator(seed: int = 0, gain: float = 3.0, **changed: object) -> PhotoGenerator:
    """The original's architecture; its weights are ``gain`` times PyTorch's, so that photographs are no grey planes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = PhotoGenerator(PhotoGeneratorConfig(**{**TINY_ORIGINAL, **changed})).eval()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            parameter.mul_(gain if name.startswith("blocks") else 1)
    return generator


def tiny_model(folder: Path) -> Path:
    """A model folder with both tiny networks; returns ``folder``."""
    facts = {"data": "none (random weights for tests)"}
    checkpoints.save(folder / "maps.safetensors", "maps", tiny_map_generator(), facts)
    checkpoints.save(folder / "photos.safetensors", "photos", tiny_photo_generator(), facts)
    return folder
