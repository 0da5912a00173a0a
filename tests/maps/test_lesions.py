"""Lesions by number: exact counts, realistic sizes, nothing touched that should stay, the same seed the same map."""

from __future__ import annotations

import numpy as np
import pytest

from retinagan.app import examples
from retinagan.files import provenance
from retinagan.files.maps import read_map_png
from retinagan.maps import lesions
from retinagan.maps.labels import BG, EX, HE, LESIONS, MA, OD, SE, VB, empty_map
from retinagan.maps.measure import QUADRANTS, icdr_signs, measure
from retinagan.maps.parts import field_of_view


@pytest.fixture(scope="module")
def eye():
    return empty_map(512, "left")


@pytest.mark.parametrize("label", LESIONS)
def test_lesions_are_added_and_removed_by_number(eye, label):
    added = lesions.add_lesions(eye, label, 17, 3)
    assert lesions.count_lesions(added, label) == 17
    assert np.array_equal(added, lesions.add_lesions(eye, label, 17, 3))
    assert not np.array_equal(added, lesions.add_lesions(eye, label, 17, 4))
    changed = added != eye
    assert (added[changed] == label).all() and (eye[changed] == VB).all(), "plain retina alone is painted"
    fewer = lesions.remove_lesions(added, label, 10, 5)
    assert lesions.count_lesions(fewer, label) == 7 and (added[fewer == label] == label).all()
    assert np.array_equal(lesions.remove_lesions(added, label, 99, 5), eye), "all, and the eye is as before"
    for count in (0, 5, 17, 30):
        assert lesions.count_lesions(lesions.set_count(added, label, count, 1), label) == count


def test_classes_do_not_touch_each_other(eye):
    label_map = eye
    for label in LESIONS:
        label_map = lesions.add_lesions(label_map, label, 12, label)
    for label in LESIONS:
        assert lesions.count_lesions(label_map, label) == 12
    assert (label_map == OD).sum() == (eye == OD).sum()


def test_sizes_are_those_of_annotated_lesions(eye):
    medians = {}
    for label in LESIONS:
        areas = measure(lesions.add_lesions(eye, label, 40 if label == SE else 120, 1)).lesions[label].areas
        medians[label] = np.median(areas)
    assert 7 <= medians[MA] <= 14 and 6 <= medians[EX] <= 18 and 35 <= medians[HE] <= 85 and 120 <= medians[SE] <= 300
    microaneurysms = measure(lesions.add_lesions(eye, MA, 120, 1)).lesions[MA].areas
    assert max(microaneurysms) <= 32 and min(microaneurysms) >= 2, "2 to about 6 pixels across"


def test_sizes_follow_the_map():
    areas = []
    for size in (256, 1024):
        areas.append((lesions.add_lesions(empty_map(size), HE, 40, 2) == HE).mean())
    assert areas[1] == pytest.approx(areas[0], rel=0.4)


def test_no_room_is_said(eye):
    region = np.zeros(eye.shape, bool)
    region[250:262, 300:312] = True
    with pytest.raises(ValueError, match=r"room for \d+ more of soft exudate, not for 9"):
        lesions.add_lesions(eye, SE, 9, 0, region)
    with pytest.raises(ValueError, match="no free retina"):
        lesions.spray(eye, HE, eye == OD, 0)


@pytest.mark.parametrize("label", [BG, OD, VB, 9])
def test_what_is_no_lesion_is_refused(eye, label):
    for call in (lesions.count_lesions, lambda m, c: lesions.add_lesions(m, c, 1, 0)):
        with pytest.raises(ValueError, match="is no lesion"):
            call(eye, label)
    for count in (-1, 5000):
        with pytest.raises(ValueError, match="count is"):
            lesions.set_count(eye, HE, count, 0)


def test_a_spray_of_retina_removes_whole_lesions_that_it_touches(eye):
    label_map = eye.copy()
    label_map[300:320, 300:320] = HE
    label_map[300:320, 400:420] = EX
    region = np.zeros(eye.shape, bool)
    region[310:312, 318:330] = True
    swept = lesions.spray(label_map, VB, region, 0)
    assert not (swept == HE).any() and (swept == EX).sum() == 400
    with pytest.raises(ValueError, match="cannot be sprayed"):
        lesions.spray(label_map, OD, region, 0)


def test_without_lesions_retina_and_disc_are_whole(eye):
    label_map = eye.copy()
    label_map[240:250, 60:180] = HE  # across the disc and its edges
    label_map[100:120, 300:330] = SE
    healed = lesions.lesion_free(label_map)
    assert set(np.unique(healed)) == {BG, OD, VB}
    assert (healed != eye).sum() <= 12, "but for a few pixels of the disc's edge, the eye is as before"


def test_the_disc_moves_and_lesions_stay(eye):
    label_map = eye.copy()
    label_map[230:300, 380:390] = HE
    moved = lesions.move_disc(label_map, 385, 260)
    assert np.array_equal(moved == HE, label_map == HE)
    assert ((moved == OD) | (moved == HE)).sum() >= (eye == OD).sum()
    assert not (moved[200:300, 60:160] == OD).any(), "nothing of the old disc is left"
    back = lesions.move_disc(moved, 112.64, 245.76)
    assert (back != label_map).sum() < 0.02 * (eye == OD).sum()
    bare = lesions.move_disc(empty_map(512, None), 300, 200)
    assert (bare == OD).sum() == pytest.approx((eye == OD).sum(), rel=0.02)
    rim = lesions.move_disc(eye, 500, 256)
    assert (rim[~field_of_view(512)] == BG).all() and 0 < (rim == OD).sum() < (eye == OD).sum()


@pytest.mark.parametrize("size", [64, 65, 512])
def test_the_mirror_keeps_the_field_exact(size):
    label_map = empty_map(size, "left")
    label_map[size // 2 : size // 2 + 4, size // 4 : size // 4 + 6] = HE
    turned = lesions.mirror(label_map)
    assert np.array_equal(turned == BG, ~field_of_view(size))
    assert (turned == HE).sum() == 24 and np.array_equal(turned == HE, (label_map == HE)[:, ::-1])
    assert np.flatnonzero((turned == OD).any(axis=0)).mean() > size / 2
    assert np.array_equal(lesions.mirror(turned), label_map)


def test_the_bundled_maps_are_those_that_the_code_draws():
    for name, example in examples.EXAMPLES.items():
        png = (examples.FOLDER / f"{name}.png").read_bytes()
        label_map = read_map_png(png, None)
        assert np.array_equal(label_map, example.draw()), f"{name}: run python -m retinagan.app.examples"
        assert provenance.read_png(png).map_sha256 == provenance.map_digest(label_map)


def test_the_bundled_maps_show_what_their_names_say():
    found = {name: measure(examples.read(name)) for name in examples.EXAMPLES}
    counts = {name: {c: m.lesions[c].count for c in LESIONS} for name, m in found.items()}
    assert sum(counts["healthy"].values()) == 0
    assert counts["mild"] == {EX: 0, HE: 0, SE: 0, MA: 9}
    assert counts["moderate"][HE] == 14 and counts["moderate"][SE] == 0
    assert counts["circinate"][EX] > 80 and counts["cotton-wool"][SE] == 7
    assert all(found["severe"].lesions[HE].quadrants[name][0] > 20 for name in QUADRANTS)
    severe = [sign.met for sign in icdr_signs(found["severe"]) if "20 haemorrhages" in sign.name]
    assert severe == [True]
