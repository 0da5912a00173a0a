"""A small task for the tests of the training loop; as a script it trains, so that tests can kill it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from retinagan.training.loop import train
from retinagan.training.task import Task


class ToyTask(Task):
    """A regressor with batch norm and dropout, and a critic of it; ``training`` says what goes wrong when."""

    name = "toy"
    averaged = ("generator",)

    def __init__(self, config):
        self.options = config.get("training", {})
        generator = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.networks = {"generator": generator, "discriminator": nn.Linear(1, 1)}
        self.optimizers = {name: torch.optim.Adam(net.parameters(), 1e-2) for name, net in self.networks.items()}
        self.calls = []

    def batch(self, rng):
        return {"x": torch.randn(8, 4, generator=rng)}

    def step(self, batch, step, rng, update):
        time.sleep(self.options.get("pause", 0.0))
        self.calls.append(step)
        x = batch["x"]
        y = self.networks["generator"](x) + 0.01 * torch.randn(len(x), 1, generator=rng)
        loss = (y - x.sum(dim=1, keepdim=True)).square().mean()
        if step == self.options.get("broken_at"):
            loss = loss * float("nan")
        norm = update("generator", loss + 1e-3 * self.networks["discriminator"](y).mean())
        critic = (self.networks["discriminator"](y.detach()) - 1).square().mean()
        update("discriminator", critic)
        return {"loss": loss, "norm": norm}

    def sheet(self, networks, rng):
        return torch.randint(256, (4, 6, 3), generator=rng).numpy().astype(np.uint8)

    def export(self, networks, facts):
        return {"toy": networks["generator"]}


class LinearTask(ToyTask):
    """Linear regression, for which several devices must equal one on the joint batch."""

    averaged = ()

    def __init__(self, config):
        self.networks = {"line": nn.Linear(3, 1)}
        self.optimizers = {"line": torch.optim.SGD(self.networks["line"].parameters(), 0.1, momentum=0.9)}

    def batch(self, rng):
        return torch.randn(4, 3, generator=rng)

    def step(self, batch, step, rng, update):
        loss = (self.networks["line"](batch) - batch.sum(dim=1, keepdim=True) - 1).square().mean()
        update("line", loss)
        return {"loss": loss}


if __name__ == "__main__":
    options = json.loads(sys.argv[2])
    devices = int(sys.argv[3])
    result = train(ToyTask, {"training": options}, Path(sys.argv[1]), devices=devices, accelerator="cpu")
    print(result.step, result.reason)
