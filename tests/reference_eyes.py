"""Drawn reference photographs whose light, vessels, disc and fovea are known, and a small model that can show them."""

from __future__ import annotations

import numpy as np
import torch

from retinagan.eye.light import draw_fovea
from retinagan.eye.tree.rasterise import grow_vessels
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG, OD, empty_map
from retinagan.pipeline import RetinaGAN
from tests.helpers import tiny_map_generator, tiny_photo_generator

RED, BLUE_RED = (190, 90, 40), (140, 60, 70)


def reference_eye(
    size: int = 256, side: str = "left", colour: tuple[int, int, int] = RED, tree: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Photograph ``uint8 (size, size, 3)`` and its map: a grown tree, a bright disc, a dark fovea, a little noise."""
    label_map = empty_map(size, side)
    anatomy = find_anatomy(label_map)
    photo = np.zeros((size, size, 3), dtype=np.float32) + colour
    photo *= 1 - 0.35 * draw_fovea((anatomy.fovea_x, anatomy.fovea_y), 1.4 * anatomy.disc_radius, size)[..., None]
    photo[label_map == OD] = (240, 200, 140)
    photo *= 1 - 0.45 * grow_vessels(label_map, tree)[..., None]
    photo += np.random.default_rng(0).normal(0, 1.5, photo.shape)
    photo[label_map == BG] = 0
    return np.clip(photo, 0, 255).astype(np.uint8), label_map


def eye_model(seed: int = 0) -> RetinaGAN:
    """Both tiny networks, with light components that can show other colours and a spread of textures."""
    photos = tiny_photo_generator(seed)
    generator = torch.Generator().manual_seed(seed)
    components = torch.zeros_like(photos.eye.light_components)
    components[0, 0], components[1, 1], components[2, 2] = 0.15, 0.15, 0.15  # even red, green, blue
    components[3] = 0.05 * torch.linspace(-1, 1, 32)  # falls from left to right
    photos.eye.light_components.copy_(components)
    photos.eye.texture_factor.copy_(0.1 * torch.eye(6) + 0.02 * torch.rand(6, 6, generator=generator))
    with torch.no_grad():  # light first, as a trained network has it, and the untrained one's detail faint
        photos.output.weight *= 0.2
        photos.output.bias *= 0.2
    return RetinaGAN(tiny_map_generator(seed), photos, name="tiny")
