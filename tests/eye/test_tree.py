"""Vascular trees: their anatomy, their calibres, how they are drawn, and maps that no one should have drawn.

Whether photographs of the trees show the vessels of real eyes: ``tests/evaluation/test_shipped_vessels.py``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from retinagan.eye.grown import visible_vessels
from retinagan.eye.tree import tree as tree_module
from retinagan.eye.tree.growth import ARTERY, MAX_NODES, VEIN
from retinagan.eye.tree.rasterise import draw_vessels, grow_vessels
from retinagan.eye.tree.strength import MURRAY
from retinagan.eye.tree.tree import VesselTree, grow_tree
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG, HE, OD, VB, empty_map
from tests.helpers import SHIPPED

SEEDS = range(12)


@pytest.fixture(scope="module")
def anatomy():
    return find_anatomy(empty_map(512, "left"))


@pytest.fixture(scope="module")
def trees(anatomy) -> list[VesselTree]:
    return [grow_tree(anatomy, seed, SHIPPED.gaps) for seed in SEEDS]


@pytest.fixture(scope="module")
def planes(trees) -> list[np.ndarray]:
    return [draw_vessels(tree, 512, blur=SHIPPED.blur) for tree in trees]


def fovea_frame(anatomy) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel of the map: its distance from the fovea, and how far it lies below the axis disc-fovea."""
    y, x = np.mgrid[: anatomy.size, : anatomy.size] + 0.5
    axis = np.array([anatomy.fovea_x - anatomy.disc_x, anatomy.fovea_y - anatomy.disc_y])
    length = np.hypot(*axis)
    below = (-(x - anatomy.disc_x) * axis[1] + (y - anatomy.disc_y) * axis[0]) / length**2
    return np.hypot(x - anatomy.fovea_x, y - anatomy.fovea_y) / length, below


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


# -- seeds ---------------------------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_tree_to_the_byte():
    label_map = empty_map(128, "right")
    first, again = grow_vessels(label_map, 7, SHIPPED), grow_vessels(label_map, 7, SHIPPED)
    assert first.dtype == np.float32 and first.shape == (128, 128)
    assert first.tobytes() == again.tobytes()


def test_seeds_differ_in_more_than_position(trees, planes):
    pairs = [(i, j) for i in range(6) for j in range(i)]
    assert max(similarity(planes[i], planes[j]) for i, j in pairs) < 0.6
    lit = [float((plane > 0.2).mean()) for plane in planes]
    assert max(lit) > 1.15 * min(lit)  # density
    heights = [float(tree.start[tree.depth == 0][:, 1].min()) for tree in trees]
    assert max(heights) - min(heights) > 0.04  # opening of the superior arcade
    widest = [float(tree.radius.max()) for tree in trees]
    assert max(widest) > 1.1 * min(widest)  # calibre


def test_a_tree_is_kept_and_cannot_be_changed(anatomy):
    first, again = grow_tree(anatomy, 5, 0.5), grow_tree(replace(anatomy), np.int64(5), 0.5)
    assert again is first and grow_tree(anatomy, 5, 0.4) is not first
    with pytest.raises(ValueError, match="read-only"):
        first.radius[0] = 1


def test_trees_grown_by_many_threads_are_those_of_one(anatomy):
    anatomies = [replace(anatomy, disc_x=anatomy.disc_x + shift) for shift in range(4)]
    tree_module._grown.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        grown = list(pool.map(lambda at: grow_tree(anatomies[at % 4], at % 4, 0.2), range(16)))
    for at, tree in enumerate(grown):
        tree_module._grown.cache_clear()
        alone = grow_tree(anatomies[at % 4], at % 4, 0.2)
        assert all(np.array_equal(getattr(tree, name), getattr(alone, name)) for name in ("start", "radius", "parent"))


def test_large_seeds_work():
    assert grow_vessels(empty_map(64), 2**62 - 1, SHIPPED).max() > 0.3


def test_lesions_leave_the_tree_alone():
    label_map = empty_map(128, "left")
    plain = grow_vessels(label_map, 3, SHIPPED)
    label_map[70:90, 60:80] = HE
    assert np.array_equal(grow_vessels(label_map, 3, SHIPPED), plain)


