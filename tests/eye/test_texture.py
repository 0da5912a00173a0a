"""Texture and clarity: what is measured on a photograph is what is drawn."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from retinagan.eye.light import clear_retina
from retinagan.eye.statistics import EyeCorrections
from retinagan.eye.texture import (
    TEXTURE_SIGMAS,
    TEXTURE_UNIT,
    VESSEL_UNIT,
    measure_texture,
    synthesise_texture,
    texture_bands,
    texture_plane,
    texture_spectrum,
    vessel_contrast,
    vessel_gain,
)
from retinagan.eye.tree.rasterise import grow_vessels
from retinagan.maps import labels
from tests.eye.test_light import SIZE, synthetic_eye

LOGS = np.log([0.006, 0.003, 0.003, 0.004, 0.006, VESSEL_UNIT])
"""About those of a real eye."""
SLOPE = EyeCorrections().coarse_slope


def noise(side=SIZE, seed=0):
    return np.random.default_rng(seed).standard_normal((side, side), dtype=np.float32)


def measured(photo, label_map, vessels, clear, noise):
    bands = texture_bands(photo, clear)
    logs = measure_texture(photo, label_map, vessels, clear, bands)
    return *texture_plane(bands, logs, noise, SLOPE), logs


def deviations(texture):
    """Of the five bands of a texture at a side of 512, in luminance."""
    blurred = [texture] + [ndimage.gaussian_filter(texture, s, mode="wrap") for s in TEXTURE_SIGMAS[1:]]
    return np.array([(fine - coarse).std() for fine, coarse in pairwise(blurred)]) * TEXTURE_UNIT


def no_vessels(side=SIZE):
    return np.zeros((side, side), dtype=np.float32)


def test_a_drawn_texture_has_the_amplitudes_that_it_is_asked_for():
    texture = synthesise_texture(noise(512), LOGS, None, SLOPE)
    # The plane that is measured lacks what is coarser than all bands; so does a drawn one.
    assert deviations(texture) == pytest.approx(np.exp(LOGS[:5]), rel=0.06)


def test_its_spectrum_is_smooth_and_falls():
    power = texture_spectrum(LOGS[:5], 1.0, SLOPE)
    assert (np.diff(power)[power[:-1] > power[-1] + 2] < 0).all()  # up to the grain's floor
    twice = texture_spectrum(LOGS[:5] + np.log(2), 1.0, SLOPE)
    assert twice - power == pytest.approx(2 * np.log(2), abs=1e-2)


def test_a_crop_has_the_texture_of_the_whole():
    crop = synthesise_texture(noise(192), LOGS, 1.0, SLOPE)
    assert crop.std() == pytest.approx(synthesise_texture(noise(512), LOGS, None, SLOPE).std(), rel=0.1)


def test_what_is_measured_is_what_is_drawn():
    photo, label_map = synthetic_eye((160, 160, 160), grain=5, size=512)
    clear = clear_retina(label_map, no_vessels(512))
    texture, _, logs = measured(photo, label_map, no_vessels(512), clear, noise(512))
    assert texture.shape == (512, 512) and logs.shape == (6,)
    assert texture[clear].std() * TEXTURE_UNIT == pytest.approx(5 / 255, rel=0.25)
    assert synthesise_texture(noise(512), logs, None, SLOPE).std() == pytest.approx(texture[clear].std(), rel=0.15)


def test_texture_tells_nothing_of_disc_and_lesions():
    photo, label_map = synthetic_eye((160, 120, 60))
    clear = clear_retina(label_map, no_vessels())
    texture, made, _ = measured(photo, label_map, no_vessels(), clear, noise(seed=1))
    disc = label_map == labels.OD
    assert not made[ndimage.binary_erosion(clear, iterations=2)].any() and made[disc].std() > 0.5 * texture[clear].std()
    assert abs(texture[disc].mean()) * TEXTURE_UNIT < 0.02  # the disc is 0.4 brighter than its surroundings


def test_coarse_texture_goes_on_below_vessels():
    label_map = labels.empty_map(256, None)
    waves = 20 * np.sin(np.arange(256) / 256 * 2 * np.pi * 20)  # 20 cycles a side
    photo = np.repeat((120 + waves + np.zeros((256, 1)))[..., None], 3, axis=2).round().astype(np.uint8)
    vessels = np.zeros((256, 256), dtype=np.float32)
    vessels[128:131] = 1
    photo[128:131] //= 2  # the dark vessel must not show
    texture, made, _ = measured(photo, label_map, vessels, clear_retina(label_map, vessels), noise(256))
    below, beside = texture[129] - made[129], texture[150]
    assert np.corrcoef(below[60:200], beside[60:200])[0, 1] > 0.95
    assert below[60:200].std() > 0.5 * beside[60:200].std()


@pytest.mark.parametrize("contrast", [0.05, 0.15])
def test_vessels_contrast_is_that_of_the_photograph(contrast):
    label_map = labels.empty_map(256, "left")
    vessels = grow_vessels(label_map, 3)
    photo = np.full((256, 256, 3), 0.5)
    photo[..., 1] -= contrast * vessels
    photo[label_map == labels.OD] = 0.9
    photo = (photo * (label_map != labels.BG)[..., None] * 255).round().astype(np.uint8)
    assert vessel_contrast(photo, label_map, vessels) == pytest.approx(contrast, rel=0.05)
    clear = clear_retina(label_map, vessels)
    logs = measured(photo, label_map, vessels, clear, noise(256))[-1]
    assert vessel_gain(logs) == pytest.approx(contrast / VESSEL_UNIT, rel=0.05)


def test_without_vessels_their_contrast_is_the_usual_one():
    photo, label_map = synthetic_eye((160, 120, 60))
    assert vessel_contrast(photo, label_map, no_vessels()) == VESSEL_UNIT
