"""The disk fills up while a command writes: nothing is cut under a final name, and run again it finishes."""

from __future__ import annotations

import dataclasses
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from retinagan.cli import main
from retinagan.data.prepare import read_manifest
from retinagan.evaluation.report import Report, Result
from retinagan.files.maps import encode_map_png
from retinagan.maps.labels import empty_map
from retinagan.writing import partials
from tests.cli.failing import fails
from tests.cli.tiny_training import tiny_training
from tests.cli.whole_files import whole
from tests.full_disk import full_disk
from tests.helpers import tiny_model
from tests.paths import DATA, ROOT
from tests.synthetic_eyes import write_idrid


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """The command of a training in a moment, up to its folder."""
    config = tiny_training(tmp_path_factory.mktemp("training"))
    command = ["train", "maps", "--config", config, "--data", config.parent / "data", "--accelerator", "cpu", "--quiet"]
    return [*map(str, command), "--run"]


def test_sample_and_render(model, tmp_path, capsys):
    (tmp_path / "map.png").write_bytes(encode_map_png(empty_map(64)))
    quiet = ("--model", model, "--device", "cpu", "--quiet")
    for number, command in enumerate((
        ("sample", "--grade", 3, "--seeds", "0-1", "--photos", 1, *quiet),
        ("render", tmp_path / "map.png", *quiet),
    )):  # fmt: skip
        out = tmp_path / str(number)
        with full_disk(2_000):
            told = fails(capsys, *command, "--out", out)
        assert str(out / "photo-g3-s0-y0.png" if number == 0 else out / "map-y0.png") in told
        assert "could not be written: " in told
        assert whole(out) == ({"map-g3-s0.png"} if number == 0 else set())
        assert main([str(word) for word in (*command, "--out", out)]) == 0
        assert len(whole(out)) == (4 if number == 0 else 1)
        capsys.readouterr()


def test_export(training, tmp_path, capsys):
    run, out = str(tmp_path / "run"), tmp_path / "model"
    assert main([*training, run, "--steps", "1"]) == 0
    capsys.readouterr()
    with full_disk(2_000):
        told = fails(capsys, "export", run, "--out", out)
    assert f"{out / 'maps.safetensors'} could not be written: " in told and whole(out) == set()
    assert main(["export", run, "--out", str(out)]) == 0
    assert whole(out) == {"maps.safetensors"}


def test_prepare(tmp_path, capsys):
    source, out = write_idrid(tmp_path / "in"), tmp_path / "out"
    command = ["prepare", str(source), "--out", str(out), "--size", "64", "--quiet"]
    with full_disk(1_500):  # a table of three eyes is shorter, a photograph longer
        assert main(command) == 1
    assert f"{out / 'images' / 'grade-001.png'} could not be written: " in capsys.readouterr().err
    assert not any(name.startswith("images") for name in whole(out)) and not read_manifest(out)
    with full_disk(100):
        assert main(command) == 2
    assert f"{out / 'manifest.csv'} could not be written: " in capsys.readouterr().err
    assert not any(name.startswith("images") for name in whole(out)) and not read_manifest(out)
    assert main(command) == 0
    assert len(whole(out)) == 3 * 3 + 2 and len(read_manifest(out)) == 3


def test_train(training, tmp_path, capsys):
    run = tmp_path / "run"
    command = [*training, str(run), "--resume", "--steps"]
    assert main([*command, "1"]) == 0
    capsys.readouterr()
    with full_disk(8_000):  # the log is shorter, a state longer
        told = fails(capsys, *command, 2)
    assert f"{run / 'state-00000002.safetensors'} could not be written: " in told
    assert "state-00000001.safetensors" in whole(run)
    assert main([*command, "2"]) == 0
    assert {"state-00000001.safetensors", "state-00000002.safetensors"} <= whole(run)


def test_import_original(tmp_path, capsys):
    out = tmp_path / "model"
    maps, photos = DATA / "original" / "maps.ckpt", DATA / "original" / "photos.ckpt"
    command = ("import-original", "--maps", maps, "--photos", photos, "--out", out, "--quiet")
    with full_disk(50_000):
        assert "photos.safetensors could not be written: " in fails(capsys, *command)
    assert not list(tmp_path.iterdir())
    assert main([str(word) for word in command]) == 0
    assert whole(out) == {"maps.safetensors", "photos.safetensors"}


def test_what_fit_eye_and_evaluate_keep_and_report(model, tmp_path):
    from retinagan import checkpoints
    from retinagan.evaluation.photo_sets import Store

    store = Store(tmp_path / "kept")
    made = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    report = Report("maps", ["# Maps"], {"values": list(range(4000))}, {"shown": _Shown()})
    for write in (
        lambda: store.get("photo", lambda: made),
        lambda: store.get("figures", lambda: made.astype(float)),
        lambda: report.write(tmp_path / "report"),
        lambda: checkpoints.change_config(model / "photos.safetensors", texture_skip=0.5),
    ):
        with full_disk(3_000), pytest.raises(OSError, match="could not be written"):
            write()
    assert whole(tmp_path) == set() and whole(model) == {"maps.safetensors", "photos.safetensors"}
    assert checkpoints.describe(model / "photos.safetensors")["config"]["texture_skip"] != 0.5
    report.write(tmp_path / "report")
    assert whole(tmp_path) == {f"report/maps{ending}" for ending in (".json", ".md", "-eye.png")}


@dataclasses.dataclass(frozen=True)
class _Shown(Result):
    title = "Shown"

    def pictures(self):
        return {"eye": Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8))}


def test_sample_that_is_killed_leaves_whole_files(model, tmp_path):
    """Wherever the kill falls: what is there under its name is whole, and the command run again finishes."""
    command = [sys.executable, "-m", "retinagan", "sample", "--grade", "3", "--seeds", "0-399", "--photos", "1"]
    command += ["--model", str(model), "--device", "cpu", "--quiet", "--out"]
    rng = random.Random(7)
    for number in range(2):
        out = tmp_path / str(number)
        process = subprocess.Popen([*command, str(out)], cwd=ROOT)
        while not list(out.glob("photo-*.png")):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for left in partials(out):
            left.unlink()
        names = whole(out)
        assert 2 <= len(names) < 800
    first = sorted(out.iterdir())[0]
    before = first.read_bytes()
    again = [*command[3:], str(out)]
    again[again.index("0-399")] = "0-3"
    assert main(again) == 0 and first.read_bytes() == before and len(whole(out)) >= len(names)
