"""Edits of maps and what they should do to a photograph, with painters that do it right and wrong."""

import numpy as np

from retinagan.evaluation.criteria import CHANGE, SEEN
from retinagan.evaluation.same_eye import ClassEdits, SameEye, change_outside, compare_edit, edited_maps
from retinagan.maps.labels import BG, EX, HE, LESIONS, OD, VB, empty_map

SIZE = 256
MOST_CHANGE, LEAST_RIGHT = CHANGE.most, SEEN.least
LEVELS = {BG: 0, VB: 100, OD: 200, EX: 150, HE: 60}


def lesion_map():
    label_map = empty_map(SIZE, "left")
    label_map[60:70, 120:130] = EX
    label_map[150:162, 150:160] = HE
    return label_map


def paint(label_map, style=0, levels=LEVELS):
    green = np.vectorize(levels.get)(label_map) + np.random.default_rng(style).integers(-3, 4, label_map.shape)
    return np.where(label_map == BG, 0, green).astype(np.uint8)[..., None].repeat(3, 2)


def summary(edits):
    return SameEye.of(edits, True).edits


def edits(painter):
    label_map = lesion_map()
    photo = painter(label_map)
    return [compare_edit(name, label_map, photo, m, painter(m)) for name, m in edited_maps(label_map).items()]


def test_edits_move_lesions_and_nothing_else():
    label_map = lesion_map()
    edited = edited_maps(label_map)
    assert list(edited) == ["removed", "mirrored", "moved"]
    for changed in edited.values():
        assert ((changed == OD) == (label_map == OD)).all() and ((changed == BG) == (label_map == BG)).all()
    assert not np.isin(edited["removed"], LESIONS).any()
    assert (edited["mirrored"] == EX).sum() == (label_map == EX).sum() and (
        edited["mirrored"][186:196, 120:130] == EX
    ).all()
    assert (edited["moved"][60 + 23 : 70 + 23, 120 - 15 : 130 - 15] == EX).all() and (
        edited["moved"] == HE
    ).sum() == 120


def test_lesions_never_come_to_lie_on_the_disc_or_outside_the_field():
    label_map = lesion_map()
    y, x = np.argwhere(label_map == OD).mean(0).astype(int)
    label_map[SIZE - 1 - y - 3 : SIZE - 1 - y + 3, x - 3 : x + 3] = HE  # the disc, mirrored
    label_map[230:250, 124:132] = EX  # near the rim
    edited = edited_maps(label_map)
    for changed in edited.values():
        assert ((changed == OD) == (label_map == OD)).all() and ((changed == BG) == (label_map == BG)).all()


def test_an_eye_that_stays_the_same_eye_passes():
    table = summary(edits(paint))
    assert table["all"].n == 3 and table["all"].worst == 0 <= MOST_CHANGE
    assert table["all"].right == 1 >= LEAST_RIGHT and table["all"].gone == 1
    assert table["removed"].lesions == 0 and table["removed"].right is None and table["removed"].freed == 2
    assert table["mirrored"].classes["EX"] == ClassEdits(right=1, gone=1)


def test_another_eye_for_another_map_is_told():
    def painter(label_map):
        return np.clip(paint(label_map) + np.int16(20 * np.isin(label_map, LESIONS).any()), 0, 255).astype(np.uint8)

    table = summary(edits(painter))
    assert table["removed"].change > MOST_CHANGE >= table["moved"].change
    assert table["all"].worst == table["removed"].change


def test_lesions_that_are_not_drawn_or_stay_are_told():
    pale = summary(edits(lambda m: paint(m, levels=LEVELS | {HE: 130})))  # bleedings brighter than the retina
    assert pale["all"].classes["HE"].right == 0 and pale["all"].right < LEAST_RIGHT
    burnt = summary(edits(lambda m: np.where(lesion_map()[..., None] == EX, 150, paint(m)).astype(np.uint8)))
    assert burnt["removed"].classes["EX"].gone == 0 and burnt["all"].gone < LEAST_RIGHT


def test_change_is_measured_away_from_both_maps_lesions():
    label_map = lesion_map()
    after = paint(label_map).astype(int)
    after[58:72, 118:132] += 50  # an exudate with half of its margin of four pixels at this side
    assert change_outside(paint(label_map), after.astype(np.uint8), label_map) == 0
    assert change_outside(paint(label_map), after.astype(np.uint8), edited_maps(label_map)["removed"]) > 0
