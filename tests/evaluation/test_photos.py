"""The evaluation of photographs from end to end on drawn eyes, and every criterion met and not met."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from retinagan import checkpoints
from retinagan.data.dataset import load_prepared
from retinagan.data.prepare import MANIFEST_COLUMNS
from retinagan.evaluation import copying, photos
from retinagan.evaluation.colour import Colour
from retinagan.evaluation.copying import Copying
from retinagan.evaluation.distances import Comparison, Overlaps, Within
from retinagan.evaluation.diversity import Diversity
from retinagan.evaluation.feature_space import Distance, Features
from retinagan.evaluation.fidelity import ClassFidelity, Fidelity, Pair
from retinagan.evaluation.judge import MISSING, Judge, Judgement, Space
from retinagan.evaluation.kappa import Graded
from retinagan.evaluation.photo_sets import (
    Store,
    annotated,
    disc_left,
    render,
    wanted_photographs,
)
from retinagan.evaluation.reading import Reading
from retinagan.evaluation.same_eye import ClassEdits, Edits, SameEye
from retinagan.evaluation.spectrum import GridPeak, Spectrum
from retinagan.evaluation.vessels import Vessels
from retinagan.maps.labels import EX, HE, MA, PALETTE, SE, VB, empty_map
from retinagan.models.lite import LiteTrunk
from retinagan.models.segmenter import Segmenter, SegmenterConfig
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.pipeline import RetinaGAN
from tests.evaluation.changed import changed
from tests.helpers import TINY_SIZE, tiny_model
from tests.models.test_grader import random_grader

LABELS = ("masks", "masks", "disc", "", "disc", "masks")
"""Of the eyes of a split, in turn."""


def drawn_eye(number: int, label: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    label_map = empty_map(TINY_SIZE, "left" if number % 2 else "right")
    if label == "masks":
        for index in (EX, HE, SE, MA):
            y, x = rng.integers(16, 44, 2)
            label_map[y : y + 4, x : x + 5] = np.where(
                label_map[y : y + 4, x : x + 5] == VB, index, label_map[y : y + 4, x : x + 5]
            )
    tint = np.array([160, 80, 40]) + rng.normal(0, 10, 3)
    photo = tint + rng.normal(0, 4, (TINY_SIZE, TINY_SIZE, 1))
    photo[(label_map != VB) & (label_map != HE)] += 50
    photo[label_map == HE] -= 30
    photo[28 + number % 5 : 31 + number % 5, 6:58] *= 0.7
    return label_map, np.where((label_map > 0)[..., None], photo, 0).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A prepared folder of six held-out and twelve training eyes."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in ("images", "maps", "vessels"):
        (folder / name).mkdir()
    rows = []
    for number in range(18):
        label = LABELS[number % 6]
        label_map, photo = drawn_eye(number, label)
        name = f"eye-{number:02}"
        Image.fromarray(photo).save(folder / "images" / f"{name}.png")
        vessels = np.where(photo[..., 1] < 60, 200, 0) * (label_map == VB)
        Image.fromarray(vessels.astype(np.uint8)).save(folder / "vessels" / f"{name}.png")
        if label:
            picture = Image.fromarray(label_map, mode="P")
            picture.putpalette(PALETTE.tobytes())
            picture.save(folder / "maps" / f"{name}.png")
        rows.append(
            dict.fromkeys(MANIFEST_COLUMNS, "")
            | dict(id=name, eye=name, source="drawn", split="heldout" if number < 6 else "train", size=TINY_SIZE)
            | dict(grade={"masks": 2, "disc": 0, "": 1}[label], label=label)
            | dict(has_masks=int(label == "masks"), has_map=int(label != ""))
            | ({} if label else dict(fovea_x=20, fovea_y=30))
        )  # fmt: skip
    with open(folder / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Random weights; a latent instead of an eye, which takes longest to make."""
    folder = tiny_model(tmp_path_factory.mktemp("model"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = PhotoGenerator(
            PhotoGeneratorConfig(
                size=TINY_SIZE, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4, guidance="none", output="sigmoid"
            )
        )
    checkpoints.save(folder / "photos.safetensors", "photos", network.eval(), {})
    return folder


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    path = tmp_path_factory.mktemp("segmenter") / "segmenter.safetensors"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Segmenter(SegmenterConfig(channels=(8, 8), size=TINY_SIZE))
    checkpoints.save(path, "segmenter", network, {})
    return path


@pytest.fixture(scope="module", autouse=True)
def coarse_search():
    """Copies are looked for in a moment; tests/test_evaluation_copying.py is about how well they are found."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("ANGLE_STEP", 12), ("SHIFT_STEPS", 0), ("CANDIDATES", 1)):
            patch.setattr(copying, name, value)
        yield


@pytest.fixture(scope="module", autouse=True)
def judge():
    """Random weights instead of the wheel's."""
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        network = Judge(LiteTrunk("lite2"), "random")
        patch.setattr(Judge, "installed", lambda device: network)
        yield network


@pytest.fixture(scope="module")
def evaluated(prepared, model, segmenter, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, photos.evaluate(prepared, model, out, 12, progress=False, segmenter=segmenter)


def test_figures_are_written_and_say_what_they_are_of(evaluated, segmenter, model):
    out, report = evaluated
    figures = report.figures()
    assert json.loads((out / "photos.json").read_text()) == figures
    assert figures["n"] == {"generated": 12, "own_map": 10, "heldout": 6, "train": 12, "annotated": 3}
    assert figures["sha256"]["segmenter"] == checkpoints.sha256(segmenter)
    assert figures["sha256"]["photos"] == checkpoints.sha256(model / "photos.safetensors")
    assert figures["sha256"]["judge"] == "random"
    assert list(figures["judge"]["spaces"]) == ["head at 64", "middle at 64", "head at 32", "middle at 32"]
    assert all(space["frechet"]["train"] > 0 for space in figures["judge"]["spaces"].values())
    assert figures["same_eye"]["batch_is_single"] is True
    assert figures["copying"]["generated"]["n"] == 12 and figures["copying"]["heldout"]["n"] == 6
    assert figures["same_eye"]["edits"]["removed"]["lesions"] == 0
    for name in ("spectrum", "colour", "vessels", "copying", "sheet", "beside"):
        with Image.open(out / f"photos-{name}.png") as picture:
            assert min(picture.size) > 100


def test_the_table_holds_every_criterion_in_lines_of_132(evaluated):
    _, report = evaluated
    text, figures = report.text(), report.figures()
    words = " ".join(text.split())
    assert all(criterion.name in words for criterion in report.criteria())
    assert max(len(line) for line in text.splitlines()) <= 132
    assert "not for diagnosis" in text and figures["sha256"]["segmenter"] in text


def test_a_second_run_renders_nothing_anew_and_finds_the_same(evaluated, prepared, model, segmenter, monkeypatch):
    out, report = evaluated
    figures = report.figures()
    rendered = []
    original = RetinaGAN.render
    monkeypatch.setattr(
        RetinaGAN, "render", lambda self, maps, styles: rendered.append(1) or original(self, maps, styles)
    )
    again = photos.evaluate(prepared, model, out, 12, progress=False, segmenter=segmenter).figures()
    assert len(rendered) < 20  # the speed, the bytes of a batch and the contact sheet are made anew
    varying = ("speed", "minutes", "criteria")
    assert {k: v for k, v in again.items() if k not in varying} == {
        k: v for k, v in figures.items() if k not in varying
    }


def test_without_the_wheel_the_judges_rows_say_how_to_get_it(evaluated, prepared, model, segmenter, monkeypatch):
    out, report = evaluated
    monkeypatch.setattr(Judge, "installed", lambda device: None)
    again = photos.evaluate(prepared, model, out, 12, progress=False, segmenter=segmenter)
    assert again.results["judge"] == Judgement(MISSING) and "judge" not in again.figures()["sha256"]
    assert [one.met for one in again.results["judge"].criteria()] == [None, None]
    assert "pip install 'retinagan[pretrained]'" in " ".join(again.text().split())
    assert again.figures()["features"] == report.figures()["features"]


def test_a_grader_reads_real_and_generated_photographs_of_the_same_eyes(
    evaluated, prepared, model, segmenter, tmp_path
):
    out, report = evaluated
    assert report.results["reading"] == Reading("not measured: no grader; give one with --grader")
    path = tmp_path / "grader.safetensors"
    checkpoints.save(path, "grader", random_grader(0, TINY_SIZE), {})
    again = photos.evaluate(prepared, model, out, 12, progress=False, segmenter=segmenter, grader=tmp_path)
    found = again.results["reading"]
    assert found.grader == checkpoints.sha256(path)
    assert (found.heldout.n, found.generated.n) == (6, 12)
    # Drawn eyes have the grades 2, 0 and 1; each got two photographs.
    assert found.heldout.confusion.sum(1).tolist() == [2, 1, 3, 0, 0]
    assert found.generated.confusion.sum(1).tolist() == [4, 2, 6, 0, 0]


def test_partners_have_the_maps_of_held_out_eyes_or_their_grade(prepared, model):
    gan = RetinaGAN.from_pretrained(model, device="cpu")
    heldout = load_prepared(prepared, "heldout", include_unlabelled=True)
    wanted = wanted_photographs(gan, heldout, 13)
    assert [one.style for one in wanted] == list(range(13))
    assert sorted(one.eye for one in wanted[:6]) == list(range(6)) and wanted[12].eye == wanted[0].eye
    for one in wanted:
        if one.own_map:
            assert np.array_equal(one.label_map, heldout.maps[one.eye])
        else:
            assert heldout.ids[one.eye] == "eye-03"  # the one without a map
            assert np.array_equal(one.label_map, gan.sample_maps(1, [one.style])[0])
    assert annotated(heldout) == [0, 1, 5]
    assert disc_left(heldout).tolist() == [False, True, False, False, False, True]


def test_the_store_keeps_by_key_and_mends_what_was_cut_short(tmp_path):
    made = []

    def make():
        made.append(1)
        return np.full((4, 4, 3), len(made), dtype=np.uint8)

    store = Store(tmp_path)
    assert store.get("x", make).max() == store.get("x", make).max() == 1
    assert Store(tmp_path).get("x", make).max() == 1
    assert store.get("y", make).max() == 2
    for path in tmp_path.glob("*.png"):
        path.write_bytes(path.read_bytes()[:20])
    assert store.get("x", make).max() == 3
    values = store.get("floats", lambda: np.array([1.5], dtype=np.float32))
    assert np.array_equal(store.get("floats", make), values)


def test_rendered_photographs_are_those_of_the_model(model, tmp_path):
    gan = RetinaGAN.from_pretrained(model, device="cpu")
    label_map = empty_map(TINY_SIZE, "left")
    for _ in range(2):
        assert np.array_equal(render(gan, Store(tmp_path), label_map, 3), gan.render(label_map[None], [3])[0])


def test_wrong_counts_sizes_and_missing_segmenters_are_told(prepared, model, segmenter, tmp_path):
    with pytest.raises(ValueError, match="count is 3"):
        photos.evaluate(prepared, model, tmp_path, 3, segmenter=segmenter)
    with pytest.raises(FileNotFoundError, match="train segmenter"):
        photos.evaluate(prepared, model, tmp_path, 8, segmenter=tmp_path / "none.safetensors")
    bare = tmp_path / "bare"
    shutil.copytree(prepared, bare)
    manifest = (bare / "manifest.csv").read_text()
    (bare / "manifest.csv").write_text(manifest.replace(",masks,", ",disc,"))
    with pytest.raises(ValueError, match="no held-out eye with annotated lesions"):
        photos.evaluate(bare, model, tmp_path, 8, segmenter=segmenter)


# -- criteria: figures that meet them, and one change at a time that does not ------------------------------------------


def comparison(ratio: float) -> Comparison:
    return Comparison(1.0, ratio, ratio, 30)


def overlaps(highest: float, n: int) -> Overlaps:
    return Overlaps(n, [0.3, 0.3, 0.3], highest, [])


EDITS = Edits(n=9, change=1.2, worst=2.4, lesions=40, right=0.95, freed=40, gone=0.95, classes={})
GRADED = Graded(60, 0.8, [0.7, 0.9], 0.6, np.zeros((5, 5), dtype=int))
SPACE = Space(Distance(3.0, 2.0, 1.5, comparison(1)), Distance(0.0, 0.0, None, comparison(1)), 0.85, 0.5)
GOOD = {
    "judge": Judgement("judge", 100, 60, {"head at 512": SPACE, "middle at 512": SPACE}),
    "reading": Reading("hash", GRADED, replace(GRADED, kappa=0.76), 0.95),
    "features": Features(
        "segmenter", 100, 60, 100, 100, Distance(3.0, 2.0, 1.5, comparison(1)), Distance(0.0, 0.0, 1.0, comparison(1)),
        1.0, 1.0, {},
    ),
    "fidelity": Fidelity(
        7, 1,
        {k: ClassFidelity(0.5, 7, 7, Pair(0.5, 0.46, 0.92), Pair(1, 1, 1)) for k in ("EX", "HE", "SE", "MA", "OD")},
    ),
    "spectrum": Spectrum(
        nyquist=256.0, edges=[4.0, 16.0, 128.0, 230.4, 256.0], n={"real": 60, "generated": 100}, real_halves={},
        ratios={name: [1.1, 0.9, 0.81, 1.7] for name in ("luminance", "red", "green", "blue")},
        peaks={8: GridPeak([0.125, 0.5], 1.1)},
    ),
    "vessels": Vessels(
        {
            name: Within([0.1, 0.15, 0.2, 0.25, 0.3], [0.0, 0.5, 1.0, 1.5, 2.0], 0.85)
            for name in ("density", "calibre_25", "calibre_50", "calibre_75", "connected")
        }
    ),
    "copying": Copying(overlaps(0.4, 500), overlaps(0.36, 60), 0, 3, "eye"),
    "colour": Colour(
        {name: comparison(1.2) for name in ("L*", "a*", "b*")},
        {name: {"real": [1.0, 2.0], "generated": [1.0, 2.0]} for name in ("L*", "a*", "b*")}, None, None,
    ),
    "diversity": Diversity(real=30.0, styles=24.0, maps=20.0, ratio=0.8, n_real=60, n_maps=8, n_styles=8),
    "same_eye": SameEye({"removed": EDITS, "all": replace(EDITS, classes={"EX": ClassEdits(1.0, None)})}, True),
    "speed": photos.Speed(0.5),
}  # fmt: skip


def judged(figures):
    return [criterion for result in figures.values() for criterion in result.criteria()]


def test_good_figures_meet_every_criterion():
    listed = judged(GOOD)
    assert len(listed) == 28 and all(criterion.met for criterion in listed)


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        (("features", "frechet", "ratio"), 2.1, "Fréchet"),
        (("fidelity", "classes", "EX", "dice", "ratio"), 0.89, "Dice of hard exudate"),
        (("fidelity", "classes", "MA", "dice", "ratio"), 0.79, "Dice of microaneurysm"),
        (("judge", "spaces", "middle at 512", "frechet", "ratio"), 2.1, "judge's Fréchet"),
        (("judge", "spaces", "head at 512", "probe"), 0.91, "linear probe"),
        (("reading", "ratio"), 0.89, "grader of real photographs"),
        (("spectrum", "ratios", "luminance"), [1.0, 1.0, 1.21, 1.0], "luminance within ±20 %"),
        (("spectrum", "ratios", "blue"), [1.1, 0.69, 0.9, 1.0], "red, green and blue"),
        (("spectrum", "peaks", 8, "ratio"), 1.6, "no peak"),
        (("vessels", "statistics", "calibre_75", "share"), 0.79, "vessels: calibre_75"),
        (("copying", "generated", "max"), 0.5, "overlap"),
        (("colour", "distances", "b*", "ratio"), 1.6, "mean b*"),
        (("diversity", "ratio"), 0.69, "diversity"),
        (("same_eye", "edits", "all", "change"), 2.1, "outside them"),
        (("same_eye", "edits", "all", "right"), 0.89, "seen where"),
        (("same_eye", "edits", "all", "gone"), 0.89, "gone from"),
        (("same_eye", "batch_is_single"), False, "batch"),
        (("speed", "seconds_a_photograph"), 0.7, "two CPU cores"),
    ],
)
def test_one_bad_figure_fails_its_criterion_alone(path, value, name):
    failed = [criterion.name for criterion in judged(changed(GOOD, path, value)) if criterion.met is not True]
    assert len(failed) == 1 and name in failed[0]


@pytest.mark.parametrize("luminance", [[1.1, 0.79, 0.9, 1.0], [1.21, 1.0, 1.0, 1.0]])
def test_what_fails_below_half_the_nyquist_frequency_fails_up_to_nine_tenths_of_it_too(luminance):
    figures = changed(GOOD, ("spectrum", "ratios", "luminance"), luminance)
    failed = [criterion.name for criterion in judged(figures) if criterion.met is not True]
    assert len(failed) == 2 and "power within" in failed[0] and "luminance within" in failed[1]


def test_what_the_data_cannot_tell_is_neither_met_nor_not():
    classes = {short: row for short, row in GOOD["fidelity"].classes.items() if short != "SE"}
    figures = changed(GOOD, ("fidelity", "classes"), classes)
    figures = changed(figures, ("spectrum", "peaks", 8, "ratio"), 3.0)
    figures = changed(figures, ("spectrum", "n", "generated"), 20)
    figures = changed(figures, ("judge", "spaces", "head at 512", "frechet", "ratio"), None)
    figures["reading"] = Reading("no grader")
    unknown = [criterion.name for criterion in judged(figures) if criterion.met is None]
    assert len(unknown) == 4
    assert all(told in name for told, name in zip(("judge", "grader", "soft exudate", "no peak"), unknown, strict=True))