def test_the_eye_stays_the_eye_when_the_disc_moves_a_little(anatomy):
    moved = replace(anatomy, disc_x=anatomy.disc_x + 4, fovea_x=anatomy.fovea_x + 4)
    kept = [
        similarity(
            ndimage.gaussian_filter(
                draw_vessels(grow_tree(anatomy, seed, SHIPPED.gaps), 512, blur=SHIPPED.blur)[:, :-4], 1.5
            ),
            ndimage.gaussian_filter(
                draw_vessels(grow_tree(moved, seed, SHIPPED.gaps), 512, blur=SHIPPED.blur)[:, 4:], 1.5
            ),
        )
        for seed in range(6)
    ]
    assert np.median(kept) > 0.9 and min(kept) > 0.7


@pytest.mark.parametrize(("seed", "error"), [(-1, ValueError), (1.5, TypeError), ("7", TypeError), (True, TypeError)])
def test_bad_seeds_are_named(seed, error):
    with pytest.raises(error, match="seed is"):
        grow_vessels(empty_map(32), seed, SHIPPED)


# -- anatomy of the tree -------------------------------------------------------------------------------------------


def test_every_tree_starts_in_the_disc(anatomy, trees):
    disc = np.array([anatomy.disc_x, anatomy.disc_y]) / 512
    for tree in trees:
        roots = tree.start[tree.parent < 0]
        assert len(roots) >= 4  # artery and vein, up and down
        assert (np.hypot(*(roots - disc).T) < 0.6 * anatomy.disc_radius / 512).all()
        assert set(tree.kind[tree.parent < 0]) == {ARTERY, VEIN}
        assert (roots[:, 0] < disc[0]).all()  # nasal of the centre


def test_segments_join_and_keep_their_kind(trees):
    for tree in trees:
        joined = np.nonzero(tree.parent >= 0)[0]
        parent = tree.parent[joined]
        assert (parent < joined).all()
        np.testing.assert_array_equal(tree.start[joined], tree.end[parent])
        np.testing.assert_array_equal(tree.kind[joined], tree.kind[parent])
        assert (tree.depth[joined] >= tree.depth[parent]).all()
        assert tree.depth.max() >= 2
        assert (np.hypot(*(tree.end - tree.start).T) < 0.012).all()  # no leaps


def test_vessels_run_smoothly_and_fork_at_acute_angles(trees):
    bends, forks = [], []
    for tree in trees:
        ways = tree.end - tree.start
        joined = np.nonzero(tree.parent >= 0)[0]
        a, b = ways[tree.parent[joined]], ways[joined]
        cosine = (a * b).sum(1) / np.hypot(*a.T) / np.hypot(*b.T)
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        branching = tree.depth[joined] > tree.depth[tree.parent[joined]]
        bends.append(angle[~branching])
        forks.append(angle[branching])
    bends, forks = np.concatenate(bends), np.concatenate(forks)
    assert np.percentile(bends, 99) < 25  # no hooks
    assert 35 < np.median(forks) < 75
    assert np.percentile(forks, 95) < 90


def test_calibres_follow_murrays_law(trees):
    forks = 0
    for tree in trees:
        flow = tree.radius**MURRAY
        daughters = np.zeros_like(flow)
        joined = tree.parent >= 0
        np.add.at(daughters, tree.parent[joined], flow[joined])
        counts = np.bincount(tree.parent[joined], minlength=len(flow))
        forks += int((counts >= 2).sum())
        np.testing.assert_allclose(daughters[counts >= 1], flow[counts >= 1], rtol=1e-9)
        assert (tree.radius[joined] <= tree.radius[tree.parent[joined]] * (1 + 1e-12)).all()  # never wider downstream
    assert forks > 30 * len(trees)  # enough to tell


def test_calibres_are_those_of_eyes(trees):
    widths = [2 * 512 * tree.radius for tree in trees]
    assert 5 < np.mean([width.max() for width in widths]) < 11  # trunks, pixels at 512
    assert 0.5 < np.mean([np.percentile(width, 10) for width in widths]) < 2.5  # twigs
    ratios = [tree.radius[tree.kind == ARTERY].max() / tree.radius[tree.kind == VEIN].max() for tree in trees]
    assert 0.55 < np.mean(ratios) < 0.9  # about 2:3


