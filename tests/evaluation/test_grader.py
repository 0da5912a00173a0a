"""The grader judged: who grades what, real photographs and generated ones, and the criterion."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from retinagan import checkpoints
from retinagan.cli import main
from retinagan.data.folds import fold_by_grade
from retinagan.data.graders import Graders
from retinagan.data.prepare import prepare, read_manifest
from retinagan.data.readers import read_folder
from retinagan.evaluation import grader as evaluation
from retinagan.evaluation.grader import Grading
from retinagan.evaluation.kappa import Graded
from tests.helpers import TINY_SIZE, tiny_model
from tests.models.test_grader import random_grader
from tests.synthetic_eyes import draw_photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A prepared folder of photographs of all grades, two of each eye, none with a map; the last has no grade."""
    source = tmp_path_factory.mktemp("source")
    (source / "images").mkdir()
    table = ["id,grade,eye"]
    for number in range(30):
        photo = draw_photo(TINY_SIZE, TINY_SIZE, (TINY_SIZE / 2, TINY_SIZE / 2), TINY_SIZE / 2 - 0.5, seed=number)
        Image.fromarray(photo).save(source / "images" / f"p{number:02}.png")
        table.append(f"p{number:02},{number // 2 % 5 if number < 29 else ''},eye-{number // 2}")
    (source / "grades.csv").write_text("\n".join(table) + "\n")
    out = tmp_path_factory.mktemp("data")
    assert not prepare(read_folder(source), out, size=TINY_SIZE, progress=False).failed
    return out


def rows(folder, split: str) -> list[dict[str, str]]:
    return [row for row in read_manifest(folder).values() if row["grade"] and row["split"] == split]


@pytest.fixture(scope="module")
def folds(folder, tmp_path_factory):
    """The networks of a cross-validation of two."""
    path, train = tmp_path_factory.mktemp("cv"), rows(folder, "train")
    dealt = fold_by_grade([row["eye"] for row in train], [int(row["grade"]) for row in train], 2)
    for fold in range(2):
        left_out = [row["id"] for row, own in zip(train, dealt, strict=True) if own == fold]
        facts = {"folds": 2, "fold": fold, "left_out": left_out}
        checkpoints.save(path / f"fold-{fold}" / "grader.safetensors", "grader", random_grader(fold, TINY_SIZE), facts)
    return path


@pytest.fixture
def asked(folder, monkeypatch):
    """Photographs are graded by what the manifest says, all others by 0; filled with (id or None, fold)."""
    calls = []
    grades = {(folder / "images" / f"{n}.png"): r["grade"] for n, r in read_manifest(folder).items()}
    known = {np.asarray(Image.open(path)).tobytes(): (path.stem, grade) for path, grade in grades.items()}

    def probabilities(_graders, photo, fold):
        name, grade = known.get(photo.tobytes(), (None, "0"))
        calls.append((name, fold))
        return (int(grade) > np.arange(4)).astype(np.float32)

    monkeypatch.setattr(Graders, "probabilities", probabilities)
    return calls


def test_each_photograph_is_graded_by_the_network_that_did_not_see_it(folder, folds, asked, tmp_path):
    report = evaluation.evaluate(folder, folds, tmp_path, progress=False)
    train, heldout = rows(folder, "train"), rows(folder, "heldout")
    assert train and heldout
    together = Graders.load(folds)
    assert dict(asked) == together.left_out | dict.fromkeys(row["id"] for row in heldout)
    assert set(together.left_out) == {row["id"] for row in train} and set(together.left_out.values()) == {0, 1}
    figures = json.loads((tmp_path / "grader.json").read_text())["grader"]
    assert figures["cross_validation"]["n"] == len(train) and figures["cross_validation"]["kappa"] == 1
    assert figures["heldout"]["n"] == len(heldout) and figures["heldout"]["accuracy"] == 1
    assert figures["generated"] is None and figures["never_left_out"] == 0
    assert [one.met for one in report.criteria()] == [True]
    text = (tmp_path / "grader.md").read_text()
    assert "2 networks" in text and "Confusion, real, cross-validated" in text
    assert (tmp_path / "grader-confusion.png").is_file()


