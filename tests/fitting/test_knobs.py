"""The step of the fit on figures that follow known laws, and those laws measured on drawn photographs."""

import dataclasses

import numpy as np
import pytest

from retinagan.eye.light import LUMINANCE
from retinagan.eye.texture import TEXTURE_BANDS, TEXTURE_UNIT, synthesise_texture
from retinagan.fitting.figures import CHANNELS, FIGURES, MEASURED, figures, measure
from retinagan.fitting.knobs import HOLD, KNOBS, corrected, slopes, spread, step, turned
from retinagan.maps.labels import BG, empty_map
from tests.helpers import SHIPPED

NAMES = [knob.name for knob in KNOBS]
LOGS = np.array([-4.6, -4.5, -4.4, -4.2, -4.0, np.log(0.08)])
"""A texture such as IDRiD's eyes have."""


def test_the_knobs_are_the_corrections():
    values, again = dataclasses.asdict(SHIPPED), dataclasses.asdict(corrected(turned(SHIPPED)))
    assert list(again) == list(values)
    for name, value in values.items():
        assert again[name] == pytest.approx(value, rel=1e-12), name
    outside = turned(SHIPPED) + 100
    assert all(knob.get(corrected(outside)) <= (np.log(knob.high) if knob.log else knob.high) for knob in KNOBS)


def test_a_step_brings_the_figures_together_as_far_as_they_tell():
    rng = np.random.default_rng(1)
    names = [figure.name for figure in FIGURES]
    slope = np.zeros((len(FIGURES), len(KNOBS)))
    for column, knob in enumerate(KNOBS):
        signs = rng.choice([-1, 1], len(knob.figures))
        slope[[names.index(n) for n in knob.figures], column] = signs * rng.uniform(0.5, 1.5, len(signs)) / knob.step
    # What no figure tells stays where it is.
    shares = rng.uniform(-1, 1, len(KNOBS)) * [bool(knob.figures) for knob in KNOBS]
    wanted = np.array([knob.step * share for knob, share in zip(KNOBS, shares, strict=True)])
    differences, scatter = -slope @ wanted, np.full(len(FIGURES), 0.01)
    untold = names.index("darkness of the fovea")
    differences[untold] = scatter[untold] = np.nan
    found, sd = step(differences, scatter, slope), spread(scatter, slope)
    told = np.array(NAMES) != "macula"
    assert found[told] == pytest.approx(wanted[told], rel=0.02, abs=2e-3)
    macula = KNOBS[NAMES.index("macula")]
    assert found[~told] == 0 and sd[~told] == pytest.approx(HOLD * macula.step)
    alone = names.index("power of band 1"), NAMES.index("texture_left[1]")  # no other figure tells this knob
    assert sd[alone[1]] == pytest.approx(0.01 / abs(slope[alone]), rel=0.01)


def textured(corrections, size: int = 256) -> np.ndarray:
    """A photograph of even light with the texture of these corrections, laid over it as the photo generator does."""
    noise = np.random.default_rng(2).standard_normal((size, size), dtype=np.float32)
    logs = LOGS + np.log([*corrections.texture_left, 1.0])
    plane = TEXTURE_UNIT * synthesise_texture(noise, logs, None, corrections.coarse_slope)
    photo = np.clip(0.5 + plane, 0, 1)[..., None].repeat(3, -1)
    photo[empty_map(size, None) == BG] = 0
    return np.round(photo * 255).astype(np.uint8)


def row(photo: np.ndarray) -> dict[str, float]:
    size = len(photo)
    label_map = empty_map(size, "left")
    found = measure(photo, label_map, np.zeros((size, size), np.uint8), (0.7 * size, 0.55 * size), 0.09 * size, 0.0)
    return dict(zip(MEASURED, found, strict=True))


def test_powers_follow_the_texture_as_the_slopes_say():
    slope = slopes(turned(SHIPPED), [], LOGS, 256)
    usual = row(textured(SHIPPED))
    columns = [f"power_{band}" for band in range(TEXTURE_BANDS)]
    rows = [FIGURES.index(f) for f in FIGURES if f.name.startswith("power of band")]
    for name in ("texture_left[1]", "texture_left[3]"):
        values = turned(SHIPPED)
        values[NAMES.index(name)] += 0.1
        moved = row(textured(corrected(values)))
        change = np.array([moved[column] - usual[column] for column in columns])
        told = np.isfinite(change)  # the finest bands lie beyond this size's frequencies
        assert told.sum() >= 4
        assert change[told] == pytest.approx(0.1 * slope[rows, NAMES.index(name)][told], rel=0.15, abs=0.02), name


def test_grain_and_mottle_have_the_colours_that_they_were_given():
    size, light = 256, np.array([0.6, 0.3, 0.1])
    rng = np.random.default_rng(3)
    grain, mottle = np.array([1.2, 1.0, 0.5]), np.array([0.7, 1.2, 1.6])
    grain, mottle = grain / (grain @ LUMINANCE), mottle / (mottle @ (LUMINANCE * light)) * (light @ LUMINANCE)
    coarse = synthesise_texture(
        rng.standard_normal((size, size), dtype=np.float32), LOGS - [3, 3, 3, 0, 0, 0], None, -2
    )
    swing = TEXTURE_UNIT * coarse[..., None] * mottle * light / (light @ LUMINANCE)
    values = light + swing + 0.02 * rng.standard_normal((size, size, 1)) * grain
    photo = np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
    photo[empty_map(size, None) == BG] = 0
    found = row(photo)
    assert np.exp([found[f"grain_{channel}"] for channel in CHANNELS]) == pytest.approx(grain, rel=0.05)
    assert np.exp([found[f"mottle_{channel}"] for channel in CHANNELS]) == pytest.approx(mottle, rel=0.1)


def test_figures_of_many_eyes():
    rows = np.full((4, len(MEASURED)), np.nan)
    rows[:, MEASURED.index("density")] = [0.08, 0.09, 0.1, 0.3]
    rows[:, MEASURED.index("clearness")] = [-3.0, -2.5, -2.0, -1.5]
    rows[:, MEASURED.index("calibre")] = [1.0, 1.1, 1.2, 1.3]
    rows[:, MEASURED.index("contrast")] = rows[:, MEASURED.index("clearness")] - 0.1
    for name, values in {"near": [1, 3, 0, 0], "near_area": [50, 50, 0, 0], "far": [8, 0, 0, 0]}.items():
        rows[:, MEASURED.index(name)] = values
    rows[:, MEASURED.index("far_area")] = [100, 100, 0, 0]
    found = dict(zip([figure.name for figure in FIGURES], figures(rows), strict=True))
    assert found["vessel density"] == pytest.approx(0.095)
    assert found["calibre by clearness"] == pytest.approx(0.2)
    assert found["vessel contrast"] == pytest.approx(-0.1)
    assert found["density beside lesions"] == pytest.approx(1.0)
    assert np.isnan(found["darkness of the fovea"])