def test_arteries_and_veins_share_the_field(anatomy, trees):
    y, x = np.mgrid[:64, :64]
    retina = np.hypot(x - 31.5, y - 31.5) < 29
    for tree in trees:
        lengths = np.hypot(*(tree.end - tree.start).T)
        share = lengths[tree.kind == ARTERY].sum() / lengths.sum()
        assert 0.3 < share < 0.7
        for kind in (ARTERY, VEIN):
            here = np.ones((64, 64), dtype=bool)
            at = np.clip((tree.end[tree.kind == kind] * 64).astype(int), 0, 63)
            here[at[:, 1], at[:, 0]] = False
            assert ndimage.distance_transform_edt(here)[retina].max() < 21  # a third of the side


def test_the_fovea_is_avascular(anatomy, trees):
    fovea = np.array([anatomy.fovea_x, anatomy.fovea_y]) / 512
    radius = np.hypot(anatomy.fovea_x - anatomy.disc_x, anatomy.fovea_y - anatomy.disc_y) / 512
    for tree in trees:
        assert np.hypot(*(tree.end - fovea).T).min() > 0.13 * radius


def test_both_halves_are_supplied_alike(anatomy, planes):
    distance, below = fovea_frame(anatomy)
    beside = distance < 1.2
    above, under = beside & (below < -0.1), beside & (below > 0.1)
    halves = np.array([[(plane[half] > 0.2).mean() for half in (above, under)] for plane in planes])
    assert (halves > 0.05).all()
    assert 0.8 < halves[:, 0].mean() / halves[:, 1].mean() < 1.25


def test_arcades_bow_around_the_fovea(anatomy, trees):
    """Short of the fovea, the arcades run at more than 0.45 disc-fovea distances above and below it."""
    length = np.hypot(anatomy.fovea_x - anatomy.disc_x, anatomy.fovea_y - anatomy.disc_y)
    halves = 0
    for tree in trees:
        trunk = tree.end[tree.depth == 0] * 512
        beside = trunk[np.abs(trunk[:, 0] - (anatomy.disc_x + 0.6 * length)) < 12]
        heights = (beside[:, 1] - anatomy.fovea_y) / length
        assert np.abs(heights).min() > 0.45
        halves += int((heights < 0).any()) + int((heights > 0).any())
    assert halves > 1.5 * len(trees)  # the rest has left through the rim by then


# -- sides, sizes --------------------------------------------------------------------------------------------------


def test_the_right_eye_is_the_left_one_mirrored():
    left = grow_vessels(empty_map(512, "left"), 5, SHIPPED)
    right = grow_vessels(empty_map(512, "right"), 5, SHIPPED)
    assert similarity(left[:, ::-1], right) > 0.98


