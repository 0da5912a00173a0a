"""Every door on a device that is not the CPU, without having one.

On PyTorch's ``meta`` device tensors have shapes and no contents: one that was left on the CPU fails at once, and so
does whatever a GPU would have to be waited for, ``.item()``, a truth value or a mask as an index. Under the CPU's
autocast half precision meets the same layers as a GPU's does: a wrong dtype fails, and results stay near those of
float32.
"""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from retinagan.data.dataset import PreparedDataset
from retinagan.maps.labels import EX, HE, MA, SE, empty_map, one_hot
from retinagan.models.layers import channels_last
from retinagan.models.neighbourhoods import SeenNeighbourhoods
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.models.superres import SuperResolver, SuperResolverConfig
from retinagan.pipeline import RetinaGAN
from retinagan.redraw import Redraw
from retinagan.training.grader import GraderTask
from retinagan.training.maps import MapsTask
from retinagan.training.photos import PhotosTask
from retinagan.training.segmenter import SegmenterTask
from retinagan.training.superres import SuperresTask
from tests.helpers import TINY_SIZE, tiny_map_generator, tiny_original_generator
from tests.reference_eyes import eye_model, reference_eye

AUTOCAST = torch.autocast


class LastCopies(TorchFunctionMode):
    """Counts copies to the CPU and lets them give zeros; nothing else may ask for a device's contents."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.cpu and args[0].device.type == "meta":
            self.count += 1
            return torch.zeros(args[0].shape, dtype=args[0].dtype)
        return function(*args, **(kwargs or {}))


@pytest.fixture
def device(monkeypatch):
    """``meta``, which knows no autocast."""

    def autocast(device_type, *args, **kwargs):
        return contextlib.nullcontext() if device_type == "meta" else AUTOCAST(device_type, *args, **kwargs)

    monkeypatch.setattr(torch, "autocast", autocast)
    return torch.device("meta")


@pytest.fixture
def half(monkeypatch):
    """Where a GPU would use bfloat16 the CPU does."""

    def autocast(device_type, dtype=None, enabled=True):
        return AUTOCAST(device_type, dtype, enabled=enabled or dtype == torch.bfloat16)

    monkeypatch.setattr(torch, "autocast", autocast)


def superres():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SuperResolver(SuperResolverConfig(size=2 * TINY_SIZE, channels=8, blocks=2, fine_channels=4))


def default_model(device="cpu"):
    small = eye_model()
    return RetinaGAN(small.map_generator, small.photo_generator, device, superres=superres())


def original_model(device="cpu"):
    return RetinaGAN(tiny_map_generator(), tiny_original_generator(), device)


def ill_map():
    label_map = empty_map(TINY_SIZE)
    label_map[40:46, 24:30], label_map[20:22, 30:32] = HE, MA
    return label_map


# --- sampling and rendering -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("truncation", [1.0, 0.5])
def test_maps_are_sampled_on_any_device(device, truncation):
    model = default_model(device)
    with LastCopies() as copies:
        maps = model.sample_maps(3, [7, 8], truncation, clean=False)
    assert maps.shape == (2, TINY_SIZE, TINY_SIZE) and maps.dtype == np.uint8
    assert copies.count == 2
    with LastCopies():
        assert model.sample_maps(3, [7], truncation).shape == (1, TINY_SIZE, TINY_SIZE)
        assert model.maps_between(0, 1, 4, 2, [0.0, 0.5], truncation).shape == (2, TINY_SIZE, TINY_SIZE)


@pytest.mark.parametrize("size", [TINY_SIZE, 2 * TINY_SIZE])
def test_photographs_are_rendered_on_any_device(device, size):
    model, styles = default_model(), [7, 8, default_model().encode_style(*reference_eye(TINY_SIZE), whole_eye=True)]
    model = default_model(device)
    with LastCopies() as copies:
        photos = model.render(np.stack([ill_map()] * 3), styles, size)
    assert photos.shape == (3, size, size, 3) and photos.dtype == np.uint8
    assert copies.count == 3  # the photographs


@pytest.mark.parametrize("lesion_blocks", [0, 1])
def test_strokes_are_redrawn_on_any_device(device, lesion_blocks):
    config = PhotoGeneratorConfig(
        size=TINY_SIZE, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4, lesion_blocks=lesion_blocks
    )
    redraw = Redraw(RetinaGAN(tiny_map_generator(), PhotoGenerator(config), device), 7)
    with LastCopies() as copies:
        for label_map in (empty_map(TINY_SIZE), ill_map()):
            assert redraw.update(label_map).shape == (TINY_SIZE, TINY_SIZE, 3)
    assert copies.count == 2


def test_the_originals_photographs_are_rendered_on_any_device(device):
    model = original_model(device)
    with LastCopies() as copies:
        photos = model.render(np.stack([ill_map()] * 2), [7, model.style_between(7, 8, 0.5)])
    assert photos.shape == (2, TINY_SIZE, TINY_SIZE, 3) and copies.count == 2


@pytest.mark.parametrize("size", [TINY_SIZE, 2 * TINY_SIZE])
def test_photographs_in_half_precision_are_near(half, monkeypatch, size):
    maps, styles = np.stack([ill_map()] * 2), [7, 8]
    found = default_model().render(maps, styles, size).astype(int)
    monkeypatch.undo()
    exact = default_model().render(maps, styles, size)
    assert 0 < np.abs(found - exact).max() <= 6 and np.abs(found - exact).mean() < 1


def test_maps_in_half_precision_are_near():
    generator = tiny_map_generator()
    z, noise = generator.random_inputs([7])
    grade = torch.tensor([3])
    with torch.inference_mode():
        exact = generator(z, grade, noise)
        with torch.autocast("cpu", torch.bfloat16):
            found = generator(z, grade, noise)
    assert found.dtype == torch.float32
    assert 0 < (found - exact).abs().max() < 0.1 * exact.std()


def test_the_originals_photographs_in_half_precision_are_near():
    """Imported weights stay in float32 on a GPU; who trains such networks does not."""
    generator = tiny_original_generator(gain=1.0)
    onehot, latent = one_hot(ill_map()[None]), torch.randn(1, 5, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact = generator(onehot, latent)
        with torch.autocast("cpu", torch.bfloat16):
            found = generator(onehot, latent, seen=SeenNeighbourhoods())
    assert found.dtype == torch.float32
    assert 0 < (found - exact).abs().max() < 0.02


# --- training -------------------------------------------------------------------------------------------------------

NETWORKS = {
    "maps": dict(latent_dim=8, w_dim=8, mapping_layers=2, channels=(8, 8, 8, 8)),
    "photos": dict(size=TINY_SIZE, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4, texture_skip=0.03),
    "superres": dict(size=TINY_SIZE, channels=8, blocks=1, fine_channels=4),
    "segmenter": dict(size=TINY_SIZE, channels=(8, 12, 16)),
    "segmenter, lite1": dict(size=TINY_SIZE, encoder="lite1"),
    "grader": dict(size=TINY_SIZE, dropout=0.0),
}
TRAININGS = {
    "maps": (MapsTask, dict(batch=5, r1_every=2)),
    "photos": (PhotosTask, dict(batch_size=4, crop=32, grown_trees=1, generator_lr=1e-6, discriminator_lr=1e-6)),
    "superres": (SuperresTask, dict(batch_size=2, crop=32)),
    "segmenter": (SegmenterTask, dict(batch_size=2, crop=32)),
    "segmenter, lite1": (SegmenterTask, dict(batch_size=2, crop=32)),
    "grader": (GraderTask, dict(batch_size=4)),
}
DISCRIMINATORS = {"maps": dict(channels=(8, 8)), "photos": dict(channels=(8, 8)), "superres": dict(channels=(8, 8))}


def dataset():
    rng = np.random.default_rng(0)
    maps = np.stack([empty_map(TINY_SIZE, side) for side in ("left", "right") * 3])
    for index, kind in enumerate((EX, HE, SE, MA)):
        maps[index, 20:26, 28:34] = kind
    tint = np.array([200, 90, 40]) + np.arange(6)[:, None] * 5
    photos = tint[:, None, None] + rng.normal(0, 4, (*maps.shape, 1))
    photos[maps == 0] = 0
    vessels = np.zeros(maps.shape, np.uint8)
    vessels[:, 31:33, 8:56] = 255
    return PreparedDataset(
        photos=photos.clip(0, 255).astype(np.uint8), maps=maps, vessels=vessels, grades=np.array([2, 3, 4, 2, 0, 0]),
        fovea=np.full((6, 2), np.nan), ids=tuple("abcdef"), labels=("masks",) * 6,
    )  # fmt: skip


def task_of(name):
    """A task that has taken in its data."""
    make, training = TRAININGS[name]
    config = {"network": NETWORKS[name], "training": training}
    if name in DISCRIMINATORS:
        config["discriminator"] = DISCRIMINATORS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        task = make(config, dataset())
    task.load()
    task.take(task.fit())
    return task


def batch_of(task, device="cpu"):
    return {key: value.to(device) for key, value in task.batch(torch.Generator().manual_seed(1)).items()}


def step(task, batch, number):
    """The losses of a step, with all updates."""

    def update(name, loss):
        optimizer = task.optimizers[name]
        optimizer.zero_grad()
        loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])
        optimizer.step()
        updated.append(name)
        return 0.0

    updated = []
    for network in task.networks.values():
        network.train()
    losses = task.step(batch, number, torch.Generator().manual_seed(2), update)
    assert set(updated) == set(task.optimizers)
    return losses


@pytest.mark.parametrize(("name", "number"), [(name, 0) for name in TRAININGS] + [("maps", 1), ("photos", 1)])
def test_a_training_step_on_any_device(device, name, number):
    task = task_of(name)
    for network in task.networks.values():
        channels_last(network.to(device))
    losses = step(task, batch_of(task, device), number)  # batches are made on the CPU and ask the device for nothing
    assert losses and all(value.device == device and value.shape == () for value in losses.values())


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_step_in_half_precision_is_near(name):
    tasks = [task_of(name) for _ in range(2)]
    exact, batch = step(tasks[0], batch_of(tasks[0]), 0), batch_of(tasks[1])
    with torch.autocast("cpu", torch.bfloat16):
        found = step(tasks[1], batch, 0)
    assert found.keys() == exact.keys()
    for key, value in found.items():
        assert float(value.detach()) == pytest.approx(float(exact[key].detach()), rel=0.05, abs=0.02), key
        assert value.dtype == torch.float32, key
