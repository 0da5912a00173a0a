"""The training eyes of the photo generator: real photographs with the guidance that describes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from retinagan.data.augment import augment
from retinagan.data.dataset import PreparedDataset
from retinagan.eye.light import fit_light, project_light
from retinagan.eye.measured import MeasuredEye
from retinagan.eye.planes import EyePlanes
from retinagan.eye.statistics import KEPT_EYES
from retinagan.eye.texture import vessel_gain
from retinagan.maps.labels import EX, HE, MA, OD, SE


@dataclass
class Eye:
    """One training eye with its guidance at full size, as uint8/float16 to fit many in memory."""

    photo: np.ndarray
    label_map: np.ndarray
    guidance: np.ndarray
    """Planes of ``retinagan.eye.planes.PLANES``, ``float16 (6, S, S)``."""
    made_texture: np.ndarray
    """What of the texture plane is noise, as vessels, lesions, disc and rim hide the photograph's own; ``float16``."""
    vessel_gain: float
    """What the ridge filter's vessels were multiplied by: how clear they are in this eye."""
    code: np.ndarray
    side: str
    fovea: tuple[float, float, float]
    """Its centre x, y and its radius, the disc's, in pixels."""
    targets: np.ndarray
    """Pixels (y, x) around which crops are worth taking: lesions and the disc."""
    has_lesions: bool

    @classmethod
    def of(cls, eye: MeasuredEye, planes: EyePlanes, made: np.ndarray, code: np.ndarray) -> Eye:
        lesions = np.argwhere(np.isin(eye.label_map, (EX, HE, SE, MA)))
        disc = np.argwhere(eye.label_map == OD)
        return cls(
            photo=eye.photo,
            label_map=eye.label_map,
            guidance=planes.stacked().astype(np.float16),
            made_texture=made.astype(np.float16),
            vessel_gain=vessel_gain(eye.texture),
            code=code,
            side=eye.anatomy.side,
            fovea=(*eye.fovea, eye.anatomy.disc_radius),
            targets=np.concatenate([lesions, disc[:: max(1, 4 * len(disc) // max(len(lesions), 1))]]),
            has_lesions=len(lesions) > 0,
        )


def measure_eyes(
    data: PreparedDataset, components: int, varied_copies: int, seed: int, coarse_slope: float
) -> tuple[list[Eye], dict[str, np.ndarray]]:
    """Light, texture and fovea of every eye and its varied copies (``retinagan.data.augment``).

    Eyes with predicted maps are measured and no more: such maps tell well enough where retina is clear, not what
    lesions look like.

    Args:
        data: the training split.
        components: numbers of the light's code.
        varied_copies: copies of every eye turned, scaled, shifted, mirrored and recoloured.
        seed: of the copies and of the texture's noise.
        coarse_slope: of ``retinagan.eye.statistics.EyeCorrections``.

    Returns:
        The eyes, and what new ones are drawn from: the buffers of ``retinagan.eye.statistics.EyeStatistics`` by name.
    """
    originals = [
        MeasuredEye.of(photo, label_map, vessels, None if np.isnan(fovea).any() else (float(fovea[0]), float(fovea[1])))
        for photo, label_map, vessels, fovea in zip(data.photos, data.maps, data.vessels, data.fovea, strict=True)
    ]
    observed = [index for index, label in enumerate(data.labels) if label != "pseudo"]
    copies = [
        _varied(originals[index], seed * 1_000_003 + copy * len(originals) + index)
        for copy in range(varied_copies)
        for index in observed
    ]
    mean, basis = fit_light(np.stack([eye.light for eye in originals]), components)
    # A number of its own for each: the noise of an eye shall not depend on which others are shown.
    shown = [*((index, originals[index]) for index in observed), *enumerate(copies, len(originals))]
    eyes = []
    for index, eye in tqdm(shown, desc="eyes", leave=False):
        code = project_light(eye.light, mean, basis)
        noise = np.random.default_rng([seed, index]).standard_normal(eye.clear.shape, dtype=np.float32)
        eyes.append(Eye.of(eye, *eye.planes(code, mean, basis, noise, coarse_slope), code))
    logs = np.stack([eye.texture for eye in originals]).astype(np.float64)
    covariance = np.cov(logs.T) if len(logs) > 1 else np.zeros((logs.shape[1],) * 2)
    factor = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(covariance)))
    # Evenly chosen, and repeated where there are fewer.
    kept = np.linspace(0, len(originals), KEPT_EYES, endpoint=False).astype(int)
    codes = np.stack([project_light(originals[index].light, mean, basis) for index in kept])
    return eyes, {
        "light_mean": mean, "light_components": basis, "light_codes": codes,
        "texture_mean": logs.mean(0), "texture_factor": factor, "texture_logs": logs[kept],
    }  # fmt: skip


def _varied(eye: MeasuredEye, seed: int) -> MeasuredEye:
    """A copy turned, scaled, shifted, mirrored and recoloured; where its fovea went is read off the moved disc."""
    rng = torch.Generator().manual_seed(seed)
    picture, classes, ridges = map(torch.from_numpy, (eye.photo.transpose(2, 0, 1).copy(), eye.label_map, eye.vessels))
    photo, label_map, vessels = (t.numpy() for t in augment(picture, classes, ridges, rng))
    return MeasuredEye.of(np.ascontiguousarray(photo.transpose(1, 2, 0)), label_map, vessels)
