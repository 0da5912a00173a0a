"""The fovea's profile: the measure finds the darkness that was painted."""

import numpy as np
import pytest

from retinagan.evaluation.fovea import RINGS, profile
from retinagan.eye.light import FOVEA_DEPTH, darken_fovea, draw_fovea
from retinagan.maps import labels

RADIUS, CENTRE = 40.0, (300.0, 240.0)


def painted(width=1.0):
    """A retina of 200, 100, 60 with a fovea, lesions and the disc."""
    light = np.ones((3, 512, 512), np.float32) * np.array([200, 100, 60], np.float32)[:, None, None]
    photo = darken_fovea(light, draw_fovea(CENTRE, width * RADIUS, 512))
    label_map = labels.empty_map(512, "left")
    label_map[236:244, 320:330] = labels.EX
    photo[:, label_map != labels.VB] = 255
    return photo.transpose(1, 2, 0).round().astype(np.uint8), label_map


def test_the_profile_is_that_of_the_fovea_that_was_painted():
    middles = (RINGS[:-1] + RINGS[1:]) / 2
    for width in (1.0, 1.5):
        found = profile(*painted(width), CENTRE, RADIUS)
        plane = np.exp(-(middles**2) / (2 * (width / 2) ** 2))
        around = 1 - FOVEA_DEPTH * np.exp(-(1.7**2) / (2 * (width / 2) ** 2))
        assert found == pytest.approx((1 - FOVEA_DEPTH * plane[:, None]) / around, abs=0.025)


def test_a_ring_without_retina_is_not_told():
    photo, label_map = painted()
    label_map[232:249, 292:309] = labels.HE
    found = profile(photo, label_map, CENTRE, RADIUS)
    assert np.isnan(found[0]).all() and np.isfinite(found[2:]).all()
