"""Vessels are found where they are, and lesions and specks are none."""

from __future__ import annotations

import numpy as np
import pytest

from retinagan.eye.ridges import _without_specks, vesselness
from retinagan.maps.labels import BG, HE, VB, empty_map
from retinagan.maps.parts import field_of_view
from tests.synthetic_eyes import (
    draw_photo,
    vessel,
)


def prepared_photo(size: int) -> tuple[np.ndarray, np.ndarray]:
    half = size / 2
    return draw_photo(size, size, (half, half), half - 0.5), vessel(size, size) & field_of_view(size)


def test_vessels_are_found_where_they_are():
    photo, truth = prepared_photo(256)
    response = vesselness(photo)
    assert response.dtype == np.float32 and response.min() == 0 and response.max() == 1
    d = np.hypot(*(np.mgrid[:256, :256] - 128))
    inner = d < 115
    assert (response[truth & inner] > 0.3).mean() > 0.9
    far = inner & (np.hypot(*(np.mgrid[:256, :256] - np.array([60, 40])[:, None, None])) > 25) & ~vessel(256, 256)
    assert (response[far] > 0.3).mean() < 0.12
    assert not response[d > 128].any()


def test_vessels_leave_out_dark_lesions():
    photo, _ = prepared_photo(256)
    photo[150:154, 100:180] //= 2
    label_map = np.where(field_of_view(256), VB, BG).astype(np.uint8)
    unmasked = vesselness(photo, label_map)
    label_map[150:154, 100:180] = HE
    masked = vesselness(photo, label_map)
    assert unmasked[150:154, 110:170].mean() > 0.5
    assert not masked[149:155, 99:181].any()


def test_an_even_field_has_no_vessels_and_lines_on_it_are_some():
    photo = np.where(field_of_view(256)[..., None], np.uint8([150, 80, 40]), np.uint8(0))
    assert not vesselness(photo).any()
    rows = np.array([80, 110, 140, 170])
    for row in rows:
        photo[row : row + 3, 60:200] = (90, 30, 20)
    assert vesselness(photo)[rows + 1, 80:180].min() > 0.5


def test_specks_are_removed():
    response = np.zeros((60, 60), dtype=np.float32)
    response[5:9, 5:9] = 1.0  # 16 pixels
    response[30:32, 5:45] = 0.5
    response[32, 5:45] = 0.05  # a vessel's faint edge stays
    response[50, 50] = 0.05
    kept = _without_specks(response, 25)
    expected = np.where(np.arange(60)[:, None] < 20, 0, response)
    expected[50, 50] = 0
    assert np.array_equal(kept, expected)


def test_vesselness_refuses_other_pictures():
    with pytest.raises(ValueError, match="prepared photograph"):
        vesselness(np.zeros((10, 12, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"map has shape \(16, 16\)"):
        vesselness(np.zeros((32, 32, 3), dtype=np.uint8), empty_map(16))
