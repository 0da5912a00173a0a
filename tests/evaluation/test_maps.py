"""The evaluation of lesion maps from end to end, and every criterion met and not met."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from retinagan.data.prepare import MANIFEST_COLUMNS
from retinagan.evaluation import maps
from retinagan.evaluation.clean_up import CleanUp, Judged
from retinagan.evaluation.contents import Contents, Mild
from retinagan.evaluation.distances import Comparison, Overlaps
from retinagan.evaluation.kappa import Graded
from retinagan.evaluation.map_copies import MapCopies
from retinagan.evaluation.map_distances import Coverage, GradeDistances, MapDistances
from retinagan.evaluation.map_grader import Grading
from retinagan.evaluation.map_set import read_map_set
from retinagan.evaluation.report import Result
from retinagan.evaluation.summary import GradeContents, Summary
from retinagan.maps.descriptors import DESCRIPTORS, Measured
from retinagan.maps.labels import LESIONS, PALETTE, empty_map
from retinagan.maps.parts import connected
from tests.evaluation.changed import changed
from tests.evaluation.drawn_maps import scattered
from tests.helpers import tiny_model


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
            "grade": str(grade), "has_map": "1", "size": "64",
            "label": "disc" if grade == 0 else "pseudo" if number == 7 else "masks",
        }  # fmt: skip
        lines.append(",".join(row[name] for name in MANIFEST_COLUMNS))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def evaluated(prepared, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "deep"
    model = tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    report = maps.evaluate(prepared, model, out, count=3, progress=False)
    return report, out, model


def test_evaluation_tells_of_every_grade_even_without_real_maps(evaluated):
    report, out, _ = evaluated
    figures = report.figures()
    assert json.loads((out / "maps.json").read_text()) == figures
    assert [row["real"]["n"] for row in figures["contents"]["grades"]] == [6, 0, 7, 1, 0]
    assert [row["generated"]["n"] for row in figures["contents"]["grades"]] == [3] * 5
    assert figures["real"] == {
        "n": 15, "splits": {"train": 13, "heldout": 2}, "labels": {"disc": 6, "masks": 8, "pseudo": 1}, "ungraded": 1,
    }  # fmt: skip
    assert figures["contents"]["grades"][2]["real"]["lesions"]["EX"]["share"] == 1
    assert [row["descriptors"] for row in figures["distances"]["grades"]] == [len(DESCRIPTORS) - 2] + [
        len(DESCRIPTORS)
    ] * 4
    assert (
        figures["distances"]["grades"][2]["frechet"]["n"] == 3 and figures["distances"]["grades"][3]["frechet"] is None
    )
    assert figures["grader"]["grades"] == [0, 2] and figures["grader"]["real"]["n"] == 11
    assert figures["grader"]["generated"]["n"] == 6 and figures["nearest"]["train"] == 13
    assert figures["nearest"]["real_train"]["n"] == 8 and figures["nearest"]["real_train"]["max"] < 1
    assert figures["clean_up"]["n"] == 15
    names = {"maps.json", "maps.md"} | {
        f"maps-{n}.png" for n in ("shares", "burden", "places", "grading", "nearest", "sheet")
    }
    assert {path.name for path in out.iterdir()} == names
    for path in out.glob("*.png"):
        assert np.asarray(Image.open(path).convert("L")).std() > 1


def test_table_states_n_and_what_is_missing(evaluated):
    text = evaluated[0].text()
    assert "Synthetic, not for diagnosis" in text
    assert re.search(r"\| 1 real +\| +0 \| +no real maps \|", text)
    assert (
        "no real maps of grade 1, 4" in " ".join(text.split())
        and "Left out for want of real training maps: grade 1" in text
    )
    assert (
        "15 maps of both splits (2 heldout, 13 train), 1 without a grade" in text
        and "6 disc, 8 masks, 1 pseudo (" in text
    )
    assert re.search(r"\| 2 annotated alone \| +6 \|", text) and "3 annotated alone" not in text
    assert "seconds a thousand" in text and "FGADR, published" in text
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
        read_map_set(broken, 64)
    Image.new("L", (64, 64)).save(broken / "maps" / "e00.png")
    with pytest.raises(ValueError, match="e00.png is damaged or was changed"):
        read_map_set(broken, 64)
    (broken / "manifest.csv").write_text(",".join(MANIFEST_COLUMNS) + "\n")
    with pytest.raises(ValueError, match="holds no lesion map"):
        read_map_set(broken, 64)


def test_real_maps_are_reduced_to_the_size_that_is_asked_for(prepared):
    maps_as_prepared, reduced = (read_map_set(prepared, size).maps for size in (64, 32))
    assert maps_as_prepared.shape[1:] == (64, 64) and reduced.shape[1:] == (32, 32)
    for whole, small in zip(maps_as_prepared, reduced, strict=True):
        for kind in LESIONS:
            area = (whole == kind).sum() / 4
            lesions = connected(whole == kind)[1]  # each keeps a pixel at least
            assert 0.7 * area <= (small == kind).sum() <= 1.3 * area + lesions
    with pytest.raises(ValueError, match="was prepared at 64, maps of 128 are asked for; prepare with --size 128"):
        read_map_set(prepared, 128)


# --- criteria -------------------------------------------------------------------------------------------------------


def good_figures() -> dict[str, Result]:
    """Figures that meet every criterion."""
    nothing = Summary.of(Measured.of([], 512))

    def summary(grade: int) -> Summary:
        shares = {"MA": 0.2 * grade, "HE": 0.1, "EX": 0.1, "SE": 0.1}
        quartiles = dict.fromkeys(("number", "area", "size"), [1.0, 2.0, 3.0])
        lesions = {k: replace(nothing.lesions[k], share=v, interval=[0.0, 1.0], **quartiles) for k, v in shares.items()}
        return replace(nothing, n=50, burden=[0, 0.01 * grade, 1], lesions=lesions)

    def graded(kappa: float) -> Graded:
        return Graded(50, kappa, [0.0, 1.0], 1.0, np.eye(5))

    overlaps = Overlaps(900, [0.1, 0.1, 0.1], 0.3, [])
    before, after = (Judged(v, v, 1.0, w, 1 - w) for v, w in ((0.96, 0.9), (1.0, 1.0)))
    distances = [
        GradeDistances(g, 50, 22, Comparison(1.0, 2.0, 2.0, 25), Coverage(1.0, 0.8, 0.9, 50), None) for g in range(5)
    ]
    return {
        "contents": Contents(
            [GradeContents(g, {}, summary(g), nothing, summary(g), {"EX to the fovea": 0.1}) for g in range(5)],
            Mild(1.0, 0.0),
            None,
        ),
        "grader": Grading([0, 1, 2, 3, 4], graded(0.8), None, graded(0.73)),
        "distances": MapDistances(distances),
        "nearest": MapCopies(500, overlaps, overlaps, overlaps, 0, []),
        "clean_up": CleanUp(1000, before, after, 300.0, 600.0),
    }


def verdicts(figures: dict[str, Result]) -> list[bool | None]:
    return [criterion.met for result in figures.values() for criterion in result.criteria()]


def test_all_criteria_can_be_met():
    assert verdicts(good_figures()) == [True] * 11


@pytest.mark.parametrize(
    "place, path, value",
    [
        (0, ("contents", "grades", 2, "generated", "lesions", "HE", "share"), 0.23),
        (1, ("contents", "grades", 2, "generated", "burden"), [0, 0.01, 1]),
        (2, ("contents", "mild", "more_than_a_trace"), 0.2),
        (2, ("contents", "mild", "with_aneurysms"), 0.5),
        (3, ("contents", "grades", 2, "generated", "lesions", "MA", "size"), [1.0, 2.6, 3.0]),
        (4, ("contents", "grades", 2, "places", "EX to the fovea"), 0.16),
        (5, ("grader", "generated", "kappa"), 0.71),
        (6, ("distances", "grades", 4, "frechet", "ratio"), 3.1),
        (7, ("distances", "grades", 1, "coverage", "coverage"), 0.49),
        (8, ("nearest", "copies"), 1),
        (9, ("clean_up", "before", "one_disc"), 0.94),
        (9, ("clean_up", "after", "plausible_disc"), 0.999),
        (9, ("clean_up", "after", "lesions_inside"), 0.999),
        (10, ("clean_up", "seconds_a_thousand"), 601.0),
    ],
)
def test_each_criterion_fails_alone(place, path, value):
    assert verdicts(changed(good_figures(), path, value)) == [number != place for number in range(11)]


def test_what_data_cannot_tell_is_said():
    figures = changed(good_figures(), ("contents", "grades", 1, "real"), Summary.of(Measured.of([], 512)))
    figures = changed(figures, ("grader", "grades"), [0, 2, 3, 4])
    for grade in range(5):
        figures = changed(figures, ("distances", "grades", grade, "n"), 39)
    assert verdicts(figures) == [None, True, True, True, True, None, None, None, True, True, True]
    assert verdicts(figures | {"grader": Grading([])})[5] is None
    figures = changed(figures, ("contents", "grades", 2, "generated", "lesions", "HE", "share"), 0.9)
    assert verdicts(figures)[0] is False
    assert "HE of grade 2 0.90, real 0.10 [0 1] (n 50)" in figures["contents"].criteria()[0].figures
