"""The command line, what takes a data set or trains, on drawn eyes."""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from retinagan import checkpoints
from retinagan.cli import main
from retinagan.cli.evaluate import EVALUATIONS
from retinagan.data.prepare import read_manifest
from retinagan.maps.labels import empty_map
from retinagan.resources import DEFAULT_MODEL
from tests.cli.failing import fails
from tests.cli.tiny_training import tiny_training
from tests.synthetic_eyes import write_fgadr, write_folder, write_idrid

# --- prepare --------------------------------------------------------------------------------------------------------


def test_prepare_tells_layouts_apart(tmp_path, capsys):
    out = tmp_path / "out"
    for write, ids in (
        (write_idrid, {"seg-01", "seg-02", "grade-001"}),
        (write_fgadr, {"fgadr-0001_1", "fgadr-0002_1"}),
        (lambda root: write_folder(root, empty_map(64)), {"a"}),
    ):
        root = write(tmp_path / write.__name__.strip("<>"))
        before = set(read_manifest(out)) if out.exists() else set()
        assert main(["prepare", str(root), "--out", str(out), "--size", "64", "--quiet"]) == 0
        assert capsys.readouterr().out == f"{len(ids)} prepared, 0 already there, 0 failed: {out}\n"
        assert set(read_manifest(out)) - before == ids


def test_prepare_can_take_unlabelled_photographs(tmp_path, capsys):
    root, out = write_idrid(tmp_path / "in"), tmp_path / "out"
    assert main(["prepare", str(root), "--out", str(out), "--size", "64", "--quiet", "--include-unlabelled"]) == 0
    assert len(read_manifest(out)) == 5


