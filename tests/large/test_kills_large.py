"""Each command killed at random moments: nothing cut under a final name, and run again it finishes.

``KILLS`` says how often each is killed (20).
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from retinagan.cli import main
from retinagan.files.maps import encode_map_png
from retinagan.maps.labels import empty_map
from retinagan.writing import partials
from tests.cli.tiny_training import tiny_training
from tests.cli.whole_files import whole
from tests.helpers import tiny_model
from tests.paths import DATA, ROOT
from tests.synthetic_eyes import write_idrid

KILLS = int(os.environ.get("KILLS", "20"))


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """Name → what is run up to the folder that it writes, and what a whole folder holds."""
    folder = tmp_path_factory.mktemp("kills")
    model = tiny_model(folder / "model")
    config = tiny_training(folder)
    (folder / "map.png").write_bytes(encode_map_png(empty_map(64)))
    eyes = write_idrid(folder / "IDRiD", grades=(0,) * 8)
    train = ["train", "maps", "--config", config, "--data", folder / "data", "--accelerator", "cpu", "--quiet"]
    train += ["--set", "training.checkpoint_minutes=0.0001", "--steps", "60", "--resume", "--run"]
    assert main([*map(str, train), str(folder / "run")]) == 0
    maps, photos = DATA / "original" / "maps.ckpt", DATA / "original" / "photos.ckpt"
    made = ["--model", model, "--device", "cpu", "--quiet", "--out"]
    return {
        "sample": (["sample", "--grade", "3", "--seeds", "0-39", "--photos", "1", *made], "map-g3-s39.png"),
        "render": (["render", folder / "map.png", "--seeds", "0-39", *made], "map-y39.png"),
        "export": (["export", folder / "run", "--out"], "maps.safetensors"),
        "prepare": (["prepare", eyes, "--size", "64", "--quiet", "--out"], "manifest.csv"),
        "train": (train, "state-00000060.safetensors"),
        "import": (["import-original", "--maps", maps, "--photos", photos, "--quiet", "--out"], "photos.safetensors"),
    }


@pytest.mark.parametrize("name", ["sample", "render", "export", "prepare", "train", "import"])
def test_killed_and_run_again(commands, name, tmp_path):
    words, last = commands[name]
    command = [sys.executable, "-m", "retinagan", *map(str, words)]
    start = time.monotonic()
    subprocess.run([*command, tmp_path / "first"], cwd=ROOT, check=True, capture_output=True)
    seconds, rng, cut_short = time.monotonic() - start, random.Random(name), 0
    for number in range(KILLS):
        out = tmp_path / str(number)
        process = subprocess.Popen([*command, out], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 0.9) * seconds)  # most of the first part is imports
        process.kill()
        cut_short += process.wait() != 0
        for folder in (out, *out.glob("*/"), tmp_path):
            for left in partials(folder):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        if out.exists():
            whole(out)
        again = subprocess.run([*command, out], cwd=ROOT, capture_output=True, text=True)
        assert again.returncode == 0 or "exists already" in again.stderr, again.stderr  # the import had ended
        assert (out / last).is_file() and whole(out)
    print(f"{name}: {cut_short} of {KILLS} killed before they ended")
