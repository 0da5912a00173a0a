"""The training eyes of the photo generator: real photographs with the guidance that describes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from retinagan.data.augment import augment
from retinagan.data.dataset import PreparedDataset
from retinagan.eye.grown import shown_vessels
from retinagan.eye.light import (
    clear_retina,
    darken_fovea,
    draw_fovea,
    fit_light,
    light_field,
    measure_light,
    project_light,
)
from retinagan.eye.statistics import KEPT_EYES
from retinagan.eye.texture import measure_texture, texture_bands, texture_plane, vessel_gain
from retinagan.eye.tone import vessel_tone
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import EX, HE, MA, OD, SE


@dataclass
class Eye:
    """One training eye with its guidance at full size, as uint8/float16 to fit many in memory."""

    photo: np.ndarray
    label_map: np.ndarray
    guidance: np.ndarray
    """Planes of ``retinagan.models.spade.GUIDANCE_PLANES``, ``float16 (7, S, S)``."""
    made_texture: np.ndarray
    """What of the texture plane is noise, as vessels, lesions, disc and rim hide the photograph's own: ``float16 (S, S)``."""
    vessel_gain: float
    """What the ridge filter's vessels were multiplied by: how clear they are in this eye."""
    code: np.ndarray
    side: str
    fovea: tuple[float, float, float]
    """Its centre x, y and its radius, the disc's, in pixels."""
    targets: np.ndarray
    """Pixels (y, x) around which crops are worth taking: lesions and the disc."""
    has_lesions: bool


def measure_eyes(
    data: PreparedDataset, components: int, varied_copies: int, seed: int, coarse_slope: float
) -> tuple[list[Eye], dict[str, np.ndarray]]:
    """Light, texture and fovea of every eye and its varied copies (``retinagan.data.augment``).

    Eyes with predicted maps are measured and no more: such maps tell well enough where retina is clear, not what lesions look like.

    Args:
        data: the training split.
        components: numbers of the light's code.
        varied_copies: copies of every eye turned, scaled, shifted, mirrored and recoloured.
        seed: of the copies and of the texture's noise.
        coarse_slope: of ``retinagan.eye.statistics.EyeCorrections``.

    Returns:
        The eyes, and what new ones are drawn from: the buffers of ``retinagan.eye.statistics.EyeStatistics`` by name.
    """
    pictures = [
        (photo, label_map, vessels, _fovea(label_map, marked))
        for photo, label_map, vessels, marked in zip(data.photos, data.maps, data.vessels, data.fovea, strict=True)
    ]
    clears = [_clear(*picture[1:]) for picture in pictures]
    lights = [_measured_light(photo, label_map, clear) for (photo, label_map, *_), clear in zip(pictures, clears)]
    mean, basis = fit_light(np.stack(lights), components)
    originals = len(pictures)
    observed = [index for index, label in enumerate(data.labels) if label != "pseudo"]
    for copy in range(varied_copies):
        for index in observed:
            photo, label_map, vessels, _ = pictures[index]
            rng = torch.Generator().manual_seed(seed * 1_000_003 + copy * originals + index)
            tensors = (torch.from_numpy(t) for t in (photo.transpose(2, 0, 1).copy(), label_map, vessels))
            moved, label_map, vessels = (t.numpy() for t in augment(*tensors, rng))
            photo = np.ascontiguousarray(moved.transpose(1, 2, 0))
            fovea = _fovea(label_map, np.full(2, np.nan))  # where it went is read off the moved disc
            clear = _clear(label_map, vessels, fovea)
            pictures.append((photo, label_map, vessels, fovea))
            clears.append(clear)
            lights.append(_measured_light(photo, label_map, clear))
    codes = [project_light(light, mean, basis) for light in lights]
    shown = {*observed, *range(originals, len(pictures))}
    eyes, all_logs = [], []
    progress = tqdm(zip(pictures, clears, codes, strict=True), total=len(pictures), desc="eyes", leave=False)
    for index, ((photo, label_map, vessels, fovea), clear, code) in enumerate(progress):
        ridges, bands = vessels.astype(np.float32) / 255, texture_bands(photo, clear)
        logs = measure_texture(photo, label_map, ridges, clear, bands)
        if index < originals:
            all_logs.append(logs)
        if index not in shown:
            continue
        noise = np.random.default_rng([seed, index]).standard_normal(clear.shape, dtype=np.float32)
        texture, made = texture_plane(bands, logs, noise, coarse_slope)
        anatomy = find_anatomy(label_map)
        field = light_field(*map(torch.from_numpy, (code, mean, basis)), len(photo), anatomy.side).numpy()
        fovea_plane = draw_fovea(fovea[:2], fovea[2], len(photo))
        ridges, tone = shown_vessels(ridges, vessel_tone(photo, vessels, label_map), logs, None)
        guidance = np.stack([*darken_fovea(field, fovea_plane), ridges, np.zeros_like(ridges), texture, tone]).astype(
            np.float16
        )
        lesions = np.argwhere(np.isin(label_map, (EX, HE, SE, MA)))
        disc = np.argwhere(label_map == OD)
        targets = np.concatenate([lesions, disc[:: max(1, 4 * len(disc) // max(len(lesions), 1))]])
        eyes.append(
            Eye(
                photo,
                label_map,
                guidance,
                made.astype(np.float16),
                vessel_gain(logs),
                code,
                anatomy.side,
                fovea,
                targets,
                len(lesions) > 0,
            )
        )
    logs = np.stack(all_logs).astype(np.float64)
    covariance = np.cov(logs.T) if len(logs) > 1 else np.zeros((logs.shape[1],) * 2)
    factor = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(covariance)))
    # Evenly chosen, and repeated where there are fewer.
    kept = np.linspace(0, originals, KEPT_EYES, endpoint=False).astype(int)
    return eyes, {
        "light_mean": mean, "light_components": basis, "light_codes": np.stack(codes)[kept],
        "texture_mean": logs.mean(0), "texture_factor": factor, "texture_logs": logs[kept],
    }  # fmt: skip


def _fovea(label_map: np.ndarray, marked: np.ndarray) -> tuple[float, float, float]:
    """Its centre, as ``marked (2,)`` or where the map's disc lets one expect it, and its radius: the disc's."""
    anatomy = find_anatomy(label_map)
    x, y = (anatomy.fovea_x, anatomy.fovea_y) if np.isnan(marked).any() else map(float, marked)
    return x, y, anatomy.disc_radius


def _clear(label_map: np.ndarray, vessels: np.ndarray, fovea: tuple[float, float, float]) -> np.ndarray:
    return clear_retina(label_map, vessels.astype(np.float32) / 255, fovea=fovea)


def _measured_light(photo: np.ndarray, label_map: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Low-pass light ``(3, 32, 32)`` with the disc at the left."""
    light = measure_light(photo, clear)
    return light[:, :, ::-1] if find_anatomy(label_map).side == "right" else light
