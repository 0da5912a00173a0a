"""The rows and the command, on tiny networks with random weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest
import torch

from retinagan.bench import browser, processes
from retinagan.bench.model_rows import Strokes, plan_model, redraw_difference, with_stroke
from retinagan.bench.names import MODEL_ROWS, ORIGINAL_ROWS, TITLES, chosen_rows
from retinagan.bench.original_rows import original_photo_generator, plan_original
from retinagan.bench.plan import Comparison, Plan
from retinagan.bench.run import measure
from retinagan.cli import main
from retinagan.maps.labels import BG, HE, OD, empty_map
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.pipeline import RetinaGAN
from tests.cli.failing import fails
from tests.helpers import TINY_SIZE, tiny_map_generator, tiny_model
from tests.paths import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(folder):
    return RetinaGAN.from_pretrained(folder, "cpu")


def tiny_original() -> PhotoGenerator:
    return PhotoGenerator(
        PhotoGeneratorConfig(
            size=TINY_SIZE, channels=(8, 8), spade_hidden=(4, 4), final_upsample=True, latent_dim=4, stem="latent",
            modulation_kernel=3, norm="instance", skip="spade", map_resize="nearest", guidance="none",
            output="sigmoid", final_kernel=4,
        )
    )  # fmt: skip


def silent(name: str, done: int, total: int) -> None:
    assert 0 <= done < total


# --- which rows -----------------------------------------------------------------------------------------------------


def test_rows_are_chosen():
    assert chosen_rows(None, False) == list(MODEL_ROWS)
    assert chosen_rows(None, True) == [*MODEL_ROWS, *ORIGINAL_ROWS]
    assert chosen_rows("stroke, map", False) == ["map", "stroke"]
    assert chosen_rows("original-photo", False) == ["original-photo"]
    with pytest.raises(ValueError, match=r"--only names 'foto'; allowed are map, photo, eye"):
        chosen_rows("map,foto", False)


def test_every_row_of_a_model_is_planned_or_skipped_with_a_reason(model, folder, monkeypatch):
    monkeypatch.setattr("retinagan.bench.model_rows.cores", lambda: 0)
    plan = Plan()
    with ExitStack() as stack:
        plan_model(plan, model, str(folder), MODEL_ROWS, stack)
    assert {work.name for work in plan.works} | plan.skipped.keys() == MODEL_ROWS.keys()
    assert plan.skipped["large"] == "the model tiny has no superres.safetensors, the last stage"
    assert plan.skipped["pairs-2"] == "2 workers need 2 processor cores; this process may use 0"


def test_a_model_without_an_eye_has_no_row_of_it():
    plain = RetinaGAN(tiny_map_generator(), tiny_original(), name="plain")
    plan = Plan()
    with ExitStack() as stack:
        plan_model(plan, plain, "", ["photo", "eye", "redraw", "train"], stack)
    assert [(work.name, work.half) for work in plan.works] == [("photo", False)]
    assert plan.skipped["eye"] == "the model plain has no eye"
    assert plan.skipped["redraw"].startswith("the model plain has no eye")
    assert plan.skipped["train"] == "the model plain has no eye, which the training of photos needs"


# --- what is measured -----------------------------------------------------------------------------------------------


def test_a_run_times_rows_and_computes_differences(model):
    rows = ["map", "photo", "eye", "styles", "page", "stroke", "redraw", "train"]
    plan = Plan()
    with ExitStack() as stack:
        plan_model(plan, model, "", rows, stack)
    plan.comparisons.append(Comparison("photograph against map", ("photo", "map"), lambda: 0.25))
    report = measure(plan, {"rounds": 2}, torch.device("cpu"), 2, silent)
    assert report.rows.keys() == {"convolution float32", *rows}
    heavy = {"page", "train"}
    assert all(len(row.seconds.times) == (1 if name in heavy else 2) for name, row in report.rows.items())
    assert report.rows["train"].macs > 0
    assert report.rows["page"].macs == 20 * report.rows["photo"].macs + 5 * report.rows["map"].macs
    assert report.rows["styles"].macs == 4 * report.rows["photo"].macs
    redraw, other = report.compared
    assert redraw.rows == ("stroke", "redraw") and redraw.unit == "/255" and redraw.difference <= 1
    assert (other.title, other.difference) == ("photograph against map", 0.25)


def test_the_redraw_of_strokes_is_compared_with_full_renders():
    config = PhotoGeneratorConfig(size=256, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4, lesion_blocks=1)
    model = RetinaGAN(tiny_map_generator(), PhotoGenerator(config))
    label_map = empty_map(256)
    assert redraw_difference(model, label_map) <= 1
    strokes = Strokes(model, label_map)
    photos = [strokes(number) for number in (1, 2)]
    assert (photos[0] != photos[1]).any()
    assert ((strokes.label_map == HE) >= (with_stroke(label_map, 1) == HE)).all()  # one stroke upon the other


@pytest.mark.parametrize("row", ["original-sparse", "original-styles", "original-stroke"])
def test_sparse_photographs_of_the_original_are_compared_with_dense_ones(model, row):
    plan = Plan()
    plan_original(plan, model, ["original-photo", row], tiny_original())
    report = measure(plan, {}, torch.device("cpu"), 1, silent)
    (compared,) = report.compared
    assert compared.rows == ("original-photo", row) and compared.difference < 1e-5 and compared.unit == ""
    assert report.rows.keys() == {"convolution float32", "original-photo", row}


def test_the_original_is_rendered_from_maps_that_the_shipped_generator_draws(model):
    plan = Plan()
    plan_original(plan, model, ["original-photo"], tiny_original())
    (work,) = plan.works
    assert work.call(1).shape == (1, 3, TINY_SIZE, TINY_SIZE)
    with torch.device("meta"):
        assert original_photo_generator().config.size == 1024


def test_strokes_paint_a_lesion_and_never_the_same():
    label_map = empty_map(TINY_SIZE)
    first, second = (with_stroke(label_map, number) for number in (1, 2))
    for edited in (first, second):
        changed = edited != label_map
        assert 0 < changed.sum() < 0.01 * changed.size and (edited[changed] == HE).all()
        assert not np.isin(label_map[changed], (BG, OD)).any()
    assert (first != second).any()


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_writes_json(folder, tmp_path, capsys):
    file = tmp_path / "bench.json"
    asked = ["--only", "photo,cold,pairs-1,large", "--runs", "1", "--device", "cpu", "--json", str(file), "--quiet"]
    assert main(["bench", "--model", str(folder), *asked]) == 0
    table = capsys.readouterr().out
    figures = json.loads(file.read_text("utf-8"))
    assert list(figures["rows"]) == ["convolution float32", "photo", "cold", "pairs-1"]
    assert all(row["seconds"]["median"] > 0 and row["multiply_adds"] > 0 for row in figures["rows"].values())
    assert all(row["title"] in table for row in figures["rows"].values())
    assert figures["rounds"] == 1 and figures["model"] == "tiny" and figures["size"] == TINY_SIZE
    assert list(figures["skipped"]) == ["large"]
    assert figures["memory_mib"].keys() <= {"a map and a photograph"}


def test_what_cannot_be_asked_for(folder, tmp_path, capsys, monkeypatch):
    assert f"--only names 'foto'; allowed are {', '.join(TITLES)}" in fails(capsys, "bench", "--only", "foto")
    assert "runs is 0; allowed are 1 to 1000" in fails(capsys, "bench", "--runs", "0")
    assert "must be a file in a folder that is there" in fails(
        capsys, "bench", "--json", str(tmp_path / "none" / "x.json")
    )
    assert "must be a file in a folder that is there" in fails(capsys, "bench", "--json", str(tmp_path))
    assert "no model folder at" in fails(capsys, "bench", "--model", str(tmp_path / "none"))
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    assert "--browser needs a chromium on the PATH" in fails(capsys, "bench", "--browser")
    monkeypatch.setattr(browser.importlib.util, "find_spec", lambda name: None)
    assert "--browser needs playwright: pip install 'retinagan[dev]'" in fails(capsys, "bench", "--browser")
    monkeypatch.setattr(browser, "ROOT", tmp_path)
    assert "run it in a checkout (make bench)" in fails(capsys, "bench", "--browser")


def test_a_process_that_fails_is_told(tmp_path):
    with pytest.raises(RuntimeError, match="a new process made no photograph: FileNotFoundError: no model folder at"):
        processes.ColdStart(str(tmp_path / "none"), "cpu")()


def test_workers_end_with_the_bench_that_is_killed(folder):
    bench = (
        "import sys\nfrom retinagan.bench.processes import workers\n"
        "with workers(1, sys.argv[1]) as ready:\n    print(*ready.pool._processes, flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", bench, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        os.kill(int(process.stdout.readline()), 0)  # the worker is there
        process.kill()
        assert process.communicate(timeout=60) == ("", None)  # the pipe ends when the worker has let go of it too


def test_figures_of_the_browser_come_from_the_checkouts_script(tmp_path, monkeypatch):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").touch()  # else an installed checkout's own package is found
    script = tmp_path / browser.SCRIPT
    script.write_text("import sys, json\nprint('noise')\nprint(json.dumps({'cold start of ' + sys.argv[1]: 4.5}))\n")
    monkeypatch.setattr(browser, "ROOT", tmp_path)
    assert browser.measure_app(str(tmp_path / "model")) == {f"cold start of {tmp_path}/model": 4.5}
    script.write_text("raise SystemExit('the app did not start')\n")
    with pytest.raises(RuntimeError, match="tests/bench_app.py failed: the app did not start"):
        browser.measure_app("a/model")
