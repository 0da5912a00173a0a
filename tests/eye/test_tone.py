"""Vessel tone: what is measured in photographs, and its counterpart in grown trees."""

from __future__ import annotations

import numpy as np
import pytest

from retinagan.eye.tone import vessel_tone
from retinagan.eye.tree.growth import ARTERY, VEIN
from retinagan.eye.tree.rasterise import draw_vessels, grow_vessels, grow_vessels_and_tone
from retinagan.eye.tree.tree import grow_tree
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import empty_map


def striped_eye(dark: float, light: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six equal vessels across an even retina, alternately of these optical densities."""
    label_map = empty_map(256, None)
    photo = np.full((256, 256, 3), (190.0, 100.0, 50.0))
    plane = np.zeros((256, 256), dtype=np.float32)
    y = np.arange(256)[:, None]
    for i in range(6):
        profile = np.exp(-(((y - 60 - 27 * i) / 2.0) ** 2)) * np.ones((1, 256))
        plane = np.maximum(plane, profile.astype(np.float32))
        photo *= np.exp(-(dark if i % 2 == 0 else light) * profile)[..., None]
    photo[label_map == 0] = 0
    plane[label_map == 0] = 0
    return np.round(photo).astype(np.uint8), plane, label_map


def test_darker_vessels_have_positive_tones_and_lighter_ones_negative():
    tone = vessel_tone(*striped_eye(0.6, 0.3))
    dark, light = tone[[60, 114, 168], 100:156], tone[[87, 141, 195], 100:156]
    assert dark.mean() > 0.3 and light.mean() < -0.3
    assert dark.std(axis=1).max() < 0.1  # a property of the vessel
    assert np.abs(tone).max() <= 1 and np.abs(tone[73:75]).max() < 0.01


def test_equal_vessels_have_no_tone():
    assert np.abs(vessel_tone(*striped_eye(0.4, 0.4))[:, 60:196]).max() < 0.1


def test_brightness_of_the_photograph_does_not_matter():
    photo, plane, label_map = striped_eye(0.6, 0.3)
    dimmed = vessel_tone((photo * 0.7).astype(np.uint8), plane, label_map)
    assert np.abs(dimmed - vessel_tone(photo, plane, label_map)).mean() < 0.02


def test_an_eye_without_vessels_has_no_tone():
    photo, plane, label_map = striped_eye(0.6, 0.3)
    assert not vessel_tone(photo, np.zeros_like(plane), label_map).any()


def test_what_is_not_of_one_eye_is_refused():
    photo, plane, label_map = striped_eye(0.6, 0.3)
    with pytest.raises(ValueError, match="not of one eye"):
        vessel_tone(photo, plane[:100], label_map)


def test_arteries_are_light_and_veins_dark():
    label_map = empty_map(512, "left")
    vessels, tone = grow_vessels_and_tone(label_map, 3)
    assert np.array_equal(vessels, grow_vessels(label_map, 3)) and tone.dtype == np.float32
    assert (np.abs(tone) <= vessels).all()
    tree = grow_tree(find_anatomy(label_map), 3)
    assert 0.25 <= tree.tone <= 0.55
    middle = (tree.start + tree.end) / 2 * 512
    x, y = np.clip(middle.astype(int), 0, 511).T
    seen = (vessels[y, x] > 0.5) & (tree.depth == 0) & (np.hypot(*(middle - 256).T) < 245)
    for kind, sign in ((ARTERY, -1), (VEIN, 1)):
        assert (np.sign(tone[y, x][seen & (tree.kind == kind)]) == sign).mean() > 0.75
    assert draw_vessels(tree, 512, tree.share).max() == vessels.max()
