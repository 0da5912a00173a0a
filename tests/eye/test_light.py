"""Light and texture: what is measured is what is drawn."""

import numpy as np
import pytest
import torch

from retinagan.eye.grown import draw_light_and_texture, eye_seed, hidden_by_lesions, make_eye, without_lesions
from retinagan.eye.light import (
    FOVEA_DEPTH,
    clear_retina,
    darken_fovea,
    draw_fovea,
    fit_light,
    light_field,
    measure_light,
    project_light,
)
from retinagan.eye.planes import pick
from retinagan.eye.statistics import EyeCorrections, EyeStatistics
from retinagan.maps import labels

SIZE = 128
NONE = EyeCorrections()


def synthetic_eye(colour, seed=0, grain=3.0, size=SIZE):
    rng = np.random.default_rng(seed)
    label_map = labels.empty_map(size, "left")
    x = np.linspace(0.6, 1.0, size)[None, :, None]
    photo = np.asarray(colour, dtype=float) * x + rng.normal(0, grain, (size, size, 1))
    photo = np.where((label_map == labels.OD)[..., None], 250, np.broadcast_to(photo, (size, size, 3)))
    photo[label_map == labels.BG] = 0
    return photo.clip(0, 255).astype(np.uint8), label_map


def test_light_is_the_retinas_colour_not_the_discs_nor_the_vessels():
    photo, label_map = synthetic_eye((200, 100, 40))
    vessels = np.zeros((SIZE, SIZE), dtype=np.float32)
    vessels[60:68] = 1
    photo[60:68] = 10
    clear = clear_retina(label_map, vessels, margin=8)  # 2 pixels at this size
    assert not clear[58:70].any() and clear[56, 64] and not clear[label_map != labels.VB].any() and clear.mean() > 0.3
    light = measure_light(photo, clear)
    assert light.shape == (3, 32, 32)
    assert light[0, 16, 16] * 255 == pytest.approx(200 * 0.8, rel=0.06)
    assert light[1, 16, 16] * 255 == pytest.approx(100 * 0.8, rel=0.06)
    assert light[0, 16, 24] > light[0, 16, 10]


def test_principal_components_give_back_the_photographs_light():
    lights = np.stack([measure_light(*_clear((200 - 10 * i, 90 + 9 * i, 40 + 3 * i * i), i)) for i in range(5)])
    mean, components = fit_light(lights, 6)
    assert components.shape == (6, 3, 32, 32)
    codes = np.stack([project_light(light, mean, components) for light in lights])
    restored = mean + np.einsum("nk,kcyx->ncyx", codes, components)
    assert np.abs(restored - lights).max() < 2e-3
    used = codes.std(0, ddof=1) > 1e-3
    assert used.sum() >= 1 and np.allclose(codes[:, used].std(0, ddof=1), 1, atol=0.02)
    assert (codes[:, 4:] == 0).all()  # five photographs span four directions


def _clear(colour, seed):
    photo, label_map = synthetic_eye(colour, seed)
    return photo, clear_retina(label_map, np.zeros((SIZE, SIZE), dtype=np.float32))


def test_light_field_is_mirrored_for_a_disc_at_the_right():
    mean = torch.linspace(0.2, 0.8, 32).expand(3, 32, 32)
    left = light_field(torch.zeros(1), mean, torch.zeros(1, 3, 32, 32), 64, "left")
    right = light_field(torch.zeros(1), mean, torch.zeros(1, 3, 32, 32), 64, "right")
    assert torch.allclose(left.flip(-1), right, atol=1e-6) and left[0, 0, 0] < left[0, 0, -1]


def test_light_and_texture_are_drawn_near_those_of_one_eye_and_vary_as_they_do():
    statistics = EyeStatistics(8)
    generator = torch.Generator().manual_seed(1)
    statistics.light_codes.normal_(generator=generator)
    statistics.texture_factor.copy_(torch.eye(6) * 0.2)
    # The eye's number is written in both: a light and a texture of different eyes would not agree.
    statistics.light_codes[:, 0] = torch.linspace(-1.7, 1.7, len(statistics.light_codes))
    statistics.texture_logs[:, 0] = statistics.texture_mean[0] + 0.2 * statistics.light_codes[:, 0]
    drawn = [draw_light_and_texture(statistics, generator) for _ in range(3000)]
    light, texture = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    wanted = (0.81 * statistics.light_codes.var(0) + 0.19).sqrt()
    assert light.std(0).numpy() == pytest.approx(wanted.numpy(), rel=0.06)
    nearest = torch.cdist(light, 0.9 * statistics.light_codes).min(1).values
    assert 0.8 < float(nearest.square().mean().sqrt() / (8 * (1 - 0.9**2)) ** 0.5) < 1.02
    assert float(torch.corrcoef(torch.stack([light[:, 0], texture[:, 0]]))[0, 1]) == pytest.approx(0.81, abs=0.03)