def test_one_tree_is_one_picture_at_every_size(trees):
    for tree in trees[:4]:
        full = draw_vessels(tree, 1024, blur=SHIPPED.blur)
        for size in (128, 256, 512):
            small = full.reshape(size, 1024 // size, size, 1024 // size).mean((1, 3))
            assert similarity(draw_vessels(tree, size, blur=SHIPPED.blur), small) > 0.97


def test_a_map_half_the_size_has_the_same_eye():
    for seed in range(3):
        large, small = (grow_vessels(empty_map(size, "left"), seed, SHIPPED) for size in (512, 256))
        assert similarity(large.reshape(256, 2, 256, 2).mean((1, 3)), small) > 0.8


def test_planes_are_soft_and_within_range(planes):
    for plane in planes:
        assert plane.min() == 0 and plane.max() == 1 and np.isfinite(plane).all()
        assert ((plane > 0.05) & (plane < 0.95)).sum() > (plane >= 0.95).sum()
    corner = np.hypot(*(np.mgrid[:512, :512] - 255.5)) > 252
    assert all((plane[corner] == 0).all() for plane in planes)


def test_the_same_tree_is_drawn_on_an_enlarged_map():
    label_map = empty_map(256, "left")
    label_map[100:140, 100:150] = HE
    large = label_map.repeat(2, 0).repeat(2, 1)
    assert grow_vessels(label_map, 3, SHIPPED, 2) == pytest.approx(grow_vessels(large, 3, SHIPPED), abs=1e-6)
    shown = visible_vessels(label_map, 3, SHIPPED, 2)
    assert shown == pytest.approx(visible_vessels(large, 3, SHIPPED), abs=1e-6)
    assert shown.any() and not shown[large == HE].any()


def test_odd_sizes_are_drawn(trees):
    for size in (1, 3, 100, 300, 513):
        assert draw_vessels(trees[0], size).shape == (size, size)
    with pytest.raises(ValueError, match="size is 0"):
        draw_vessels(trees[0], 0)


def test_an_empty_tree_is_an_empty_plane(trees):
    arrays = [name for name in VesselTree.__dataclass_fields__ if name not in ("share", "tone")]
    nothing = VesselTree(*(getattr(trees[0], name)[:0] for name in arrays))
    assert not draw_vessels(nothing, 64).any()


# -- maps that people draw -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "radius"),
    [
        (0.5, 0.5, 0.09),
        (0.5, 0.1, 0.09),
        (0.5, 0.93, 0.09),
        (0.02, 0.5, 0.09),
        (0.97, 0.5, 0.09),
        (0.3, 0.5, 0.02),
        (0.4, 0.5, 0.4),
    ],
)
def test_a_disc_anywhere_of_any_size_grows_a_bounded_tree(x: float, y: float, radius: float):
    label_map = empty_map(128, None)
    rows, columns = np.mgrid[:128, :128] + 0.5
    label_map[(np.hypot(columns - 128 * x, rows - 128 * y) < 128 * radius) & (label_map == VB)] = OD
    found = find_anatomy(label_map)
    for seed in range(3):
        tree = grow_tree(found, seed, SHIPPED.gaps)
        assert 400 < len(tree.radius) < MAX_NODES
        plane = draw_vessels(tree, 128, blur=SHIPPED.blur)
        assert 0.02 < (plane > 0.2).mean() < 0.3


def test_without_a_disc_vessels_enter_through_the_rim():
    label_map = empty_map(256, None)
    plane = grow_vessels(label_map, 2, SHIPPED)
    y, x = np.mgrid[:256, :256] - 127.5
    ring = (np.hypot(x, y) > 112) & (np.hypot(x, y) < 122)
    assert (plane > 0.5)[ring & (x < 60)].any()
    assert (plane > 0.2).mean() > 0.03
    tree = grow_tree(find_anatomy(label_map), 2, SHIPPED.gaps)
    assert (tree.start[tree.parent < 0][:, 0] < 0).all()


def test_one_pixel_is_no_disc():
    with_pixel = empty_map(512, None)
    with_pixel[200, 300] = OD
    assert np.array_equal(grow_vessels(with_pixel, 4, SHIPPED), grow_vessels(empty_map(512, None), 4, SHIPPED))


def test_of_two_discs_only_the_largest_bears_vessels():
    label_map = empty_map(256, "left")
    single = grow_vessels(label_map, 1, SHIPPED)
    label_map[120:130, 200:210] = OD
    assert np.array_equal(grow_vessels(label_map, 1, SHIPPED), single)


@pytest.mark.parametrize("value", [BG, VB, HE, OD])
@pytest.mark.parametrize("size", [1, 64])
def test_maps_of_one_class(value: int, size: int):
    plane = grow_vessels(np.full((size, size), value, dtype=np.uint8), 0)
    assert plane.shape == (size, size) and np.isfinite(plane).all()
    assert plane.any() == (value != BG)


def test_nothing_is_drawn_on_background():
    label_map = empty_map(128, "left")
    label_map[40:60, 30:90] = BG
    assert not grow_vessels(label_map, 0, SHIPPED)[label_map == BG].any()


def test_an_impossible_fovea_is_refused(anatomy):
    with pytest.raises(ValueError, match="apart"):
        grow_tree(replace(anatomy, fovea_x=anatomy.disc_x, fovea_y=anatomy.disc_y), 0)
