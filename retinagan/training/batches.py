"""Stateless randomness and the order of batches: all that is drawn at a step is made from (seed, step, rank)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor


def step_generator(seed: int, step: int, rank: int, purpose: int = 0) -> torch.Generator:
    """The CPU generator of one step on one rank. Purposes: 0 batch, 1 step, 2 sheet, 3 PyTorch's own draws."""
    return torch.Generator().manual_seed(mix(seed, step, rank, purpose))


def mix(*numbers: int) -> int:
    """A seed, 0 <= seed < 2**63, that depends on all the numbers (each >= 0) and their order."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Batches:
    """Batches in order, prepared ahead by threads if asked; each depends on its step alone, so order is safe."""

    def __init__(self, make: Callable[[int], Any], threads: int) -> None:
        self.make, self.threads = make, threads
        self.pending: dict[int, Future] = {}
        self.pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Batches:
        self.pool = ThreadPoolExecutor(self.threads) if self.threads else None
        return self

    def __exit__(self, *_: object) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def get(self, step: int) -> Any:
        if self.pool is None:
            return self.make(step)
        for ahead in range(step, step + 2 * self.threads + 1):
            if ahead not in self.pending:
                self.pending[ahead] = self.pool.submit(self.make, ahead)
        return self.pending.pop(step).result()


def batch_items(batch: Any) -> int:
    """Samples in a batch: the first dimension of its first tensor."""
    if isinstance(batch, Tensor):
        return batch.shape[0] if batch.ndim else 1
    if isinstance(batch, dict):
        batch = list(batch.values())
    if isinstance(batch, (list, tuple)):
        return next((count for count in map(batch_items, batch) if count), 0)
    return 0
