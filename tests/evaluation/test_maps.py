"""The evaluation of lesion maps, on maps and numbers whose figures are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from retinagan.data.prepare import MANIFEST_COLUMNS
from retinagan.evaluation import grading, maps, maps_table
from retinagan.evaluation.descriptors import (
    DESCRIPTORS,
    Measured,
    describe,
    grid,
    quartiles,
    summarise,
    wilson_interval,
)
from retinagan.evaluation.maps_distances import coverage, frechet_ratio, neighbour_distances
from retinagan.evaluation.nearest import NearestMaps
from retinagan.maps.labels import EX, HE, LESIONS, MA, OD, PALETTE, SE, VB, empty_map, field_of_view
from retinagan.maps.measure import measure
from tests.helpers import tiny_model

SIZE = 256


def scattered(seed: int, count: int = 25, size: int = SIZE, disc: str = "left") -> np.ndarray:
    """A map with ``count`` round lesions of all classes at random places well inside the field."""
    rng = np.random.default_rng(seed)
    label_map = empty_map(size, disc)
    y, x = np.mgrid[:size, :size] + 0.5
    for number in range(count):
        angle, distance = rng.uniform(0, 2 * np.pi), 0.42 * size * np.sqrt(rng.uniform())
        centre = size / 2 + distance * np.array([np.sin(angle), np.cos(angle)])
        inside = np.hypot(y - centre[0], x - centre[1]) <= rng.uniform(0.006, 0.02) * size
        label_map[inside & (label_map == VB)] = LESIONS[number % 4]
    return label_map


def described(label_map: np.ndarray) -> dict[str, float]:
    return dict(zip(DESCRIPTORS, describe(measure(label_map), label_map), strict=True))


# --- descriptors ----------------------------------------------------------------------------------------------------


def test_descriptors_of_a_map_drawn_by_hand():
    label_map = empty_map(512)
    label_map[100:104, 300:305] = EX
    label_map[120:122, 300:302] = EX
    found = described(label_map)
    assert found["EX count"] == pytest.approx(np.log(3))
    assert found["EX area"] == pytest.approx(np.log(25)) and found["EX largest"] == pytest.approx(np.log(21))
    assert found["HE count"] == found["MA area"] == found["SE largest"] == 0
    x, y = measure(label_map).fovea
    distance = (np.hypot(302.5 - x, 102 - y) + np.hypot(301 - x, 121 - y)) / 1024
    assert found["bright to fovea"] == pytest.approx(0.3 + (distance - 0.3) * 2 / 12)  # two lesions say little
    assert found["red to fovea"] == 0.3
    assert found["superior share"] == pytest.approx(0.5 + 0.5 * 2 / 12)
    assert found["disc radius"] == pytest.approx(0.092, rel=0.01) and found["disc x"] == pytest.approx(0.22, abs=0.002)


def test_descriptors_are_those_of_the_mirror_image_and_of_the_enlarged_map():
    label_map = scattered(1)
    own = np.array(list(described(label_map).values()))
    np.testing.assert_allclose(list(described(label_map[:, ::-1].copy()).values()), own, atol=1e-9)
    large = np.kron(label_map, np.ones((2, 2), np.uint8))
    np.testing.assert_allclose(list(described(large).values()), own, atol=0.02)  # pixels on the disc's own circle


def test_descriptors_of_maps_without_a_disc_or_anything_are_finite():
    for label_map in (empty_map(SIZE), empty_map(SIZE, None), np.zeros((SIZE, SIZE), np.uint8)):
        assert np.isfinite(list(described(label_map).values())).all()


def test_rows_and_columns_show():
    rng = np.random.default_rng(0)
    ordered, free = empty_map(SIZE), empty_map(SIZE)
    rows, columns = rng.integers(50, 206, (2, 8))
    for y, x in zip(rng.choice(rows, 60), rng.choice(columns, 60), strict=True):
        ordered[y : y + 3, x : x + 3] = EX
    for y, x in rng.integers(50, 206, (60, 2)):
        free[y : y + 3, x : x + 3] = EX
    assert grid(ordered) > 0.5 and abs(grid(free)) < 0.4
    assert grid(empty_map(SIZE)) == 0
    turned = ndimage.rotate(ordered, 45, reshape=False, order=0)
    assert grid(turned) < -0.5


def test_summary_counts_shares_and_quartiles():
    with_two, with_one, none = empty_map(512), empty_map(512, "right"), empty_map(512)
    with_two[100:102, 300:302] = HE
    with_two[130:134, 300:302] = HE
    with_one[100:103, 200:202] = HE
    found = summarise(Measured.of([with_two, with_one, none], 512))
    lesion = found["lesions"]["HE"]
    assert found["n"] == 3 and lesion["share"] == pytest.approx(2 / 3) and lesion["number"] == [0.5, 1, 1.5]
    assert lesion["size"] == quartiles([4, 8, 6])
    assert found["burden"][1] == pytest.approx(6 / field_of_view(512).sum())
    assert sum(lesion["quadrants"].values()) == pytest.approx(1)
    assert found["disc"]["left"] == pytest.approx(2 / 3) and found["disc"]["share"] == 1
    assert found["lesions"]["EX"]["size"] is None and found["lesions"]["EX"]["quadrants"]["superior nasal"] is None
    nothing = summarise(Measured.of([], 512))
    assert nothing["n"] == 0 and nothing["burden"] is None and nothing["lesions"]["MA"]["share"] is None


def test_wilson_interval_against_published_values():
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263 and 0 of 20, score method.
    assert wilson_interval(81, 263) == pytest.approx([0.2553, 0.3662], abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx([0.0, 0.1611], abs=1e-4)
    assert wilson_interval(0, 0) is None


# --- distances ------------------------------------------------------------------------------------------------------


def test_frechet_ratio_is_one_for_one_distribution_and_grows_with_the_shift():
    rng = np.random.default_rng(0)
    real, same = rng.normal(size=(400, 20)), rng.normal(size=(300, 20))
    assert frechet_ratio(real, same, draws=20)["ratio"] == pytest.approx(1, abs=0.1)
    shifted = frechet_ratio(real, same + 2 * np.eye(20)[0], draws=20)
    assert shifted["n"] == 200
    # |difference of means|² = 4 stands out against what 200 samples leave to chance.
    assert shifted["generated"] - shifted["real"] == pytest.approx(4, abs=0.5)
    assert frechet_ratio(real, same, draws=2) == frechet_ratio(real, same, draws=2)


def test_frechet_ratio_takes_sets_of_one_size():
    rng = np.random.default_rng(0)
    assert frechet_ratio(rng.normal(size=(41, 2)), rng.normal(size=(7, 2)))["n"] == 7
    assert frechet_ratio(rng.normal(size=(9, 2)), rng.normal(size=(70, 2)))["n"] == 4


def test_coverage_of_a_set_by_itself_and_by_a_collapsed_one():
    real = np.random.default_rng(0).normal(size=(60, 4))
    by_itself = coverage(real, real)
    assert by_itself["coverage"] == 1 and by_itself["n"] == 60
    assert by_itself["expected"] == pytest.approx(0.971, abs=0.01)
    collapsed = coverage(real, np.tile(real[:1], (60, 1)))
    assert collapsed["coverage"] < 0.35
    assert coverage(real, real + 100)["coverage"] == 0
    assert coverage(real, real[:5]) is None


def test_neighbour_distances_show_copies():
    real = np.arange(5, dtype=float)[:, None]
    assert neighbour_distances(real, real + 0.25) == {"real": 1.0, "generated": 0.25}


# --- grading --------------------------------------------------------------------------------------------------------


def test_kappa_against_values_worked_out_by_hand():
    # Weights 0, 1, 4; observed disagreement 2·1 + 1·4 = 6 of 10; by chance (rows 4, 3, 3; columns 5, 2, 3):
    # (4·2 + 3·5 + 3·3 + 3·2)·1 + (4·3 + 3·5)·4 = 38 + 108 = 146, over n = 10: 14.6. Kappa = 1 - 6 / 14.6.
    table = np.array([[4, 0, 0], [0, 1, 2], [1, 1, 1]])
    by_hand = 1 - (2 * 1 + 1 * 1 + 1 * 4) / ((4 * 2 + 3 * 5 + 3 * 3 + 3 * 2 + (4 * 3 + 3 * 5) * 4) / 10)
    assert grading.weighted_kappa(table) == pytest.approx(by_hand)
    assert grading.weighted_kappa(np.diag([3, 4, 5])) == 1
    assert grading.weighted_kappa(np.outer([2, 4], [3, 3])) == pytest.approx(0)
    assert np.isnan(grading.weighted_kappa(np.diag([0, 7])))


def test_reweighting_gives_the_true_grades_the_frequencies_of_the_other_table():
    like = np.array([[8, 2], [0, 90]])
    table = grading.reweighted(np.array([[30, 10], [20, 20]]), like)
    np.testing.assert_allclose(table, [[7.5, 2.5], [45, 45]])
    low, high = grading.kappa_interval(like, like)
    assert low < grading.weighted_kappa(like) < high


def test_a_grader_learns_what_can_be_learnt_and_no_more():
    rng = np.random.default_rng(0)
    grades = np.repeat([0, 2, 3], 40)
    clear = rng.normal(size=(120, 3)) + grades[:, None] * 3
    predicted = grading.cross_validated(clear, grades, np.arange(120))
    assert (predicted == grades).mean() > 0.9
    noise = grading.cross_validated(rng.normal(size=(120, 3)), grades, np.arange(120))
    assert abs(grading.weighted_kappa(grading.confusion(grades, noise, 5))) < 0.3
    constant = np.concatenate([clear, np.ones((120, 1))], axis=1)
    assert (grading.fit_grader(constant, grades).predict(constant) == grades).mean() > 0.9


def test_photographs_of_one_eye_never_vouch_for_each_other():
    rng = np.random.default_rng(0)
    eyes = np.repeat(np.arange(30), 2)
    grades = np.repeat(rng.integers(0, 2, 30), 2)
    one_hot = np.eye(30)[eyes]  # tells the eye and nothing else
    leaked = grading.cross_validated(one_hot, grades, np.arange(60))
    honest = grading.cross_validated(one_hot, grades, eyes)
    assert (leaked == grades).mean() > 0.8
    assert (honest == grades).mean() < 0.7


def test_a_grader_needs_two_grades():
    with pytest.raises(ValueError, match="two or more grades"):
        grading.fit_grader(np.zeros((4, 2)), np.zeros(4, int))
    with pytest.raises(ValueError, match="fewer than 2 eyes"):
        grading.cross_validated(np.random.default_rng(0).normal(size=(9, 2)), np.array([0] * 8 + [1]), np.arange(9))


# --- nearest --------------------------------------------------------------------------------------------------------


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


# --- before clean-up ------------------------------------------------------------------------------------------------


def test_raw_maps_are_judged():
    good = empty_map(512)
    assert maps.judge_raw_map(good) == {
        "one_disc": True, "plausible_disc": True, "no_speck": True, "lesions_inside": True, "lesions_outside": 0,
    }  # fmt: skip
    speck = good.copy()
    speck[300, 300] = OD
    assert maps.judge_raw_map(speck)["one_disc"] and not maps.judge_raw_map(speck)["no_speck"]
    two = good.copy()
    two[300:320, 300:320] = OD
    assert not maps.judge_raw_map(two)["one_disc"] and not maps.judge_raw_map(two)["plausible_disc"]
    assert not maps.judge_raw_map(empty_map(512, None))["one_disc"]
    small = empty_map(512, None)
    small[300:320, 300:320] = OD
    assert maps.judge_raw_map(small)["one_disc"] and not maps.judge_raw_map(small)["plausible_disc"]
    small[5, 5] = small[300, 200] = MA
    assert maps.judge_raw_map(small)["lesions_outside"] == 0.5 and not maps.judge_raw_map(small)["lesions_inside"]


# --- the whole ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared folder of maps alone: 6 eyes of grade 0, 7 of grade 2, one of grade 3, one ungraded."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "maps").mkdir()
    lines = [",".join(MANIFEST_COLUMNS)]
    grades = [0] * 6 + [2] * 7 + [3, ""]
    for number, grade in enumerate(grades):
        label_map = empty_map(64) if grade == 0 else scattered(number, 6 if grade == 2 else 20, 64)
        picture = Image.fromarray(label_map, mode="P")
        picture.putpalette(PALETTE.ravel().tolist())
        picture.save(folder / "maps" / f"e{number:02}.png")
        row = dict.fromkeys(MANIFEST_COLUMNS, "") | {
            "id": f"e{number:02}", "eye": f"e{number}", "split": "heldout" if number in (5, 12) else "train",
            "grade": str(grade), "has_map": "1", "label": "disc" if grade == 0 else "pseudo" if number == 7 else "masks", "size": "64",
        }  # fmt: skip
        lines.append(",".join(row[name] for name in MANIFEST_COLUMNS))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def evaluated(prepared, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "deep"
    model = tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    return maps.evaluate(prepared, model, out, count=3, progress=False), out, model


def test_evaluation_tells_of_every_grade_even_without_real_maps(evaluated):
    figures, out, _ = evaluated
    assert json.loads((out / "maps.json").read_text()) == figures
    assert [row["real"]["n"] for row in figures["grades"]] == [6, 0, 7, 1, 0]
    assert [row["generated"]["n"] for row in figures["grades"]] == [3] * 5
    assert figures["real"] == {
        "n": 15, "splits": {"train": 13, "heldout": 2}, "labels": {"disc": 6, "masks": 8, "pseudo": 1}, "ungraded": 1,
    }  # fmt: skip
    assert figures["grades"][2]["real"]["lesions"]["EX"]["share"] == 1
    assert [row["descriptors"] for row in figures["distances"]] == [len(DESCRIPTORS) - 2] + [len(DESCRIPTORS)] * 4
    assert figures["distances"][2]["frechet"]["n"] == 3 and figures["distances"][3]["frechet"] is None
    assert figures["grader"]["grades"] == [0, 2] and figures["grader"]["real"]["n"] == 11
    assert figures["grader"]["generated"]["n"] == 6 and figures["nearest"]["train"] == 13
    assert figures["nearest"]["real_train"]["n"] == 8 and figures["nearest"]["real_train"]["max"] < 1
    assert figures["clean_up"]["n"] == 15
    names = {"maps.json"} | {f"maps-{n}.png" for n in ("shares", "burden", "places", "grading", "nearest", "sheet")}
    assert {path.name for path in out.iterdir()} == names
    for path in out.glob("*.png"):
        assert np.asarray(Image.open(path).convert("L")).std() > 1


def test_shares_of_predicted_maps_are_corrected_among_the_annotated_ones():
    rates = {
        "EX": {"with": 9, "sensitivity": 1.0, "without": 9, "specificity": 0.5},
        "SE": {"with": 0, "sensitivity": None, "without": 9, "specificity": 1.0},
    }
    summary = {"n": 10, "lesions": {"EX": {"share": 0.8}, "SE": {"share": 0.4}}}
    predicted = {"n": 5, "lesions": {"EX": {"share": 0.7}, "SE": {"share": 0.4}}}
    maps._correct(summary, predicted, rates)
    # (0.7 - 0.5) / 0.5 = 0.4 of the five predicted ones, 0.9 of the five annotated ones.
    assert summary["lesions"]["EX"]["corrected"] == pytest.approx((5 * 0.4 + 5 * 0.9) / 10)
    assert "corrected" not in summary["lesions"]["SE"]
    row = {"grade": 2, "real": summary | {"n": 10}, "generated": {"lesions": {"EX": {"share": 0.9}}}}
    summary["lesions"]["EX"]["interval"] = [0.5, 0.9]
    difference, text = maps_table._share_difference(row, "EX")
    assert difference == pytest.approx(0.25) and "corrected 0.65" in text


def test_table_states_n_and_what_is_missing(evaluated):
    text = maps.table(evaluated[0])
    assert "Synthetic, not for diagnosis" in text and "1 real                0  n = 0: no real maps" in text
    assert "no real maps of grade 1, 4" in text and "Left out for want of real training maps: grade 1" in text
    assert (
        "15 maps of both splits (2 heldout, 13 train), 1 without a grade" in text
        and "6 disc, 8 masks, 1 pseudo (" in text
    )
    assert "2 annotated alone     6" in text and "3 annotated alone" not in text
    assert "Time of 1000 maps on this machine" in text and "FGADR, published" in text
    assert max(len(line) for line in text.splitlines()) <= 132


def test_wrong_data_and_counts_are_refused(prepared, evaluated, tmp_path):
    model = evaluated[2]
    with pytest.raises(ValueError, match="count is 1; distances need 2"):
        maps.evaluate(prepared, model, tmp_path, 1, False)
    with pytest.raises(FileNotFoundError, match="python -m retinagan prepare"):
        maps.evaluate(tmp_path / "none", model, tmp_path, 2, False)
    broken = tmp_path / "data"
    (broken / "maps").mkdir(parents=True)
    (broken / "manifest.csv").write_text((prepared / "manifest.csv").read_text())
    with pytest.raises(FileNotFoundError, match="e00.png"):
        maps.read_map_set(broken)
    Image.new("L", (64, 64)).save(broken / "maps" / "e00.png")
    with pytest.raises(ValueError, match="e00.png is damaged or was changed"):
        maps.read_map_set(broken)
    (broken / "manifest.csv").write_text(",".join(MANIFEST_COLUMNS) + "\n")
    with pytest.raises(ValueError, match="holds no lesion map"):
        maps.read_map_set(broken)


# --- criteria -------------------------------------------------------------------------------------------------------


def good_figures() -> dict:
    """Figures that meet every criterion."""

    def row(grade: int, what: str) -> dict:
        shares = {"MA": 0.2 * grade, "HE": 0.1, "EX": 0.1, "SE": 0.1}
        lesions = {name: {"share": share, "interval": [0.0, 1.0]} for name, share in shares.items()}
        return {"n": 50, "burden": [0, 0.01 * grade, 1], "lesions": lesions}

    return {
        "grades": [{"grade": g, "real": row(g, "real"), "generated": row(g, "generated")} for g in range(5)],
        "mild": {"with_aneurysms": 1.0, "more_than_a_trace": 0.0},
        "grader": {"grades": [0, 1, 2, 3, 4], "real": {"kappa": 0.8}, "generated": {"kappa": 0.73}},
        "distances": [
            {"grade": g, "n": 50, "frechet": {"ratio": 2.0}, "coverage": {"coverage": 0.8}} for g in range(5)
        ],
        "nearest": {"copies": 0, "n": 900, "max": 0.3},
        "clean_up": {
            "n": 1000,
            **{k: {"one_disc": v, "plausible_disc": v, "lesions_inside": w, "lesions_outside": 1 - w}
               for k, v, w in (("before", 0.96, 0.9), ("after", 1.0, 1.0))},
        },
        "seconds_a_thousand": 300.0, "processor_seconds_a_thousand": 600.0,
    }  # fmt: skip


def verdicts(figures: dict) -> list[bool | None]:
    return [criterion["met"] for criterion in maps_table.criteria(figures)]


def test_all_criteria_can_be_met():
    assert verdicts(good_figures()) == [True] * 9


@pytest.mark.parametrize(
    "place, path, value",
    [
        (0, ("grades", 2, "generated", "lesions", "HE", "share"), 0.23),
        (1, ("grades", 2, "generated", "burden"), [0, 0.01, 1]),
        (2, ("mild", "more_than_a_trace"), 0.2),
        (2, ("mild", "with_aneurysms"), 0.5),
        (3, ("grader", "generated", "kappa"), 0.71),
        (4, ("distances", 4, "frechet", "ratio"), 3.1),
        (5, ("distances", 1, "coverage", "coverage"), 0.49),
        (6, ("nearest", "copies"), 1),
        (7, ("clean_up", "before", "one_disc"), 0.94),
        (7, ("clean_up", "after", "plausible_disc"), 0.999),
        (7, ("clean_up", "after", "lesions_inside"), 0.999),
        (8, ("seconds_a_thousand",), 601.0),
    ],
)
def test_each_criterion_fails_alone(place, path, value):
    figures = good_figures()
    target = figures
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    assert verdicts(figures) == [number != place for number in range(9)]


def test_what_data_cannot_tell_is_said():
    figures = good_figures()
    figures["grades"][1]["real"] = {"n": 0}
    figures["grader"]["grades"] = [0, 2, 3, 4]
    for row in figures["distances"]:
        row["n"] = 39
    assert verdicts(figures) == [None, True, True, None, None, None, True, True, True]
    figures["grader"] = {"grades": []}
    assert verdicts(figures)[3] is None
    figures["grades"][2]["generated"]["lesions"]["HE"]["share"] = 0.9
    assert verdicts(figures)[0] is False
    assert "HE of grade 2 0.90, real 0.10 [0.00 1.00] (n 50)" in maps_table.criteria(figures)[0]["figures"]


def test_published_shares_are_those_of_all_lesions_and_grades():
    assert set(maps_table.FGADR_SHARES) == {"EX", "HE", "SE", "MA"}
    assert all(len(shares) == 5 for shares in maps_table.FGADR_SHARES.values())
    assert {EX, HE, SE, MA} == set(LESIONS)
