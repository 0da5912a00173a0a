"""What the training loop asks of a network's training, and what the tasks share: sums of weighted losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

Networks = dict[str, Any]
"""Networks by name; a task knows of which class each of its own is."""
Terms = dict[str, tuple[float, Tensor]]
"""The parts of a loss by name: weight and value."""

Update = Callable[[str, Tensor], float]
"""``update(optimiser's name, scalar loss)``: one step of that optimiser on the gradient of the loss by its parameters
alone; returns the gradient's norm."""


class Task(Protocol):
    """One network's training. Whatever it remembers between steps must be in its networks (buffers) or optimisers.

    The loop calls :meth:`load` once, then :meth:`take` with what :meth:`fit` returned, now or at the run's start; then
    come batches and steps. A task that is exported has not seen its data.
    """

    name: str
    networks: Networks
    averaged: tuple[str, ...]
    """Names of the networks whose weights are averaged over the steps."""
    optimizers: dict[str, torch.optim.Optimizer]
    schedules: Mapping[str, Callable[[int], float]] = {}
    """By the optimiser's name: what its learning rate is multiplied by at each step."""

    def load(self) -> str:
        """Read the training data; returns a digest of them and of the settings on which :meth:`fit` depends."""
        return ""

    def fit(self) -> dict[str, Tensor]:
        """What training needs to know of the loaded data and what takes long to measure. Changes nothing; the run's
        folder keeps it."""
        return {}

    def take(self, fitted: dict[str, Tensor]) -> None:
        """Make use of what :meth:`fit` returned; sets the networks' buffers that are measured on data."""

    def batch(self, rng: torch.Generator) -> Any:
        """One rank's batch: CPU tensors (nested as one likes) that depend on ``rng`` alone."""

    def step(self, batch: Any, step: int, rng: torch.Generator, update: Update) -> Mapping[str, float | Tensor]:
        """Compute losses on the device and call ``update`` for each; return what to log."""
        ...

    def sheet(self, networks: Networks, rng: torch.Generator) -> np.ndarray:
        """A contact sheet ``uint8 (H, W, 3)`` of the averaged networks; ``rng`` is the same at every call."""
        ...

    def export(self, networks: Networks, facts: dict[str, Any]) -> dict[str, nn.Module]:
        """The modules to ship, by network name; ``facts`` may be added to."""
        ...


def weighted_sum(terms: Terms) -> Tensor:
    """The loss that the terms make up."""
    return sum((weight * value for weight, value in terms.values()), start=torch.zeros(()))


def logged(terms: Terms) -> dict[str, Tensor]:
    """The terms' values by name, unweighted, as a step returns them for the log."""
    return {name: value.detach() for name, (_, value) in terms.items()}
