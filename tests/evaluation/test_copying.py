"""Copies of vascular trees are found however turned, mirrored and shifted; new trees are not taken for copies."""

import numpy as np
import pytest

from retinagan.evaluation.copying import NearestTrees, resized, turn, vessel_mask
from retinagan.evaluation.criteria import COPIED_TREE
from retinagan.eye.tree.rasterise import grow_vessels
from retinagan.maps.labels import empty_map

LIMIT = COPIED_TREE.below


def tree(seed):
    return (grow_vessels(empty_map(256, "left"), seed) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def planes():
    return np.stack([tree(seed) for seed in range(6)])


@pytest.fixture(scope="module")
def trees(planes):
    return NearestTrees(planes)


@pytest.mark.parametrize(
    ("index", "degrees", "mirror", "shift"), [(0, 0, False, (0, 0)), (3, 47, False, (9, -6)), (5, 301, True, (-12, 4))]
)
def test_a_turned_mirrored_and_shifted_copy_is_found(trees, planes, index, degrees, mirror, shift):
    copy = planes[index][:, ::-1] if mirror else planes[index]
    copy = np.roll(turn(copy.astype(np.float32), degrees), shift, (0, 1)).clip(0, 255).astype(np.uint8)
    found = trees.find(copy)
    assert found.index == index and found.mirrored == mirror
    assert found.overlap > 0.75 > LIMIT
    back = (found.rotation + (degrees if not mirror else -degrees)) % 360
    assert min(back, 360 - back) <= 3


def test_the_tree_itself_overlaps_wholly(trees, planes):
    assert trees.find(planes[2]).overlap == pytest.approx(1)


def test_a_new_tree_is_no_copy_and_the_nearest_can_be_passed_over(trees, planes):
    assert trees.find(tree(99)).overlap < LIMIT
    other = trees.find(planes[1], exclude=[1])
    assert other.index != 1 and other.overlap < LIMIT
    with pytest.raises(ValueError, match="excluded"):
        trees.find(planes[1], exclude=range(6))


def test_no_vessels_overlap_with_nothing(trees):
    assert trees.find(np.zeros((256, 256), dtype=np.uint8)).overlap == 0


def test_masks_are_dilated_at_a_side_of_256():
    plane = np.zeros((512, 512), dtype=np.uint8)
    plane[100:102, 100:102] = 255
    mask = vessel_mask(plane)
    assert mask.shape == (256, 256) and mask[49:52, 49:52].all() and mask.sum() == 9
    assert resized(np.ones((64, 64)), 256).shape == (256, 256)
    with pytest.raises(ValueError, match="side 300"):
        resized(np.ones((300, 300)), 256)


def test_other_planes_are_refused():
    for bad in (np.zeros((2, 256, 256)), np.zeros((256, 256), dtype=np.uint8), np.zeros((0, 256, 256), dtype=np.uint8)):
        with pytest.raises(ValueError, match="expected uint8|no training eye"):
            NearestTrees(bad)