def test_a_fovea_is_darker_than_its_light_by_its_depth_and_no_clear_retina():
    light = np.full((3, 64, 64), 0.5, dtype=np.float32)
    fovea = draw_fovea((32.5, 32.5), 8, 64)
    dark = darken_fovea(light, fovea)
    assert dark[:, 32, 32] == pytest.approx(0.5 * (1 - FOVEA_DEPTH)) and dark[:, 2, 2] == pytest.approx(0.5)
    label_map, vessels = labels.empty_map(64, None), np.zeros((64, 64), dtype=np.float32)
    clear, without = clear_retina(label_map, vessels), clear_retina(label_map, vessels, fovea=(32, 32, 8))
    y, x = np.mgrid[:64, :64] + 0.5
    near = np.hypot(x - 32, y - 32)
    assert clear[near < 8].all() and not without[near < 8].any() and np.array_equal(clear[near > 9], without[near > 9])


def test_an_eye_is_its_seed():
    statistics = EyeStatistics(3)
    statistics.light_components.normal_(0, 0.05, generator=torch.Generator().manual_seed(0))
    label_map = labels.empty_map(64, "left")
    eye, again, other = (make_eye(label_map, seed, statistics, NONE) for seed in (5, 5, 6))
    planes, code = eye.planes.stacked(), eye.code
    assert planes.shape == (6, 64, 64) and planes.dtype == np.float32 and code.shape == (3,)
    assert np.array_equal(planes, again.planes.stacked()) and torch.equal(code, again.code)
    for name in ("light_red", "vessels", "texture"):
        assert not np.array_equal(pick(planes, name), pick(other.planes.stacked(), name)), name
    green = make_eye(label_map, 5, EyeStatistics(3), NONE).planes.light[1]  # even but for the fovea
    assert int(green.min(0).argmin()) > 32  # temporal: away from a disc at the left
    assert float(green.min() / green.max()) == pytest.approx(1 - FOVEA_DEPTH[1], abs=0.01)
    assert eye_seed(5) == eye_seed(5) != eye_seed(6)


def test_lesions_do_not_change_the_eye_but_hide_its_vessels():
    statistics = EyeStatistics(3)
    label_map = labels.empty_map(128, "right")
    healthy = make_eye(label_map, 3, statistics, NONE).planes
    ill = label_map.copy()
    ill[:, 30:40][label_map[:, 30:40] == labels.VB] = labels.HE
    assert np.array_equal(make_eye(ill, 3, statistics, NONE).planes.stacked(), healthy.stacked())
    assert healthy.vessels[:, 30:40].max() > 0.2
    hidden = hidden_by_lesions(ill, 3)
    across = np.flatnonzero(hidden[64])
    assert (across.min(), across.max()) == (27, 42) and not hidden_by_lesions(label_map, 3).any()
    shown = without_lesions(np.stack([healthy.vessels, healthy.tone]), ill, 12)  # 3 pixels at this side
    assert (shown[:, hidden] == 0).all()
    assert np.array_equal(shown[:, ~hidden], np.stack([healthy.vessels, healthy.tone])[:, ~hidden])


def test_fovea_is_a_gaussian_at_its_centre():
    plane = draw_fovea((20.5, 30.5), 8.0, 64)
    assert plane[30, 20] == pytest.approx(1) and plane[30, 24] == pytest.approx(np.exp(-0.5), rel=1e-5)


def test_light_has_no_stripes_of_its_grid():
    at = torch.linspace(-1, 1, 32)
    vignette = (-0.3 * (at[:, None] ** 2 + at**2)).expand(1, 3, 32, 32)
    field = light_field(torch.ones(1), torch.full((3, 32, 32), 0.8), vignette, 512, "left").numpy()[0][80:432, 80:432]
    window = np.hanning(352)
    row = np.abs(np.fft.fft2((field - field.mean()) * window[:, None] * window))[0]
    # The grid's cell is 16 pixels: 22 cycles in 352 pixels.
    assert row[20:25].max() < 15 * row[13:18].max()
