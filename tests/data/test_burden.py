"""Burden of lesions, and thresholds that make predicted maps right on average."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from retinagan.data.burden import Burden, burden, compare, medians, unbiased_threshold
from retinagan.maps.labels import EX, MA, map_with_disc
from retinagan.maps.parts import field_of_view


def squares(side: int, count: int, size: int = 256) -> np.ndarray:
    """Squares in a row inside the field."""
    mask = np.zeros((size, size), dtype=bool)
    for number in range(count):
        mask[100 : 100 + side, 40 + 16 * number : 40 + 16 * number + side] = True
    return mask


def test_lesions_are_counted_and_measured():
    mask = squares(4, 3)
    mask[120:128, 40:48] = True
    mask[128, 48] = True  # touches at a corner
    found = burden(mask)
    assert found.number == 4 and found.area == pytest.approx((3 * 16 + 65) / field_of_view(256).sum())
    assert found.size == 16 * 4  # pixels of a map twice as wide
    empty = burden(np.zeros((256, 256), bool))
    assert empty[:2] == (0, 0) and np.isnan(empty.size)


def test_medians_take_sizes_from_eyes_that_have_lesions():
    assert medians([Burden(0, 0, float("nan")), Burden(2, 0.2, 8), Burden(6, 0.4, 4)]) == (2, 0.2, 6)
    assert np.isnan(medians([Burden(0, 0, float("nan"))]).size)


def test_the_table_tells_how_far_predictions_are_off():
    true, found = map_with_disc(256, 200, 128, 20), map_with_disc(256, 200, 128, 20)
    true[squares(4, 4)], found[squares(2, 2)] = EX, EX
    found[squares(2, 8) & (found == found[128, 128])] = MA  # nobody annotated them: the class is left out
    table = compare([true], [found])
    assert list(table) == ["EX"] and table["EX"]["eyes"] == 1
    assert table["EX"]["annotated"]["number"] == 4 and table["EX"]["predicted"]["size"] == 16
    assert table["EX"]["ratio"] == pytest.approx({"number": 0.5, "area": 1 / 8, "size": 1 / 4})


def test_the_threshold_gives_the_annotated_lesions_and_not_the_highest_dice():
    # Wide slopes around three lesions; the annotated outline is that of probability 0.7.
    true = squares(5, 3)
    away = ndimage.distance_transform_edt(~true)
    inner = ndimage.distance_transform_edt(true)
    shares = 1 / (1 + np.exp(-(np.log(0.7 / 0.3) + 1.0 * np.where(true, inner - 1, -away))))
    threshold = unbiased_threshold([shares] * 2, [true] * 2, lambda mask: mask)
    assert 1 / (1 + np.exp(-(np.log(0.7 / 0.3) - 1))) < threshold <= 0.7
    assert np.array_equal(shares > threshold, true)
    # What cleaning takes away has to come from elsewhere: with lesions of less than 40 pixels removed it falls.
    large = unbiased_threshold([shares], [true], lambda m: m if burden(m).size >= 40 * 4 else np.zeros_like(m))
    assert large < threshold
