"""The one loop that trains every network of the project.

A :class:`retinagan.training.task.Task` says what a step computes; the loop does the rest: devices, averaged weights,
checks, states, log, contact sheets. All that is random at step ``k`` on rank ``r`` comes from a generator made of
(seed, k, r), so a resumed run needs no generator's state and repeats exactly what the killed run would have done.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from retinagan.models.layers import channels_last
from retinagan.training.batches import Batches, batch_items, mix, step_generator
from retinagan.training.lock import locked
from retinagan.training.settings import LoopSettings, loop_settings
from retinagan.training.state import (
    StateError,
    collect,
    latest_state,
    read_fitted,
    read_latest,
    restore,
    write_fitted,
    write_state,
)
from retinagan.training.stopping import signals_for_children, stop_signals
from retinagan.training.task import Task
from retinagan.writing import named, partials, write_atomically


class TrainingDiverged(RuntimeError):
    """A loss or a gradient is not finite; the message names step, network and last good state."""


class TrainResult(NamedTuple):
    """How a call of :func:`train` ended."""

    step: int
    reason: str
    """"steps", "minutes" or "signal"."""
    state: Path


def train(
    make_task: Callable[[dict[str, Any]], Task],
    config: dict[str, Any],
    run_dir: str | Path,
    *,
    steps: int | None = None,
    max_minutes: float | None = None,
    resume: bool = False,
    devices: int = 1,
    accelerator: str = "auto",
    progress: bool = True,
) -> TrainResult:
    """Train a task in a run folder until the steps are done, the time is up, or SIGTERM or Ctrl-C asks to stop.

    Args:
        make_task: the task's factory; with several devices it must be importable (a module's function), as each
            process calls it. The first weights are those it makes under the seed.
        config: plain values; ``config["training"]`` holds the fields of :class:`LoopSettings`.
        run_dir: receives config.yaml, log.jsonl, tensorboard/, sheets/, state-XXXXXXXX.safetensors (the newest two) and
            fitted.safetensors, what was measured on the data before the first step.
        steps: steps in all, those before a resume included; None takes ``training.steps``. One of steps and
            max_minutes is needed; the first that is reached ends the run.
        max_minutes: minutes of this call.
        resume: go on from the newest readable state; from the start if there is none.
        devices: processes, each with its own part of the data; gradients are averaged.
        accelerator: "auto" (CUDA if there is one), "cpu" or "cuda" (bfloat16 autocast).
    Raises:
        ValueError: an argument is out of range or no end is given; a resumed configuration is of another network.
        FileExistsError: the folder holds a run and resume is False.
        RunLocked: another training holds the folder.
        TrainingDiverged: a loss or gradient is not finite; the broken weights are not saved.
    """
    if accelerator not in ("auto", "cpu", "cuda"):
        raise ValueError(f"accelerator is {accelerator!r}; allowed are auto, cpu and cuda")
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ValueError("accelerator is 'cuda' but PyTorch finds no CUDA device; use 'cpu' or 'auto'")
    if devices < 1:
        raise ValueError(f"devices is {devices}; at least 1 is needed")
    settings = loop_settings(config)
    steps = settings.steps or None if steps is None else steps
    if steps is None and max_minutes is None:
        raise ValueError("give an end: steps (or training.steps in the configuration) or max_minutes")
    if (steps is not None and steps < 1) or (max_minutes is not None and max_minutes <= 0):
        raise ValueError(f"steps ({steps}) must be at least 1 and max_minutes ({max_minutes}) above 0")
    run_dir = Path(run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)

    from lightning_fabric import Fabric  # slow to import, and only training needs it

    cuda = accelerator != "cpu" and torch.cuda.is_available()
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=devices,
        precision="bf16-mixed" if cuda else "32-true",
        strategy="ddp_spawn" if devices > 1 else "auto",  # spawned, as a script that is started again would parse twice
    )
    with locked(run_dir), signals_for_children() if devices > 1 else contextlib.nullcontext():
        if latest_state(run_dir) and not resume:
            raise FileExistsError(f"{run_dir} already holds a run; resume it or choose another folder")
        result = fabric.launch(_worker, make_task, config, run_dir, steps, max_minutes, resume, progress)  # type: ignore[arg-type]
    if isinstance(result, str):
        raise TrainingDiverged(result)
    return result


def _worker(
    fabric: Any,
    make_task: Callable[[dict[str, Any]], Task],
    config: dict[str, Any],
    run_dir: Path,
    steps: int | None,
    max_minutes: float | None,
    resume: bool,
    progress: bool,
) -> TrainResult | str:
    settings = loop_settings(config)
    with torch.random.fork_rng():
        torch.manual_seed(mix(settings.seed, 0))
        trainer = _Trainer(fabric, make_task(config), config, settings, run_dir, resume)
        try:
            result: TrainResult | str = trainer.run(steps, max_minutes, progress)
        except TrainingDiverged as error:  # all ranks arrive here at the same step; a text passes process borders
            result = str(error)
        if fabric.world_size > 1:
            # Left to the interpreter's end, the threads of the connections abort a process now and then.
            torch.distributed.barrier()
            torch.distributed.destroy_process_group()
        return result


class _Trainer:
    """The state of a run in one process."""

    def __init__(
        self, fabric: Any, task: Task, config: dict[str, Any], settings: LoopSettings, run_dir: Path, resume: bool
    ) -> None:
        self.fabric, self.task, self.config, self.settings, self.run_dir = fabric, task, config, settings, run_dir
        self.rank, self.world = fabric.global_rank, fabric.world_size
        self.step, self.seconds_before, self.start = 0, 0.0, time.monotonic()
        self.last_good: Path | None = None
        self.data: str | None = None
        for network in task.networks.values():
            network.to(fabric.device)
            if fabric.device.type == "cuda":
                channels_last(network)
        self._broadcast(t for network in task.networks.values() for t in network.state_dict().values())
        self.averages = {name: AveragedModel(task.networks[name]) for name in task.averaged}
        for average in self.averages.values():
            average.n_averaged.fill_(1)  # the average starts from the first weights
        self.averaged = {name: average.module.eval().requires_grad_(False) for name, average in self.averages.items()}
        state = read_latest(run_dir) if resume else None
        if state:
            self._check_config(state.meta["config"], state.path)
            restore(state, task.networks, self.averaged, task.optimizers)
            self.step, self.seconds_before, self.last_good = state.meta["step"], state.meta["seconds"], state.path
            self.data = state.meta["data"]
        if self.rank == 0:
            _prepare_folder(run_dir, config, self.step)
        self.schedulers = [self._scheduler(name, factor) for name, factor in task.schedules.items()]

    def _fit(self) -> None:
        """Measure on the training data what the task needs, or take what was measured on the same data at the run's
        start."""
        before, self.data = self.data, self.task.load()
        if before not in (None, self.data) and self.rank == 0:
            tqdm.write("resuming with other training data than before: they are measured anew")
        with self.fabric.rank_zero_first():  # the others read what it wrote
            fitted = read_fitted(self.run_dir, self.data)
            if fitted is None:
                fitted = self.task.fit()
                if self.rank == 0:
                    write_fitted(self.run_dir, self.data, fitted)
        self.task.take(fitted)

    def _scheduler(self, name: str, factor: Callable[[int], float]) -> LambdaLR:
        optimizer = self.task.optimizers[name]
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        return LambdaLR(optimizer, factor, last_epoch=self.step - 1)

    def run(self, steps: int | None, max_minutes: float | None, progress: bool) -> TrainResult:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        settings, first = self.settings, self.rank == 0
        board = SummaryWriter(self.run_dir / "tensorboard", purge_step=self.step or None) if first else None
        pause = 0.2 if sys.stderr.isatty() else 30.0  # a log file needs no moving bar
        bar = tqdm(initial=self.step, total=steps, unit="step", disable=not (progress and first), mininterval=pause)
        self.start = saved = sheet = time.monotonic()
        deadline = self.start + 60 * max_minutes if max_minutes is not None else float("inf")
        sums: dict[str, list[float | Tensor]] = {}
        items, window = 0, time.monotonic()
        reason = "steps" if steps is not None and self.step >= steps else ""

        def make_batch(step: int) -> Any:
            return self.task.batch(step_generator(settings.seed, step, self.rank, 0))

        with contextlib.ExitStack() as stack:
            stack.callback(bar.close)
            stack.callback(board.close if board else lambda: None)
            asked = stack.enter_context(stop_signals())
            self._fit()
            batches = stack.enter_context(Batches(make_batch, settings.prefetch))
            while not reason:
                batch = batches.get(self.step)
                items += batch_items(batch) * self.world
                torch.manual_seed(mix(settings.seed, self.step, self.rank, 3))
                rng = step_generator(settings.seed, self.step, self.rank, 1)
                with self.fabric.autocast():
                    losses = self.task.step(self.fabric.to_device(batch), self.step, rng, self._update)
                self._average_weights()
                for scheduler in self.schedulers:
                    scheduler.step()
                self.step += 1
                bar.update()
                for key, value in losses.items():
                    sums.setdefault(key, []).append(value.detach() if isinstance(value, Tensor) else value)
                now = time.monotonic()
                if self.step % settings.log_every == 0:
                    means = self._mean_losses(sums)
                    if first:
                        self._log(means, items / max(now - window, 1e-9), board)
                        bar.set_postfix({key: f"{value:.3g}" for key, value in means.items()}, refresh=False)
                    sums, items, window = {}, 0, now
                stop, late, save, show = self._agree(
                    bool(asked),
                    now >= deadline,
                    now - saved >= 60 * settings.checkpoint_minutes,
                    bool(settings.sheet_minutes) and now - sheet >= 60 * settings.sheet_minutes,
                )
                reason = "steps" if steps is not None and self.step >= steps else "signal" if stop else ""
                reason = reason or ("minutes" if late else "")
                if save and not reason:
                    self._save()
                    saved = time.monotonic()
                if show and not reason:
                    self._sheet(board)
                    sheet = time.monotonic()
            path = self._save()
            if reason != "signal":
                self._sheet(board)
        return TrainResult(self.step, reason, path)

    def _update(self, name: str, loss: Tensor) -> float:
        """One optimiser's step on one loss; returns the norm of its gradient before clipping."""
        optimizer = self.task.optimizers[name]
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=parameters)  # by these alone: the other network gets no gradient and costs no time
        loss = loss.detach().float()
        if self.world > 1:
            loss = self._reduce_gradients(parameters, loss)
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).float().norm() if gradients else loss.new_zeros(())
        loss_value, norm_value = torch.stack((loss, norm)).tolist()
        if not (np.isfinite(loss_value) and np.isfinite(norm_value)):
            what = "loss" if not np.isfinite(loss_value) else "gradient"
            raise TrainingDiverged(
                f"the {what} of {name!r} is not finite at step {self.step} (loss {loss_value:g}, gradient norm "
                f"{norm_value:g}); {self._good()}. Resume from it with a lower learning rate or with training.clip"
            )
        if self.settings.clip and norm_value > self.settings.clip:
            torch._foreach_mul_(gradients, self.settings.clip / norm_value)
        optimizer.step()
        return norm_value

    def _good(self) -> str:
        return f"the last good state is {self.last_good}" if self.last_good else "no state was saved yet"

    def _reduce_gradients(self, parameters: list[nn.Parameter], loss: Tensor) -> Tensor:
        """Average gradients over the ranks in one message, by hand as StyleGAN3 does: the wrapper of DDP covers neither
        second derivatives nor several calls a step. Flags tell which gradients any rank has."""
        has = loss.new_tensor([p.grad is not None for p in parameters])
        parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([loss.reshape(1), has, *(part.float().reshape(-1) for part in parts)])
        flat = self.fabric.all_reduce(flat, reduce_op="mean")
        present = flat[1 : 1 + len(parameters)].tolist()
        values = flat[1 + len(parameters) :].split([p.numel() for p in parameters])
        for parameter, value, flag in zip(parameters, values, present, strict=True):
            parameter.grad = value.view_as(parameter).to(parameter.dtype) if flag else None
        return flat[0]

    def _average_weights(self) -> None:
        if self.world > 1:  # statistics that a network gathers itself are those of rank 0, as in its states
            self._broadcast(buffer for network in self.task.networks.values() for buffer in network.buffers())
        decay = min(self.settings.ema_decay, (1 + self.step) / (10 + self.step))
        for name, average in self.averages.items():
            average.multi_avg_fn = get_ema_multi_avg_fn(decay)
            average.update_parameters(self.task.networks[name])

    def _broadcast(self, tensors: Iterable[Tensor]) -> None:
        if self.world > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor.data, 0)

    def _agree(self, *wishes: bool) -> list[bool]:
        """What every rank does next: a request to stop from any of them, the clock of rank 0."""
        if self.world == 1:
            return list(wishes)
        mine = [float(wish and (self.rank == 0 or index == 0)) for index, wish in enumerate(wishes)]
        flags = self.fabric.all_reduce(torch.tensor(mine, device=self.fabric.device), reduce_op="sum")
        return [flag > 0 for flag in flags.tolist()]

    def _mean_losses(self, sums: dict[str, list[float | Tensor]]) -> dict[str, float]:
        """Means over the steps since the last line in which a loss was reported."""
        values = [sum(map(float, found)) / len(found) for found in sums.values()]
        if self.world > 1:
            values = self.fabric.all_reduce(torch.tensor(values, device=self.fabric.device), reduce_op="mean").tolist()
        return dict(zip(sums, values, strict=True))

    def _log(self, means: dict[str, float], rate: float, board: Any) -> None:
        line = {"step": self.step, "seconds": round(self._seconds(), 2), "items_per_second": round(rate, 3), **means}
        log = self.run_dir / "log.jsonl"
        with named(log), open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for key, value in means.items():
            board.add_scalar(key, value, self.step)
        board.add_scalar("items_per_second", rate, self.step)

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.start

    def _save(self) -> Path:
        path = self.run_dir / f"state-{self.step:08d}.safetensors"
        tensors = collect(self.task.networks, self.averaged, self.task.optimizers)
        bad = [key for key, t in tensors.items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]
        if bad:  # on every rank alike, so that none waits for another
            raise TrainingDiverged(f"{bad[0]} is not finite after step {self.step}; {self._good()}")
        if self.rank == 0:
            meta = {
                "task": self.task.name,
                "config": self.config,
                "data": self.data,
                "seconds": self._seconds(),
                "devices": self.world,
            }
            write_state(self.run_dir, self.step, tensors, meta)
        self.last_good = path
        return path

    def _sheet(self, board: Any) -> None:
        if self.rank == 0:
            with torch.no_grad():
                networks = {**self.task.networks, **self.averaged}
                sheet = self.task.sheet(networks, step_generator(self.settings.seed, 0, 0, 2))
            folder = self.run_dir / "sheets"
            folder.mkdir(exist_ok=True)
            picture = Image.fromarray(sheet)
            write_atomically(folder / f"step-{self.step:08d}.png", lambda file: picture.save(file, format="PNG"))
            board.add_image("sheet", sheet, self.step, dataformats="HWC")

    def _check_config(self, before: dict[str, Any], path: Path) -> None:
        """Other networks cannot go on from this state; other settings can, but the run is no exact repetition then."""
        old, new = _flat(before), _flat(json.loads(json.dumps(self.config)))
        differing = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        wrong = [key for key in differing if not key.startswith("training.")]
        if wrong:
            texts = ", ".join(f"{key} (was {old.get(key)!r}, is {new.get(key)!r})" for key in wrong)
            raise StateError(f"{path} was made with another configuration: {texts}. Choose another run folder")
        if differing and self.rank == 0:
            tqdm.write(f"resuming with other settings than before: {', '.join(differing)}")


def _prepare_folder(run_dir: Path, config: dict[str, Any], step: int) -> None:
    """Write the configuration and take back what a killed run logged after its last state."""
    for left in partials(run_dir):
        left.unlink()
    text = yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False, allow_unicode=True)
    write_atomically(run_dir / "config.yaml", text)
    log = run_dir / "log.jsonl"
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines()
        whole = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        write_atomically(log, "".join(line + "\n" for line in whole))


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix[:-1]: values}
    return {key: value for name, part in values.items() for key, value in _flat(part, f"{prefix}{name}.").items()}