def test_generated_photographs_have_the_held_out_grades(folder, folds, asked, tmp_path, capsys):
    model = tiny_model(tmp_path / "model")
    options = ["--data", str(folder), "--model", str(folds), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["evaluate", "grader", *options, "--generated", str(model), "--count", "7"]) == 0
    figures = json.loads((tmp_path / "out" / "grader.json").read_text())
    generated, heldout = figures["grader"]["generated"], figures["grader"]["heldout"]
    assert asked[-7:] == [(None, None)] * 7 and generated["n"] == 7
    assert np.array(generated["confusion"])[:, 0].sum() == 7  # all of them were graded 0
    assert {g for g, row in enumerate(generated["confusion"]) if sum(row)} <= {
        g for g, row in enumerate(heldout["confusion"]) if sum(row)
    }
    assert figures["grader"]["generated_over_heldout"] == pytest.approx(generated["kappa"] / heldout["kappa"])
    assert set(figures["model_sha256"]) == {"maps", "photos"} and "7 generated" in capsys.readouterr().out


def test_one_network_is_judged_on_what_it_did_not_see(folder, folds, tmp_path):
    path = tmp_path / "grader.safetensors"
    checkpoints.save(path, "grader", random_grader(3, TINY_SIZE), {"folds": 2, "fold": -1})
    report = evaluation.evaluate(folder, tmp_path, tmp_path / "out", progress=False)
    figures = report.figures()["grader"]
    assert figures["cross_validation"] is None and figures["heldout"]["n"] == len(rows(folder, "heldout"))
    assert [one.met for one in report.criteria()] == [None]
    # One of a cross-validation knows whom it left out; that alone meets no criterion.
    report = evaluation.evaluate(folder, folds / "fold-1", tmp_path / "out", progress=False)
    figures, left_out = report.figures()["grader"], Graders.load(folds / "fold-1").left_out
    assert figures["cross_validation"]["n"] == len(left_out)
    assert figures["never_left_out"] == len(rows(folder, "train")) - len(left_out) > 0
    (criterion,) = report.criteria()
    assert criterion.met is None and f"{figures['never_left_out']} others were left out by no" in criterion.figures


def test_networks_are_averaged_or_asked_alone(folder, folds):
    together = Graders.load(folds)
    photo = np.asarray(Image.open(folder / "images" / "p03.png"))
    alone = [together.probabilities(photo, fold) for fold in range(2)]
    assert not np.allclose(alone[0], alone[1])
    np.testing.assert_allclose(together.probabilities(photo), (alone[0] + alone[1]) / 2, atol=1e-6)


def test_the_criterion():
    good = Graded(300, 0.81, [0.78, 0.84], 0.7, np.eye(5, dtype=int))
    assert Grading(good).criteria()[0].met is True
    (failed,) = Grading(replace(good, kappa=0.79)).criteria()
    assert failed.met is False and "at least 0.8" in failed.name and failed.figures == "0.790 on 300 photographs"


def test_what_cannot_be_judged_is_named(folder, folds, tmp_path):
    with pytest.raises(FileNotFoundError, match="grader.safetensors"):
        evaluation.evaluate(folder, tmp_path, tmp_path / "out", progress=False)
    data = tmp_path / "data"
    data.mkdir()
    lines = (folder / "manifest.csv").read_text().splitlines()
    none = [line for line in lines[1:] if not any(f"{row['id']}," in line for row in rows(folder, "heldout"))]
    (data / "manifest.csv").write_text("\n".join([lines[0], *none]) + "\n")
    with pytest.raises(ValueError, match="generated ones are made for their grades"):
        evaluation.evaluate(data, folds, tmp_path / "out", progress=False, generated=tmp_path)
    checkpoints.save(tmp_path / "grader.safetensors", "grader", random_grader(3, TINY_SIZE), {})
    with pytest.raises(ValueError, match="no graded photographs that the grader has not seen"):
        evaluation.evaluate(data, tmp_path, tmp_path / "out", progress=False)
