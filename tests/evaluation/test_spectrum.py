"""Spectra: noise, waves and grids whose spectrum is known."""

import numpy as np
import pytest
from scipy import ndimage

from retinagan.evaluation.criteria import PEAK, POWER
from retinagan.evaluation.spectrum import (
    LUMINANCE,
    Spectra,
    Spectrum,
    bands,
    bands_to_nyquist,
    central_square,
    grid_peaks,
    power_ratios,
    power_spectrum,
    radial_power,
)

SIZE = 128


def within(ratios):
    return all(POWER.met(ratio) for ratio in ratios)


def mottle(seed, sigma=1.0, amplitude=20.0):
    """A grey photograph of smooth noise: ``uint8 (128, 128, 3)``."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIZE, SIZE)), sigma)
    return np.clip(128 + amplitude * noise / noise.std(), 0, 255).astype(np.uint8)[..., None].repeat(3, 2)


def test_the_square_lies_inside_the_field_and_holds_grids_of_up_to_16():
    assert central_square(np.zeros((512, 512))).shape == (352, 352)
    corner = np.zeros((512, 512), dtype=bool)
    corner[80, 80] = True
    assert central_square(corner)[0, 0] and np.hypot(256 - 80, 256 - 80) < 256
    for shape in ((120, 120), (512, 256)):
        with pytest.raises(ValueError, match="divides by 16"):
            central_square(np.zeros(shape))


def test_white_noise_has_its_variance_as_power_everywhere():
    power = np.mean([power_spectrum(3 * np.random.default_rng(s).normal(size=(SIZE, SIZE))) for s in range(60)], 0)
    assert radial_power(power, SIZE) == pytest.approx(9, rel=0.15)


def test_a_wave_lies_in_its_band_alone():
    y = np.arange(SIZE)[:, None] + np.zeros(SIZE)
    edges = bands(SIZE)
    radial = radial_power(power_spectrum(np.sin(2 * np.pi * 12 * y / SIZE)), SIZE)
    assert np.argmax(radial) == np.searchsorted(edges, 12) - 1
    assert radial[-1] < 1e-3 * radial.max() and radial[0] < 0.02 * radial.max()


def test_bands_run_from_four_cycles_to_half_the_nyquist_frequency():
    edges = bands(512)
    assert edges[0] == 4 and edges[-1] == 128 and len(edges) == 16
    assert edges[1:] / edges[:-1] == pytest.approx(2 ** (1 / 3))


def test_further_bands_run_to_the_nyquist_frequency_and_one_ends_at_nine_tenths_of_it():
    edges = bands_to_nyquist(512)
    assert np.array_equal(edges[:16], bands(512)) and len(edges) == 20
    assert edges[15:] == pytest.approx([128, 161.27, 203.19, 230.4, 256], abs=0.01)
    y = np.arange(SIZE)[:, None] + np.zeros(SIZE)
    radial = radial_power(power_spectrum(np.sin(2 * np.pi * 60 * y / SIZE)), SIZE, bands_to_nyquist(SIZE))
    assert np.argmax(radial) == len(radial) - 1  # 60 of 64 cycles: beyond 0.9


def grainy(seed, grain=(0, 0, 0)):
    """Smooth noise under white noise of so many levels in each channel."""
    noise = np.random.default_rng(1000 + seed).normal(size=(SIZE, SIZE, 3))
    return np.clip(mottle(seed, 0.7) + noise * grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("grain", "failed"),
    [
        ((2, 2, 2), []),
        ((2, 2, 8), ["red, green and blue"]),  # blue counts for a tenth of luminance
        ((12, 12, 12), ["luminance within", "red, green and blue"]),  # mottle has little power up there
    ],
)
def test_grain_beyond_half_of_the_nyquist_frequency_is_judged(grain, failed):
    real = Spectra.of((grainy(s, (2, 2, 2)) for s in range(40)), SIZE)
    generated = Spectra.of((grainy(100 + s, grain) for s in range(40)), SIZE)
    listed = Spectrum.of(real, generated).criteria()
    assert [one.name.split(" within")[0] for one in listed[1:3]] == ["luminance", "red, green and blue"]
    assert [name for name in failed if any(name in one.name for one in listed[1:3] if not one.met)] == failed
    assert sum(not one.met for one in listed[1:3]) == len(failed)


def test_ratios_find_the_band_that_lacks_power():
    real = Spectra.of((mottle(s) for s in range(30)), SIZE)
    same = Spectra.of((mottle(100 + s) for s in range(30)), SIZE)
    blurred = Spectra.of((ndimage.gaussian_filter(mottle(100 + s), (1, 1, 0)) for s in range(30)), SIZE)
    assert within(power_ratios(real.stack(), same.stack())[0, 1:])
    ratios = power_ratios(real.stack(), blurred.stack())[0]
    assert not within(ratios) and ratios[-1] < 0.2 and ratios[1] > 0.7
    louder = Spectra.of((mottle(100 + s, amplitude=28.3) for s in range(30)), SIZE)
    assert power_ratios(real.stack(), louder.stack())[0, 2:] == pytest.approx(2, rel=0.25)


def test_planes_are_luminance_and_the_three_channels():
    photo = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    photo[..., 1] = mottle(0)[..., 1]
    luminance, red, green, blue = Spectra.of([photo], SIZE).stack()[0]
    assert red.max() < 1e-12 and blue.max() < 1e-12
    assert luminance == pytest.approx(green * LUMINANCE[1] ** 2)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_grid_makes_a_peak_at_its_own_frequency_and_noise_makes_none(factor):
    clean = [mottle(s) for s in range(64)]
    rows = np.arange(SIZE) % factor == 0
    gridded = [np.clip(p + 3.0 * factor * rows[:, None, None], 0, 255).astype(np.uint8) for p in clean]
    real, bad = (grid_peaks(Spectra.of(photos, SIZE).power, factor) for photos in (clean, gridded))
    assert max(real.values()) < PEAK.most
    assert bad[1, 0] > 2 * PEAK.most  # rows every `factor` pixels
    assert bad[0, 1] < PEAK.most


def test_grid_frequencies_cover_half_the_plane_once():
    keys = list(grid_peaks(np.ones((88, 88)), 4))
    assert len(keys) == len(set(keys))
    opposite = {((-i) % 4, (-j) % 4) for i, j in keys} | {(i % 4, j % 4) for i, j in keys}
    assert opposite == {(i, j) for i in range(4) for j in range(4)} - {(0, 0)}
    with pytest.raises(ValueError, match="grid of 16"):
        grid_peaks(np.ones((88, 88)), 16)


def test_photographs_of_another_size_are_refused():
    with pytest.raises(ValueError, match="expected"):
        Spectra(SIZE).add(np.zeros((64, 64, 3), dtype=np.uint8))


def test_sets_can_be_joined():
    photos = [mottle(s) for s in range(4)]
    joined = Spectra.of(photos[:1], SIZE)
    joined.include(Spectra.of(photos[1:], SIZE))
    whole = Spectra.of(photos, SIZE)
    assert np.array_equal(joined.stack(), whole.stack()) and joined.power == pytest.approx(whole.power)
