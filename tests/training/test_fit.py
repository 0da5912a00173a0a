"""What a run measures on its data before the first step: once, kept for exactly these data, and schedules of learning
rates."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from retinagan.data.dataset import PreparedDataset
from retinagan.maps import labels
from retinagan.training import photos
from retinagan.training.loop import train
from retinagan.training.records import pack, unpack
from retinagan.training.state import FITTED, latest_state, read_fitted, read_state
from tests.toy_task import ToyTask


class FittedTask(ToyTask):
    """Counts its fits in files; its batches are scaled by what was fitted, ``training.data`` stands for the data."""

    def __init__(self, config):
        super().__init__(config)
        self.networks["generator"].register_buffer("scale", torch.zeros(3))

    def load(self):
        return self.options["data"]

    def fit(self):
        folder = Path(self.options["where"])
        (folder / f"fit-{len(list(folder.iterdir()))}-{os.getpid()}").touch()
        return {"scale": torch.full((3,), float(len(self.options["data"])))}

    def take(self, fitted):
        self.scale = fitted["scale"]
        self.networks["generator"].scale.copy_(self.scale)

    def batch(self, rng):
        return {"x": super().batch(rng)["x"] * self.scale[0]}


@pytest.fixture
def fits(tmp_path):
    folder = tmp_path / "fits"
    folder.mkdir()
    return folder


def run(folder, fits, steps, data="ab", task=FittedTask, devices=1, **options):
    config = {"training": {"seed": 3, "log_every": 1, "where": str(fits), "data": data, **options}}
    return train(task, config, folder, steps=steps, resume=True, devices=devices, accelerator="cpu", progress=False)


def same(a: Path, b: Path) -> bool:
    left, right = (read_state(latest_state(folder)).tensors for folder in (a, b))
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def test_a_resumed_run_takes_what_was_measured_at_its_start(tmp_path, fits):
    run(tmp_path / "whole", fits, 8)
    assert len(list(fits.iterdir())) == 1
    run(tmp_path / "parts", fits, 3)
    run(tmp_path / "parts", fits, 8)
    assert len(list(fits.iterdir())) == 2 and same(tmp_path / "whole", tmp_path / "parts")
    state = read_state(latest_state(tmp_path / "parts"))
    assert state.meta["data"] == "ab"
    assert state.tensors["average/generator/scale"].tolist() == [2.0] * 3


@pytest.mark.parametrize("damage", ["gone", "cut", "altered"])
def test_what_was_measured_and_is_lost_is_measured_again(tmp_path, fits, damage):
    run(tmp_path / "whole", fits, 6)
    run(tmp_path / "run", fits, 3)
    path = tmp_path / "run" / FITTED
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data if damage == "altered" else data[:20])
    run(tmp_path / "run", fits, 6)
    assert len(list(fits.iterdir())) == 3 and same(tmp_path / "whole", tmp_path / "run")


def test_other_data_are_measured_anew_and_told(tmp_path, fits, capsys):
    run(tmp_path / "run", fits, 2)
    assert "other training data" not in capsys.readouterr().out
    run(tmp_path / "run", fits, 4, data="abcde")
    assert "other training data than before: they are measured anew" in capsys.readouterr().out
    assert len(list(fits.iterdir())) == 2
    state = read_state(latest_state(tmp_path / "run"))
    assert state.meta["data"] == "abcde" and state.tensors["network/generator/scale"].tolist() == [5.0] * 3
    assert read_fitted(tmp_path / "run", "ab") is None
    assert read_fitted(tmp_path / "run", "abcde")["scale"].tolist() == [5.0] * 3


def test_of_several_processes_one_measures(tmp_path, fits):
    run(tmp_path / "run", fits, 2, devices=2)
    assert len(list(fits.iterdir())) == 1
    assert read_state(latest_state(tmp_path / "run")).tensors["network/generator/scale"].tolist() == [2.0] * 3


class ScheduledTask(ToyTask):
    """The generator's rate falls along a cosine; it is logged."""

    def __init__(self, config):
        super().__init__(config)
        self.schedules = {"generator": lambda step: 0.5 * (1 + math.cos(math.pi * step / 10))}

    def step(self, batch, step, rng, update):
        return super().step(batch, step, rng, update) | {"rate": self.optimizers["generator"].param_groups[0]["lr"]}


