"""One eye through the grades."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from retinagan.eye.ridges import vesselness
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG, EX, HE, LESIONS, MA, OD, VB, empty_map, map_with_disc
from retinagan.maps.parts import field_of_view
from retinagan.maps.progression import bring_lesions, frames_between, progression
from retinagan.pipeline import RetinaGAN
from retinagan.seeds import NUM_GRADES

SIZE = 128


def with_blots(label_map: np.ndarray, label: int, count: int, seed: int, side: int = 4) -> np.ndarray:
    """``label_map`` with square lesions on free retina."""
    rng = np.random.default_rng(seed)
    label_map = label_map.copy()
    while count:
        y, x = rng.integers(20, SIZE - 20, 2)
        if (label_map[y : y + side, x : x + side] == VB).all():
            label_map[y : y + side, x : x + side] = label
            count -= 1
    return label_map


@pytest.fixture
def maps():
    """Grades 0-4; grade 2 and 4 are right eyes, the discs of all differ."""
    eyes = [map_with_disc(SIZE, x, 60 + n, 11 + n / 2) for n, x in enumerate((26, 30, 100, 24, 96))]
    eyes[0] = with_blots(eyes[0], MA, 1, 0, 2)
    eyes[1] = with_blots(eyes[1], MA, 5, 1, 2)
    eyes[2] = with_blots(with_blots(eyes[2], MA, 6, 2, 2), HE, 4, 3)
    eyes[3] = with_blots(with_blots(eyes[3], HE, 12, 4), EX, 8, 5)
    eyes[4] = with_blots(with_blots(eyes[4], HE, 14, 6), EX, 12, 7)
    return eyes


def test_the_disc_stays_and_lesions_only_gather(maps):
    stages = progression(maps, 3)
    assert stages.shape == (5, SIZE, SIZE) and stages.dtype == np.uint8
    assert not np.isin(stages[0], LESIONS).any(), "grade 0 is healthy whatever its map held"
    for before, after in zip(stages[:-1], stages[1:], strict=True):
        assert np.array_equal(before == OD, after == OD) and np.array_equal(before == BG, after == BG)
        lesions = np.isin(before, LESIONS)
        assert np.array_equal(after[lesions], before[lesions]), "what was there stays"
        assert np.isin(after, LESIONS).sum() > lesions.sum(), "and something is added"
    assert np.array_equal(stages[0] == OD, maps[0] == OD)


def test_each_grade_is_as_diseased_as_its_own_map(maps):
    stages = progression(maps, 3)
    for stage, own in zip(stages[2:], maps[2:], strict=True):
        for label in (EX, HE):
            area, wanted = (stage == label).sum(), (own == label).sum()
            assert area <= 1.5 * wanted + 16 and area >= 0.7 * wanted, "not the sum of all grades before"


def test_lesions_are_mirrored_and_moved_with_the_disc():
    left = map_with_disc(SIZE, 30, 60, 12)
    right = map_with_disc(SIZE, 90, 70, 12)
    right[80:84, 60:66] = HE  # 24 to 30 pixels temporal of the disc's centre, 10 below it
    brought = bring_lesions(right, left)
    rows, columns = np.nonzero(brought == HE)
    own = find_anatomy(left)
    assert (rows.min(), rows.max()) == (70, 73)
    assert columns.min() == round(own.disc_x) + 24 and columns.max() == round(own.disc_x) + 29
    assert set(np.unique(brought)) == {BG, HE, VB}
    assert np.array_equal(bring_lesions(left, left) == BG, left == BG)


def test_what_falls_off_the_field_or_on_the_disc_is_left_out():
    eye = map_with_disc(SIZE, 30, 60, 12)
    other = map_with_disc(SIZE, 50, 60, 12)
    other[60:64, 14:18] = HE  # left of its disc; on the eye it would lie outside the field
    other[60:64, 70:74] = EX
    brought = bring_lesions(other, eye)
    assert not (brought == HE).any() and (brought == EX).sum() == 16
    no_disc = np.where(other == OD, VB, other).astype(np.uint8)
    no_disc[60:64, 28:32] = HE
    assert not (bring_lesions(no_disc, eye)[eye == OD] == HE).any()


def test_the_seed_says_which_lesions_come_first(maps):
    assert np.array_equal(progression(maps, 3), progression(maps, 3))
    assert not np.array_equal(progression(maps, 3), progression(maps, 4))


def test_frames_add_lesions_one_after_another(maps):
    stages = progression(maps, 3)
    frames = frames_between(stages, 4, 3)
    assert len(frames) <= 17 and np.array_equal(frames[0][1], stages[0]) and np.array_equal(frames[-1][1], stages[-1])
    for (grade, before), (next_grade, after) in zip(frames[:-1], frames[1:], strict=True):
        changed = before != after
        assert changed.any() and next_grade >= grade
        assert (before[changed] == VB).all() and np.isin(after[changed], LESIONS).all()
    for grade, stage in enumerate(stages):
        last = [label_map for number, label_map in frames if number == grade][0]
        assert np.array_equal(last, stage), "each grade begins with its own stage, whole"
    assert [grade for grade, _ in frames_between(stages, 1, 3)] == [0, 1, 2, 3, 4]
    assert len(frames_between(np.stack([stages[0]] * 3), 4, 3)) == 3, "nothing is rendered twice without a change"


def test_what_is_no_progression_is_refused(maps):
    with pytest.raises(ValueError, match="at least one map"):
        progression([], 0)
    with pytest.raises(ValueError, match="one size"):
        progression([maps[0], empty_map(64)], 0)
    with pytest.raises(ValueError, match="seed is -1"):
        progression(maps, -1)
    with pytest.raises(ValueError, match="per_step is 0"):
        frames_between(np.stack(maps), 0, 0)


@pytest.fixture(scope="module")
def model():
    return RetinaGAN.from_pretrained(device="cpu")


@pytest.mark.parametrize("seed", [7, 3])
def test_the_photographs_show_the_same_vessels_at_every_grade(model, seed):
    stages = progression([model.sample_maps(grade, [seed])[0] for grade in range(NUM_GRADES)], seed)
    photos = model.render(stages[[0, 2, 4]], [seed] * 3)
    healthy = vesselness(photos[0])
    for label_map, photo in zip(stages[[2, 4]], photos[1:], strict=True):
        lesions = ndimage.binary_dilation(np.isin(label_map, LESIONS), iterations=6)
        clear = field_of_view(model.size) & ~lesions
        assert clear.mean() > 0.5
        same = np.corrcoef(healthy[clear], vesselness(photo, label_map)[clear])[0, 1]
        assert same >= 0.9
    other = model.render(stages[:1], [seed + 1])[0]
    assert np.corrcoef(healthy.ravel(), vesselness(other).ravel())[0, 1] < 0.6, "another eye has other vessels"
