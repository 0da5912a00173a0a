from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from retinagan.training.batches import mix, step_generator
from retinagan.training.export import load_ema
from retinagan.training.loop import TrainingDiverged, train
from retinagan.training.settings import load_config, task_for
from retinagan.training.state import StateError, latest_state, read_latest, read_state, state_files
from retinagan.writing import partials
from tests.paths import ROOT
from tests.toy_task import LinearTask, ToyTask

EACH_STEP = {"checkpoint_minutes": 1e-9, "log_every": 1, "sheet_minutes": 0}


def run(folder, steps, task=ToyTask, resume=False, devices=1, **options):
    config = {"training": {"seed": 3, **options}}
    return train(task, config, folder, steps=steps, resume=resume, devices=devices, accelerator="cpu", progress=False)


def same(a: Path, b: Path) -> bool:
    left, right = read_state(a).tensors, read_state(b).tensors
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def script(folder, devices=1, **options):
    options = json.dumps({"seed": 3, "steps": 100000, "pause": 0.01, **EACH_STEP, **options})
    command = [sys.executable, "-m", "tests.toy_task", str(folder), options, str(devices)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(folder: Path, step: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not (path := latest_state(folder)) or int(path.stem[6:]) < step:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no state was written"
        time.sleep(0.01)


def test_a_killed_run_resumes_bit_for_bit(tmp_path, capsys):
    run(tmp_path / "whole", 50, log_every=1)
    process = script(tmp_path / "killed")
    wait_for_step(tmp_path / "killed", 6, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = int(latest_state(tmp_path / "killed").stem[6:])
    assert 6 <= reached < 50
    result = run(tmp_path / "killed", 50, resume=True, log_every=1)
    assert (result.step, result.reason) == (50, "steps")
    assert f"was left locked by process {process.pid}" in capsys.readouterr().out
    assert same(result.state, tmp_path / "whole" / "state-00000050.safetensors")
    lines = [json.loads(line) for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    whole = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 51))
    assert [line["loss"] for line in lines] == [line["loss"] for line in whole]


@pytest.mark.parametrize(("number", "devices"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_request_to_stop_finishes_the_step_and_saves(tmp_path, number, devices):
    process = script(tmp_path, devices)
    wait_for_step(tmp_path, 3, process)
    process.send_signal(number)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    step, reason = out.split()[-2:]
    assert reason == "signal"
    assert latest_state(tmp_path).name == f"state-{int(step):08d}.safetensors"


def test_one_run_in_two_parts_equals_one(tmp_path):
    run(tmp_path / "a", 30)
    run(tmp_path / "b", 11)
    run(tmp_path / "b", 30, resume=True)
    assert same(latest_state(tmp_path / "a"), latest_state(tmp_path / "b"))
    run(tmp_path / "c", 30, prefetch=2)
    assert same(latest_state(tmp_path / "a"), latest_state(tmp_path / "c"))
    run(tmp_path / "d", 30, seed=4)
    assert not same(latest_state(tmp_path / "a"), latest_state(tmp_path / "d"))


def test_training_leaves_the_global_generator_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(tmp_path, 2)
    assert torch.equal(torch.rand(3), expected)


def test_what_a_run_folder_holds(tmp_path):
    run(tmp_path, 25, log_every=10)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == {"training": {"seed": 3, "log_every": 10}}
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20]
    assert lines[1]["loss"] < lines[0]["loss"]
    assert {"seconds", "items_per_second", "norm"} <= lines[0].keys()
    sheet = np.asarray(Image.open(tmp_path / "sheets" / "step-00000025.png"))
    assert np.array_equal(sheet, ToyTask({}).sheet({}, step_generator(3, 0, 0, 2)))
    assert list((tmp_path / "tensorboard").glob("events*"))
    meta = read_state(latest_state(tmp_path)).meta
    assert (meta["step"], meta["task"], meta["config"]["training"]["seed"]) == (25, "toy", 3)


def test_the_newest_two_states_are_kept(tmp_path):
    run(tmp_path, 6, **EACH_STEP)
    assert [path.name for path in state_files(tmp_path)] == [f"state-{n:08d}.safetensors" for n in (6, 5)]
    assert not partials(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "altered", "empty"])
def test_a_damaged_state_falls_back_to_the_one_before(tmp_path, damage):
    run(tmp_path / "whole", 8, **EACH_STEP)
    run(tmp_path / "run", 6, **EACH_STEP)
    newest = latest_state(tmp_path / "run")
    data = bytearray(newest.read_bytes())
    data[-5] ^= 1
    newest.write_bytes({"cut": data[: len(data) // 2], "altered": data, "empty": b""}[damage])
    with pytest.warns(RuntimeWarning, match="state-00000006.safetensors"):
        run(tmp_path / "run", 8, resume=True, **EACH_STEP)
    assert same(latest_state(tmp_path / "run"), latest_state(tmp_path / "whole"))


def test_no_readable_state_is_an_error(tmp_path):
    run(tmp_path, 2)
    latest_state(tmp_path).write_bytes(b"not a state")
    with pytest.warns(RuntimeWarning), pytest.raises(StateError, match="state-00000002.*start afresh"):
        run(tmp_path, 4, resume=True)
    assert read_latest(tmp_path / "elsewhere") is None and latest_state(tmp_path / "elsewhere") is None


def test_averaged_weights_follow_the_formula(tmp_path):
    expected = None
    for step in range(1, 7):
        run(tmp_path, step, resume=True, ema_decay=0.3)
        tensors = read_state(latest_state(tmp_path)).tensors
        weight = tensors["network/generator/0.weight"]
        decay = min(0.3, step / (9 + step))  # (1 + k) / (10 + k) of the step's number k, from 0
        if expected is None:  # the average starts from the first weights, which the seed gives
            with torch.random.fork_rng():
                torch.manual_seed(mix(3, 0))
                expected = ToyTask({}).networks["generator"][0].weight.detach().clone()
        expected = decay * expected + (1 - decay) * weight
        assert torch.allclose(tensors["average/generator/0.weight"], expected, atol=1e-6)
        running = "generator/1.running_mean"
        assert torch.equal(tensors[f"average/{running}"], tensors[f"network/{running}"])
    assert not any(key.startswith("average/discriminator") for key in tensors)


def test_load_ema_gives_the_averaged_network_and_facts(tmp_path):
    run(tmp_path, 5, data="/somewhere/private")
    task, networks, facts = load_ema(tmp_path, ToyTask)
    tensors = read_state(latest_state(tmp_path)).part("average/generator")
    assert all(torch.equal(value, tensors[key]) for key, value in networks["generator"].state_dict().items())
    assert not networks["generator"].training
    assert (facts["task"], facts["steps"], facts["seed"]) == ("toy", 5, 3)
    assert "/somewhere/private" not in json.dumps(facts)
    with pytest.raises(FileNotFoundError, match="train there first"):
        load_ema(tmp_path / "none", ToyTask)


def test_a_loss_that_is_not_finite_stops_and_saves_nothing(tmp_path):
    with pytest.raises(TrainingDiverged, match=r"loss of 'generator'.*step 7 .*state-00000007\.safetensors"):
        run(tmp_path, 20, broken_at=7, **EACH_STEP)
    state = read_state(latest_state(tmp_path))
    assert state.meta["step"] == 7
    assert all(torch.isfinite(value).all() for value in state.tensors.values())
    assert run(tmp_path, 9, resume=True, **EACH_STEP).step == 9


class BadGradient(LinearTask):
    def step(self, batch, step, rng, update):
        weight = self.networks["line"].weight
        update("line", (weight - weight.detach()).abs().sqrt().sum())  # the slope of a root at zero is not finite
        return {}


def test_a_gradient_that_is_not_finite_stops(tmp_path):
    with pytest.raises(TrainingDiverged, match="gradient of 'line' is not finite at step 0.*no state was saved"):
        run(tmp_path, 3, task=BadGradient)
    assert latest_state(tmp_path) is None


def test_update_touches_its_own_network_only_and_clips(tmp_path):
    seen = {}

    class Watching(LinearTask):
        def __init__(self, config):
            super().__init__(config)
            self.networks["other"] = nn.Linear(3, 1)
            self.optimizers["line"] = torch.optim.SGD(self.networks["line"].parameters(), 1.0)

        def step(self, batch, step, rng, update):
            before = copy.deepcopy(self.networks["line"])
            loss = 100 * (self.networks["line"](batch) + self.networks["other"](batch)).square().mean()
            seen["norm"] = update("line", loss)
            moved = [b - a for a, b in zip(before.parameters(), self.networks["line"].parameters(), strict=True)]
            seen["moved"] = float(torch.cat([m.detach().flatten() for m in moved]).norm())
            seen["other"] = self.networks["other"].weight.grad
            return {}

    run(tmp_path, 1, task=Watching, clip=0.5)
    assert seen["norm"] > 1 and seen["moved"] == pytest.approx(0.5, rel=1e-4) and seen["other"] is None


def test_two_processes_equal_one_on_the_joint_batch(tmp_path):
    result = run(tmp_path, 12, task=LinearTask, devices=2)
    assert result.step == 12
    trained = read_state(result.state).part("network/line")
    with torch.random.fork_rng():
        torch.manual_seed(mix(3, 0))
        task = LinearTask({})
    line, optimizer = task.networks["line"], task.optimizers["line"]
    for step in range(12):
        x = torch.cat([task.batch(step_generator(3, step, rank)) for rank in (0, 1)])
        optimizer.zero_grad()
        (line(x) - x.sum(dim=1, keepdim=True) - 1).square().mean().backward()
        optimizer.step()
    assert torch.allclose(trained["weight"], line.weight, atol=1e-5)
    assert torch.allclose(trained["bias"], line.bias, atol=1e-5)


class WatchedRanks(ToyTask):
    """Writes each rank's weights at every step; ranks start differently, which the loop must undo."""

    def __init__(self, config):
        super().__init__(config)
        torch.nn.init.normal_(self.networks["generator"][0].weight, std=1.0 + os.getpid() % 7)

    def step(self, batch, step, rng, update):
        losses = super().step(batch, step, rng, update)
        weights = torch.cat([p.detach().flatten() for net in self.networks.values() for p in net.parameters()])
        folder = Path(self.options["where"])
        np.save(folder / f"{step}-{os.getpid()}.npy", weights.numpy())
        return losses


def test_ranks_hold_identical_weights(tmp_path):
    (tmp_path / "weights").mkdir()
    run(tmp_path / "run", 5, task=WatchedRanks, devices=2, where=str(tmp_path / "weights"))
    for step in range(5):
        first, second = (np.load(path) for path in (tmp_path / "weights").glob(f"{step}-*.npy"))
        assert np.array_equal(first, second)


def test_a_run_is_not_overwritten_nor_resumed_as_another(tmp_path):
    def start(network, **kwargs):
        config = {"network": network, "training": {}}
        return train(ToyTask, config, tmp_path, accelerator="cpu", progress=False, **kwargs)

    start({"width": 1}, steps=1)
    with pytest.raises(FileExistsError, match="already holds a run"):
        start({"width": 1}, steps=2)
    with pytest.raises(StateError, match=r"network.width \(was 1, is 2\)"):
        start({"width": 2}, steps=2, resume=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give an end"),
        ({"steps": 0}, "at least 1"),
        ({"max_minutes": -1}, "above 0"),
        ({"steps": 1, "devices": 0}, "devices is 0"),
        ({"steps": 1, "accelerator": "tpu"}, "allowed are auto, cpu and cuda"),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        train(ToyTask, {}, tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


def test_minutes_end_a_run(tmp_path):
    config = {"training": {"pause": 0.02}}
    result = train(ToyTask, config, tmp_path, max_minutes=0.005, accelerator="cpu", progress=False)
    assert result.reason == "minutes" and 1 <= result.step <= 15


def config_file(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return path


def test_load_config_fills_defaults_and_takes_overrides(tmp_path):
    path = config_file(tmp_path, "task: maps\ntraining: {learning_rate: 1e-3, batch: 4}\n")
    config = load_config(path, ["training.batch=6", "network.channels=[8, 8]"])
    assert config["training"]["learning_rate"] == 0.001 and config["training"]["batch"] == 6
    assert config["network"]["channels"] == [8, 8] and config["training"]["log_every"] == 20
    assert load_config(path, {"training.seed": 9})["training"]["seed"] == 9
    json.dumps(config)
    assert task_for(config).__module__ == "retinagan.training.maps"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: maps\ntraning: {}\n", "unknown keys traning; allowed are task, network, discriminator, training"),
        ("task: maps\ntraining: {bach: 3}\n", "section training: unknown keys bach; allowed are seed,"),
        ("task: mops\n", "allowed are grader, maps, photos"),
        ("network: {}\n", "no key 'task'"),
        ("task: maps\ntraining: {batch: many}\n", "section training: batch is 'many'; it must be a whole number"),
        ("task: maps\ntraining: {batch: 0}\n", "at least 1"),
        ("task: maps\ntraining: [1]\n", "must be a mapping"),
        ("task: maps\ntraining: {ema_decay: 1.0}\n", "ema_decay is 1.0"),
        ("task: maps\nnetwork: {channels: 3}\n", "channels"),
        ("- a\n", "a configuration is a mapping"),
        ("task: [", "not valid YAML"),
    ],
)
def test_load_config_names_what_is_wrong(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load_config(config_file(tmp_path, text))


def test_load_config_without_file_and_with_bad_override(tmp_path):
    with pytest.raises(FileNotFoundError, match="configs/"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="section.key=value"):
        load_config(config_file(tmp_path, "task: maps\n"), ["training.batch"])
    with pytest.raises(ValueError, match="no key 'task'"):
        task_for({})