def test_a_schedule_goes_on_where_it_was(tmp_path, fits):
    run(tmp_path / "whole", fits, 9, task=ScheduledTask)
    for steps in (4, 9):
        run(tmp_path / "parts", fits, steps, task=ScheduledTask)
    assert same(tmp_path / "whole", tmp_path / "parts")
    for folder in ("whole", "parts"):
        lines = (tmp_path / folder / "log.jsonl").read_text().splitlines()
        rates = [json.loads(line)["rate"] for line in lines]
        assert rates == pytest.approx([1e-2 * 0.5 * (1 + math.cos(math.pi * step / 10)) for step in range(9)])


def test_records_come_back_from_tensors():
    eye = photos.Eye(
        photo=np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
        label_map=np.ones((2, 2), np.uint8),
        guidance=np.full((6, 2, 2), 0.1, np.float16),
        made_texture=np.zeros((2, 2), np.float16),
        vessel_gain=np.float32(1.1),
        code=np.array([0.3], np.float32),
        side="left",
        fovea=(1.5, 2.0, 0.1),
        targets=np.zeros((0, 2), np.int64),
        has_lesions=False,
    )
    (again,) = unpack(photos.Eye, pack([eye]))
    arrays = {name: value for name, value in vars(eye).items() if isinstance(value, np.ndarray)}
    for name, value in arrays.items():
        other = getattr(again, name)
        assert np.array_equal(other, value) and other.dtype == value.dtype
    assert again.vessel_gain == np.float32(1.1) and again.side == "left" and again.has_lesions is False
    assert list(again.fovea) == [1.5, 2.0, 0.1]


SIZE = 64
PHOTOS = {
    "network": dict(size=SIZE, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4),
    "discriminator": dict(channels=(8, 8)),
    "training": dict(crop=32, batch_size=2, grown_share=0.5, grown_trees=1, varied_copies=1, seed=3),
}


def two_eyes(tint: int = 200) -> PreparedDataset:
    maps = np.stack([labels.empty_map(SIZE, side) for side in ("left", "right")])
    maps[0, 20:26, 30:40] = labels.EX
    vessels = np.zeros((2, SIZE, SIZE), dtype=np.uint8)
    vessels[:, 31:33, 8:56] = 255
    draws = np.random.default_rng(0)
    photo = np.array([tint, 90, 40]) + draws.integers(-9, 9, (2, SIZE, SIZE, 1))
    photo[maps == labels.BG] = 0
    return PreparedDataset(photo.astype(np.uint8), maps, vessels, np.array([2, 0]), np.full((2, 2), np.nan), ("a", "b"))


def test_photo_training_resumes_exactly_and_measures_its_eyes_once(tmp_path, monkeypatch):
    measured = []
    measure = photos.measure_eyes
    monkeypatch.setattr(photos, "measure_eyes", lambda *arguments: measured.append(1) or measure(*arguments))

    def go(folder, steps, data):
        config = {**PHOTOS, "training": {**PHOTOS["training"], "data": "nowhere"}}
        make = lambda config: photos.PhotosTask(config, data)  # noqa: E731
        train(make, config, folder, steps=steps, resume=True, accelerator="cpu", progress=False)

    go(tmp_path / "whole", 4, two_eyes())
    go(tmp_path / "parts", 2, two_eyes())
    assert len(measured) == 2
    go(tmp_path / "parts", 4, two_eyes())
    assert len(measured) == 2 and same(tmp_path / "whole", tmp_path / "parts")
    light = "network/generator/eye.light_mean"
    before = read_state(latest_state(tmp_path / "parts")).tensors[light]
    go(tmp_path / "parts", 5, two_eyes(tint=150))
    after = read_state(latest_state(tmp_path / "parts")).tensors[light]
    assert len(measured) == 3 and after[0].mean() < 0.85 * before[0].mean()
