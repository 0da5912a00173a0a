"""Descriptors of maps that are drawn by hand."""

import numpy as np
import pytest
from scipy import ndimage

from retinagan.maps.descriptors import DESCRIPTORS, describe, grid
from retinagan.maps.labels import EX, empty_map
from retinagan.maps.measure import measure
from tests.evaluation.drawn_maps import SIZE, scattered


def described(label_map: np.ndarray) -> dict[str, float]:
    return dict(zip(DESCRIPTORS, describe(measure(label_map), label_map), strict=True))


def test_descriptors_of_a_map_drawn_by_hand():
    label_map = empty_map(512)
    label_map[100:104, 300:305] = EX
    label_map[120:122, 300:302] = EX
    found = described(label_map)
    assert found["EX count"] == pytest.approx(np.log(3))
    assert found["EX area"] == pytest.approx(np.log(25)) and found["EX largest"] == pytest.approx(np.log(21))
    assert found["HE count"] == found["MA area"] == found["SE largest"] == 0
    x, y = measure(label_map).fovea
    distance = (np.hypot(302.5 - x, 102 - y) + np.hypot(301 - x, 121 - y)) / 1024
    assert found["bright to fovea"] == pytest.approx(0.3 + (distance - 0.3) * 2 / 12)  # two lesions say little
    assert found["red to fovea"] == 0.3
    assert found["superior share"] == pytest.approx(0.5 + 0.5 * 2 / 12)
    assert found["disc radius"] == pytest.approx(0.092, rel=0.01) and found["disc x"] == pytest.approx(0.22, abs=0.002)


def test_descriptors_are_those_of_the_mirror_image_and_of_the_enlarged_map():
    label_map = scattered(1)
    own = np.array(list(described(label_map).values()))
    np.testing.assert_allclose(list(described(label_map[:, ::-1].copy()).values()), own, atol=1e-9)
    large = np.kron(label_map, np.ones((2, 2), np.uint8))
    np.testing.assert_allclose(list(described(large).values()), own, atol=0.02)  # pixels on the disc's own circle


def test_descriptors_of_maps_without_a_disc_or_anything_are_finite():
    for label_map in (empty_map(SIZE), empty_map(SIZE, None), np.zeros((SIZE, SIZE), np.uint8)):
        assert np.isfinite(list(described(label_map).values())).all()


def test_rows_and_columns_show():
    rng = np.random.default_rng(0)
    ordered, free = empty_map(SIZE), empty_map(SIZE)
    rows, columns = rng.integers(50, 206, (2, 8))
    for y, x in zip(rng.choice(rows, 60), rng.choice(columns, 60), strict=True):
        ordered[y : y + 3, x : x + 3] = EX
    for y, x in rng.integers(50, 206, (60, 2)):
        free[y : y + 3, x : x + 3] = EX
    assert grid(ordered) > 0.5 and abs(grid(free)) < 0.4
    assert grid(empty_map(SIZE)) == 0
    turned = ndimage.rotate(ordered, 45, reshape=False, order=0)
    assert grid(turned) < -0.5
