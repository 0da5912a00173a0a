"""Burden of lesions, and thresholds that make predicted maps right on average."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from retinagan.data.burden import Burden, areas, burden, compare, medians, unbiased_cut
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
    found = burden(areas(mask))
    assert found.number == 4 and found.area == pytest.approx((3 * 16 + 65) / field_of_view(256).sum(), rel=1e-3)
    assert found.size == 16 * 4  # pixels of a map twice as wide
    empty = burden(areas(np.zeros((256, 256), bool)))
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


def test_the_cut_gives_the_annotated_lesions():
    # Wide slopes around three lesions; the annotated outline is that of probability 0.7.
    true = squares(5, 3)
    away = ndimage.distance_transform_edt(~true)
    inner = ndimage.distance_transform_edt(true)
    shares = 1 / (1 + np.exp(-(np.log(0.7 / 0.3) + 1.0 * np.where(true, inner - 1, -away))))
    cut = unbiased_cut([shares] * 2, [true] * 2, lambda mask: mask)
    assert 1 / (1 + np.exp(-(np.log(0.7 / 0.3) - 1))) < cut.threshold <= 0.7
    assert np.array_equal(shares > cut.threshold, true)


def test_specks_beside_the_lesions_are_cut_off_by_their_area():
    true = squares(5, 3)  # of 100 pixels at a side of 512
    shares = np.where(true, 0.8, 0.0)
    shares[140:142, 40:200:4] = 0.9  # surer than the lesions, so that no threshold parts them: of 8 to 16 pixels
    cut = unbiased_cut([shares], [true], lambda mask: mask)
    assert cut.threshold < 0.8 and 8 < cut.least <= 100
