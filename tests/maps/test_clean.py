"""Generated maps made exact: the field, one disc, no specks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage, optimize
from skimage.measure import regionprops
from skimage.morphology import convex_hull_image

from retinagan.maps.clean import DISC_SMOOTHING, LEAST_AXIS_RATIO, clean_map, smooth_disc, without_excluded
from retinagan.maps.labels import BG, EX, HE, MA, NUM_CLASSES, OD, SE, VB, empty_map
from retinagan.maps.parts import field_of_view, largest_part, round_disc

square_maps = st.integers(4, 16).flatmap(
    lambda n: hnp.arrays(np.uint8, (n, n), elements=st.integers(0, NUM_CLASSES - 1))
)


@settings(deadline=None)
@given(square_maps)
def test_clean_map_is_exact(label_map):
    before = label_map.copy()
    cleaned = clean_map(label_map)
    field = field_of_view(len(label_map))
    assert np.array_equal(label_map, before)
    assert np.array_equal(cleaned == BG, ~field)
    assert (ndimage.label(cleaned == OD)[1] > 0) == ((label_map == OD) & field).any()
    lesion = field & np.isin(label_map, (EX, HE, MA)) & (cleaned != OD)
    assert np.array_equal(cleaned[lesion], label_map[lesion])


def test_clean_map_knows_no_specks_of_soft_exudate():
    label_map = empty_map(512, "left")
    label_map[200:204, 300:304] = SE  # 16 pixels
    label_map[300:306, 300:306] = SE
    label_map[400, 300] = MA
    cleaned = clean_map(label_map)
    assert (cleaned[200:204, 300:304] == VB).all() and (cleaned[300:306, 300:306] == SE).all()
    assert cleaned[400, 300] == MA
    small = empty_map(128, None)
    small[50:52, 60] = SE  # as large as 32 pixels at 512
    assert (clean_map(small)[50:52, 60] == SE).all()


def test_clean_map_draws_the_disc_as_an_annotator_would():
    y, x = np.mgrid[:256, :256] + 0.5
    circle = np.hypot(x - 60, y - 128) < 20
    angle = np.arctan2(y - 128, x - 60)
    ragged = np.hypot(x - 60, y - 128) < 20 + 5 * np.sin(11 * angle)
    label_map = empty_map(256, None)
    label_map[ragged] = OD
    cleaned = clean_map(label_map) == OD
    assert (cleaned != circle).sum() < 0.35 * (ragged != circle).sum()
    at_rim = empty_map(256, None)
    at_rim[(np.hypot(x - 5, y - 128) < 20) & (at_rim == VB)] = OD
    assert ((clean_map(at_rim) == OD) != (at_rim == OD)).sum() < 0.08 * (at_rim == OD).sum()  # the rim does not eat it


@pytest.mark.parametrize("angle", [0, 35, 90])
@pytest.mark.parametrize("long, short", [(24, 21), (34, 14)])
def test_discs_are_ovals_of_their_own_direction_and_no_longer_than_real_ones(angle, long, short):
    y, x = np.mgrid[:256, :256] + 0.5
    turn = np.radians(angle)
    along, across = (
        (x - 90) * np.cos(turn) + (y - 120) * np.sin(turn),
        (y - 120) * np.cos(turn) - (x - 90) * np.sin(turn),
    )
    drawn = np.maximum(abs(along) / long, abs(across) / short) <= 0.886  # a box of the ellipse's area
    cleaned = clean_map(np.where(drawn, OD, empty_map(256, None)).astype(np.uint8)) == OD
    (found,) = regionprops(cleaned.astype(int))
    ratio = found.axis_minor_length / found.axis_major_length
    assert ratio == pytest.approx(max(short / long, LEAST_AXIS_RATIO), abs=0.03)
    assert found.area == pytest.approx(drawn.sum(), rel=0.06)
    assert found.centroid == pytest.approx((119.5, 89.5), abs=0.7)
    assert abs(np.degrees(found.orientation - (np.pi / 2 - turn)) % 180) % 179 < 8
    ellipse = (
        np.hypot(*np.divide((along, across), np.sqrt(found.area / np.pi / ratio) * np.array([1, ratio])[:, None, None]))
        <= 1
    )
    assert (ellipse ^ cleaned).sum() < 0.04 * found.area


def test_a_disc_that_the_rim_cuts_goes_on_as_a_circle():
    y, x = np.mgrid[:256, :256] + 0.5
    eye = empty_map(256, None)
    circle = (np.hypot(x - 8, y - 128) < 22) & (eye == VB)
    pointed = circle | ((abs(y - 128) < (46 - x) / 2) & (x > 20) & (eye == VB))  # a beak towards the middle
    cleaned = clean_map(np.where(pointed, OD, eye).astype(np.uint8)) == OD
    assert cleaned.sum() == pytest.approx(pointed.sum(), rel=0.2)
    ys, xs = np.nonzero(cleaned & ~ndimage.binary_erosion(cleaned) & (np.hypot(x - 128, y - 128) < 125))
    middle_x = optimize.minimize_scalar(lambda at: np.hypot(xs + 0.5 - at, ys - 127.5).std(), (-10, 20)).x
    assert np.hypot(xs + 0.5 - middle_x, ys - 127.5).std() < 0.5  # no beak any more


def test_clean_map_keeps_the_largest_disc_and_fills_its_holes():
    label_map = empty_map(64, "left")
    disc = label_map == OD
    row, column = (int(v.mean()) for v in np.nonzero(disc))
    label_map[row, column] = VB
    label_map[row, column + 2] = HE
    label_map[30:33, 50:53] = OD
    cleaned = clean_map(label_map)
    assert cleaned[row, column] == OD
    assert cleaned[row, column + 2] == OD  # annotators draw discs whole
    assert (cleaned[30:33, 50:53] == VB).all()
    assert ndimage.label(cleaned == OD)[1] == 1
    with pytest.raises(ValueError, match=r"square, got \(4, 6\)"):
        clean_map(np.zeros((4, 6), dtype=np.uint8))


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(bool, (12, 12)),
    st.integers(64, 200),
    st.floats(-0.05, 1.05),
    st.floats(-0.05, 1.05),
    st.floats(0.001, 0.3),
)
def test_a_disc_is_smoothed_as_on_the_whole_map(ragged, size, x, y, radius):
    """Gaussian and hull of the disc's surroundings alone are those of the whole picture."""
    disc = round_disc((size, size), x * size, y * size, radius * size)
    row, column = (int(np.clip(at * size - 6, 0, size - 12)) for at in (y, x))
    disc[row : row + 12, column : column + 12] ^= ragged
    field = field_of_view(size)
    share, soft = (ndimage.gaussian_filter(m.astype(np.float32), DISC_SMOOTHING * size) for m in (disc, field))
    smooth = (share > 0.5 * soft) & field
    expected = convex_hull_image(largest_part(smooth, corners=False)) & field if smooth.any() else disc & field
    assert np.array_equal(smooth_disc(disc), expected)


def test_grades_exclude_lesions_by_definition():
    label_map = empty_map(64, "left")
    label_map[20, 30:34] = (EX, HE, SE, MA)
    assert np.array_equal(without_excluded(label_map, 0), empty_map(64, "left"))
    assert without_excluded(label_map, 1)[20, 30:34].tolist() == [VB, VB, VB, MA]
    for grade in (2, 3, 4):
        assert without_excluded(label_map, grade) is label_map
    assert label_map[20, 30] == EX
