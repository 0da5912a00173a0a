"""Names, order and meaning of the guidance planes, and the one place that puts them together."""

import numpy as np
import pytest
import torch

from retinagan.eye.light import FOVEA_DEPTH
from retinagan.eye.planes import LIGHT, PLANES, EyePlanes, pick


def drawn() -> EyePlanes:
    light, (fovea, vessels, tone, texture) = np.split(np.random.default_rng(0).random((7, 8, 8)), [3])
    fovea[0, 0], fovea[7, 7] = 0, 1
    return EyePlanes.assembled(light, fovea, vessels, tone, 0.5, texture)


def test_an_eye_is_put_together_from_what_its_photograph_shows():
    light, (fovea, vessels, tone, texture) = np.split(np.random.default_rng(0).random((7, 8, 8)), [3])
    planes = drawn()
    assert planes.vessels == pytest.approx(0.5 * vessels) and planes.tone == pytest.approx(0.5 * tone)
    assert planes.texture == pytest.approx(texture)
    assert planes.light[:, 0, 0] == pytest.approx(light[:, 0, 0])  # no fovea there
    assert planes.light[:, 7, 7] == pytest.approx(light[:, 7, 7] * (1 - FOVEA_DEPTH))


def test_stacks_are_in_the_order_of_their_names():
    planes = drawn()
    stack = planes.stacked()
    assert stack.shape == (6, 8, 8) and stack.dtype == np.float32
    assert np.array_equal(stack[:3], planes.light) and np.array_equal(pick(stack, LIGHT), planes.light)
    for name in PLANES[3:]:
        assert np.array_equal(pick(stack, name), getattr(planes, name))
    turned = planes.stacked(PLANES[::-1])
    assert np.array_equal(pick(turned, "vessels", PLANES[::-1]), planes.vessels)
    batch = torch.from_numpy(stack)[None]
    assert torch.equal(pick(batch, ("tone", "vessels")), batch[:, [5, 3]])


def test_a_crop_of_a_kept_stack_is_the_crop_of_its_planes():
    planes = drawn()
    crop = EyePlanes.of(planes.stacked().astype(np.float16), (slice(2, 6), slice(1, 8)))
    assert crop.light.shape == (3, 4, 7) and crop.light.dtype == np.float32
    assert crop.light == pytest.approx(planes.light[:, 2:6, 1:], abs=1e-3)
    assert crop.tone == pytest.approx(planes.tone[2:6, 1:], abs=1e-3)