def test_prepare_ends_with_1_and_names_what_failed(tmp_path, capsys):
    root, out = write_fgadr(tmp_path / "in"), tmp_path / "out"
    (root / "Original_Images" / "0002_1.png").write_bytes(b"no picture")
    assert main(["prepare", str(root), "--out", str(out), "--size", "64", "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == f"1 prepared, 0 already there, 1 failed: {out}\n"
    assert captured.err.startswith("failed: fgadr-0002_1: ") and captured.err.count("\n") == 1


def test_prepare_refuses_what_is_no_data_set(tmp_path, capsys):
    assert "no known data set" in fails(capsys, "prepare", tmp_path, "--out", tmp_path / "out")
    (tmp_path / "images").mkdir()
    assert "holds no photographs" in fails(capsys, "prepare", tmp_path, "--out", tmp_path / "out")
    assert "does not exist" in fails(capsys, "prepare", tmp_path / "none", "--out", tmp_path / "out")
    assert "size is 8; allowed are 32 to 2048" in fails(capsys, "prepare", tmp_path, "--out", "x", "--size", 8)


def test_prepare_pseudo_labels_what_has_no_map(tmp_path, monkeypatch, capsys):
    class Report:
        def summary(self):
            return "2 maps predicted"

    called = []
    pseudo = SimpleNamespace(pseudo_label=lambda *args, **kwargs: called.append((args, kwargs)) or Report())
    monkeypatch.setitem(sys.modules, "retinagan.data.pseudo", pseudo)
    root, out, segmenter = write_idrid(tmp_path / "in"), tmp_path / "out", tmp_path / "segmenter.safetensors"
    base = ["prepare", str(root), "--out", str(out), "--size", "64", "--quiet", "--pseudo-label", str(segmenter)]
    assert "no segmenter at" in fails(capsys, *base)
    assert not out.exists()
    segmenter.write_bytes(b"")
    assert main(base) == 0
    assert capsys.readouterr().out == f"5 prepared, 0 already there, 0 failed: {out}\n2 maps predicted\n"
    assert called == [((out, segmenter), {"progress": False})]


# --- evaluate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", EVALUATIONS)
def test_evaluate_hands_over_and_prints_the_report(what, tiny_config, tmp_path, monkeypatch, capsys):
    called = []

    def evaluate(*args, **kwargs):
        called.append((args, kwargs))
        return SimpleNamespace(text=lambda: "n 3")

    monkeypatch.setitem(sys.modules, f"retinagan.evaluation.{what}", SimpleNamespace(evaluate=evaluate))
    data, out = tmp_path / "data", tmp_path / "out"
    base = ["evaluate", what, "--out", str(out), "--quiet", *(["--data", str(data)] if what != "sheet" else [])]
    assert main([*base, "--model", "mine", "--count", "9"]) == 0
    assert capsys.readouterr().out.endswith(f"n 3\nfigures: {out}\n")
    assert main(base) == 0
    own = {"side": 256, "truncation": 1.0} if what == "sheet" else {}
    given = None if what == "sheet" else data
    assert called == [
        ((given, Path("mine"), out, 9), {"progress": False, **own}),
        ((given, DEFAULT_MODEL, out, None), {"progress": False, **own}),
    ]
    capsys.readouterr()
    if what == "photos":
        assert main([*base, "--inception", "weights.safetensors", "--grader", "grader"]) == 0
        assert called[-1][1] == {
            "progress": False, "inception": Path("weights.safetensors"), "grader": Path("grader"),
        }  # fmt: skip
    else:
        assert "unrecognized arguments: --inception" in fails(capsys, *base, "--inception", "weights.safetensors")


@pytest.mark.parametrize("what", EVALUATIONS)
def test_evaluations_are_there_and_alike(what):
    module = importlib.import_module(f"retinagan.evaluation.{what}")
    names = list(inspect.signature(module.evaluate).parameters)
    assert names[:5] == ["data", "model", "out", "count", "progress"]


def test_wrong_evaluate_arguments(tmp_path, capsys):
    out = tmp_path / "out"
    assert "python -m retinagan prepare" in fails(capsys, "evaluate", "maps", "--data", tmp_path / "no", "--out", out)
    assert "invalid choice: 'taste'" in fails(capsys, "evaluate", "taste", "--data", tmp_path)
    assert "count is 0; allowed are 1 to 100000" in fails(capsys, "evaluate", "maps", "--data", tmp_path, "--count", 0)
    assert not out.exists()


# --- train, export --------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny_config(tmp_path):
    return tiny_training(tmp_path)


def test_train_resume_and_export(tiny_config, tmp_path, capsys):
    run = tmp_path / "run"
    base = ["train", "maps", "--config", str(tiny_config), "--data", str(tmp_path / "data"), "--run", str(run)]
    base += ["--accelerator", "cpu", "--quiet"]
    assert main([*base, "--steps", "2", "--set", "training.batch=6"]) == 0
    assert "step 2 (steps): " in capsys.readouterr().out
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["training"]["batch"] == 6 and config["training"]["data"] == str(tmp_path / "data")
    assert "already holds a run; resume it" in fails(capsys, *base, "--steps", "3")
    assert main([*base, "--steps", "3", "--set", "training.batch=6", "--resume"]) == 0
    capsys.readouterr()
    assert [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()] == [1, 2, 3]

    out = ["export", str(run), "--out", str(tmp_path / "shipped")]
    assert "--fact is 'licence'; it must be of the form KEY=TEXT" in fails(capsys, *out, "--fact", "licence")
    assert main([*out, "--fact", "data=drawn eyes"]) == 0
    assert "maps.safetensors" in capsys.readouterr().out
    generator, facts = checkpoints.load(tmp_path / "shipped" / "maps.safetensors", "maps")
    assert generator.size == 32 and facts["steps"] == 3 and facts["data"] == "drawn eyes"


def test_wrong_training_arguments(tiny_config, tmp_path, capsys):
    base = ("--run", tmp_path / "run", "--config", tiny_config)
    assert "trains 'maps', not 'photos'" in fails(capsys, "train", "photos", *base, "--steps", 1)
    assert "unknown keys colour" in fails(capsys, "train", "maps", *base, "--steps", 1, "--set", "training.colour=1")
    assert "steps is 0; allowed are 1 and more" in fails(capsys, "train", "maps", *base, "--steps", 0)
    assert "minutes is inf" in fails(capsys, "train", "maps", *base, "--minutes", "inf")
    assert "no configuration nowhere.yaml" in fails(capsys, "train", "maps", "--run", "x", "--config", "nowhere.yaml")
    assert "python -m retinagan prepare" in fails(
        capsys, "train", "maps", *base, "--steps", 1, "--data", tmp_path / "none", "--accelerator", "cpu", "--quiet"
    )
    assert "holds no state" in fails(capsys, "export", tmp_path, "--out", tmp_path / "out")
