"""The row of a training step, on photographs that the model makes itself: times do not depend on what they show."""

from __future__ import annotations

import dataclasses
import io
from contextlib import redirect_stderr

import numpy as np
import torch

from retinagan.data.dataset import PreparedDataset
from retinagan.eye.planes import pick
from retinagan.eye.style import Style
from retinagan.pipeline import RetinaGAN
from retinagan.resources import CONFIGS
from retinagan.training.batches import step_generator
from retinagan.training.photos import PhotosTask
from retinagan.training.settings import load_config


class TrainingStep:
    """Steps of a new photo generator of the model's configuration, each with its batch.

    What training does beside is left out: averaged weights, the log, and that batches are made ahead.
    """

    def __init__(self, model: RetinaGAN, maps: np.ndarray) -> None:
        """``maps``: ``uint8 (N, size, size)``, of which the training eyes are made."""
        changes = {"training.varied_copies": 0, "training.grown_trees": 1}
        config = load_config(CONFIGS / "default-photos.yaml", changes)
        config["network"] = dataclasses.asdict(model.photo_generator.config)
        config["training"]["crop"] = min(config["training"]["crop"], model.size // 2)
        self.device = model.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.task = PhotosTask(config, own_eyes(model, maps))
        for module in self.task.networks.values():
            module.to(self.device)
        self.task.load()
        with redirect_stderr(io.StringIO()):  # the bench has a bar of its own
            self.task.take(self.task.fit())

    def __call__(self, number: int) -> None:
        batch = {name: part.to(self.device) for name, part in self.task.batch(step_generator(0, number, 0, 0)).items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            self.task.step(batch, number, step_generator(0, number, 0, 1), self._update)

    def _update(self, name: str, loss: torch.Tensor) -> float:
        optimizer = self.task.optimizers[name]
        optimizer.zero_grad()
        loss.backward(inputs=[parameter for group in optimizer.param_groups for parameter in group["params"]])
        optimizer.step()
        return 0.0


def own_eyes(model: RetinaGAN, maps: np.ndarray) -> PreparedDataset:
    """A training split: photographs of the maps by a model with an eye, a style each, with their vessels."""
    styles, planes = range(len(maps)), model.photo_generator.config.planes
    retinas = [model.inputs(maps[style], Style(style))[2] for style in styles]
    vessels = [pick(retina, ("vessels",), planes)[0, 0] for retina in retinas if retina is not None]
    return PreparedDataset(
        photos=model.render(maps, styles),
        maps=maps,
        vessels=(255 * torch.stack(vessels)).round().byte().cpu().numpy(),
        grades=np.full(len(maps), -1),
        fovea=np.full((len(maps), 2), np.nan),
        ids=tuple(map(str, styles)),
    )
