"""One run of the bench."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import ExitStack
from typing import Any

import torch

from retinagan import __version__
from retinagan.bench.model_rows import plan_model
from retinagan.bench.names import MODEL_ROWS, ORIGINAL_ROWS
from retinagan.bench.original_rows import plan_original
from retinagan.bench.plan import Plan
from retinagan.bench.report import Compared, Report, Row
from retinagan.bench.timing import Clock, Seconds, in_round, interleaved
from retinagan.bench.yardstick import NAMES, yardsticks
from retinagan.pipeline import RetinaGAN

Progress = Callable[[str, int, int], None]
"""Told what comes next: its name, how many steps are done and of how many."""


def run(folder: str, device: str, runs: int, wanted: Collection[str], progress: Progress) -> Report:
    """Measure the rows in ``wanted`` (see ``names``) with the model in ``folder``.

    Args:
        runs: rounds over all rows; what takes seconds is run in every other one.

    Raises:
        FileNotFoundError, ValueError: no such model or device. RuntimeError: a process of a row failed.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    progress("loading", 0, 1)
    model = RetinaGAN.from_pretrained(folder, device)
    plan = Plan()
    with ExitStack() as open_until_done:
        if not MODEL_ROWS.keys().isdisjoint(wanted):
            plan_model(plan, model, folder, wanted, open_until_done)
        if not ORIGINAL_ROWS.keys().isdisjoint(wanted):
            plan_original(plan, model, wanted)
        return measure(plan, _facts(model, runs, load), model.device, runs, progress)


def measure(plan: Plan, facts: dict[str, Any], device: torch.device, runs: int, progress: Progress) -> Report:
    """Time the plan's works beside the yardsticks, then compute its comparisons."""
    works = [*yardsticks(device), *plan.works]
    total = len(works) + sum(len(in_round(works, number)) for number in range(1, runs + 1)) + len(plan.comparisons)
    steps = iter(range(total))

    def tell(name: str) -> None:
        progress(name, next(steps), total)

    macs = {}
    for work in works:
        tell(f"{work.name}, first")
        macs[work.name] = work.warm_up()
    times = interleaved(works, runs, Clock(device).seconds, tell)
    compared = []
    for comparison in plan.comparisons:
        tell(comparison.title)
        compared.append(Compared(comparison.title, comparison.rows, comparison.difference(), comparison.unit))
    rows = {}
    for work in works:
        yardstick = NAMES[work.half and device.type == "cuda"]
        rows[work.name] = Row(work.name, Seconds.of(times[work.name]), macs[work.name], yardstick)
    if device.type == "cuda":
        plan.memory["on the GPU"] = torch.cuda.max_memory_allocated(device) / 2**20
    return Report(facts, rows, plan.skipped, compared, plan.memory)


def _facts(model: RetinaGAN, runs: int, load: float | None) -> dict[str, Any]:
    cuda = model.device.type == "cuda"
    return {
        "retinagan": __version__,
        "torch": torch.__version__,
        "model": model.name,
        "size": model.size,
        "device": torch.cuda.get_device_name(model.device) if cuda else "cpu",
        "threads": torch.get_num_threads(),
        "load": load and round(load, 2),
        "rounds": runs,
    }
