"""From a training run to what is shipped: the averaged networks of its newest state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from retinagan import checkpoints
from retinagan.training.settings import loop_settings, task_for
from retinagan.training.state import read_latest, restore
from retinagan.training.task import Task

PATHS = ("data", "initial", "segmenter")
"""Settings of ``training`` that name files."""


def load_ema(
    run_dir: str | Path, make_task: Callable[[dict[str, Any]], Task] | None = None
) -> tuple[Task, dict[str, nn.Module], dict[str, Any]]:
    """The task of a run and its networks, averaged where the task averages them, from the newest state.

    Returns:
        The task, its networks in eval mode on the CPU, and facts: task, steps, hours, seed, torch and config (without
        its :data:`PATHS`, which are this machine's own).
    Raises:
        FileNotFoundError: no state in the folder.
        StateError: no state can be read, or the task of its configuration makes other networks.
    """
    state = read_latest(run_dir)
    if state is None:
        raise FileNotFoundError(f"{run_dir} holds no state-XXXXXXXX.safetensors; train there first")
    config = state.meta["config"]
    # The weights that a run started from may be gone; its state holds what became of them.
    started = {k: v for k, v in config.get("training", {}).items() if k not in ("initial", "pretrained")}
    task = (make_task or task_for(config))({**config, "training": started})
    averages = {name: task.networks[name] for name in task.averaged}
    restore(state, {k: v for k, v in task.networks.items() if k not in averages}, averages, {})
    facts = {
        "task": state.meta["task"],
        "steps": state.meta["step"],
        "hours": round(state.meta["seconds"] / 3600, 3),
        "seed": loop_settings(config).seed,
        "config": {**config, "training": {k: v for k, v in config.get("training", {}).items() if k not in PATHS}},
        "torch": torch.__version__,
    }
    return task, {name: network.eval() for name, network in task.networks.items()}, facts


def export_run(
    run_dir: str | Path,
    out_dir: str | Path,
    make_task: Callable[[dict[str, Any]], Task] | None = None,
    told: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write ``out_dir/NAME.safetensors`` for each network of the run's :meth:`Task.export`; returns the files.

    ``told`` are facts that a run cannot know, such as whose data it saw; they come first.
    """
    task, networks, facts = load_ema(run_dir, make_task)
    facts = {**(told or {}), **facts}
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for name, module in task.export(networks, facts).items():
        path = out_dir / f"{name}.safetensors"
        checkpoints.save(path, name, module, facts)
        written.append(path)
    return written
