"""Copies of maps are found however turned and mirrored; new maps are not taken for copies."""

import numpy as np
import pytest
from scipy import ndimage

from retinagan.evaluation.nearest import NearestMaps
from retinagan.maps.labels import LESIONS, VB, empty_map
from tests.evaluation.drawn_maps import SIZE, scattered


@pytest.fixture(scope="module")
def stored():
    return np.stack([scattered(seed) for seed in range(12)])


@pytest.mark.parametrize("degrees", [0, 90, 137.3, 311.6])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_copy_is_found_however_turned_and_mirrored(stored, degrees, mirrored):
    copy = stored[7][:, ::-1] if mirrored else stored[7]
    copy = ndimage.rotate(copy, degrees, reshape=False, order=0)
    match = NearestMaps(stored).find(copy)[0]
    assert match.index == 7 and match.iou > 0.8 and match.mirrored == mirrored
    assert match.iou == 1 if degrees in (0, 90) else match.iou < 1
    undone = degrees if not mirrored else -degrees
    assert abs((match.rotation - undone + 180) % 360 - 180) <= 0.6


def test_a_copy_is_found_with_some_of_its_lesions_gone(stored):
    copy = stored[3].copy()
    copy[: SIZE // 3] = np.where(np.isin(copy[: SIZE // 3], LESIONS), VB, copy[: SIZE // 3])
    match = NearestMaps(stored).find(ndimage.rotate(copy, 77, reshape=False, order=0))[0]
    left = np.isin(copy, LESIONS).sum() / np.isin(stored[3], LESIONS).sum()
    assert match.index == 3 and match.iou == pytest.approx(left, abs=0.1) and left < 0.9


def test_new_maps_are_far_and_the_own_place_can_be_passed_over(stored):
    finder = NearestMaps(stored)
    assert finder.find(scattered(99))[0].iou < 0.4
    own, others = finder.find(stored[5], count=3), finder.find(stored[5], count=3, exclude=[5])
    assert own[0].index == 5 and own[0].iou == 1 and own[0].rotation == 0
    assert len(others) == 3 and 5 not in [match.index for match in others] and others[0].iou < 0.4
    assert [m.iou for m in own] == sorted([m.iou for m in own], reverse=True)


def test_maps_without_lesions_have_no_nearest(stored):
    healthy = np.stack([empty_map(SIZE)] * 2)
    assert NearestMaps(stored).find(empty_map(SIZE)) == []
    assert NearestMaps(healthy).find(stored[0]) == []
    assert [m.index for m in NearestMaps(np.stack([healthy[0], stored[0]])).find(stored[0], count=5)] == [1]
    with pytest.raises(ValueError, match="have a side of 256"):
        NearestMaps(stored).find(empty_map(128))
