"""What is timed in processes of its own: the cold start with its memory, and workers that make pairs."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retinagan.pipeline import RetinaGAN

GRADE = 3
PAIRS = 4
"""Pairs that are made in one timing of the workers."""
START_SECONDS = 300


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> float | None:
    """MiB that this process has held at most; None where the system does not tell.

    ``getrusage`` would count what the process held that started this one.
    """
    try:
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return None


# --- the cold start ---


class ColdStart:
    """Starts Python processes that make one photograph each.

    Attributes:
        memory: the most MiB that one of them had held, by what it had made until then.
    """

    def __init__(self, folder: str, device: str) -> None:
        self.folder, self.device = folder, device
        self.memory: dict[str, float] = {}

    def __call__(self, number: int = 0) -> float:
        """Seconds from the start of a process to its first photograph. Raises RuntimeError if it fails."""
        child = "import sys; from retinagan.bench.processes import first_photograph; first_photograph(*sys.argv[1:])"
        begun = time.perf_counter()
        command = [sys.executable, "-c", child, self.folder, self.device]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            taken = time.perf_counter() - begun
            told, complaint = process.stdout.read(), process.stderr.read()
        if process.returncode:
            raise RuntimeError(f"a new process made no photograph: {(complaint.strip().splitlines() or ['?'])[-1]}")
        for line in told.splitlines():
            what, mebibytes = line.rsplit(" ", 1)
            self.memory[what] = max(float(mebibytes), self.memory.get(what, 0.0))
        return taken


def first_photograph(folder: str, device: str) -> None:
    """What such a process does: tell when the first photograph is made, then how much memory that and more took."""
    from retinagan.pipeline import RetinaGAN

    model = RetinaGAN.from_pretrained(folder, device)
    maps = model.sample_maps(GRADE, [7])
    model.render(maps, [7])
    print("made", flush=True)
    tell_memory("a map and a photograph")
    if model.superres is not None:
        model.render(maps, [7], model.superres.config.size)
        tell_memory("a photograph at twice the side too")


def tell_memory(what: str) -> None:
    if (mebibytes := peak_memory()) is not None:
        print(what, mebibytes)


# --- workers ---


class Workers:
    """Processes that have loaded the model, with one thread each."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool

    def __call__(self, number: int) -> None:
        """Make :data:`PAIRS` pairs."""
        list(self.pool.map(_make_pair, range(number * PAIRS, (number + 1) * PAIRS)))


@contextmanager
def workers(count: int, folder: str) -> Iterator[Workers]:
    """``count`` worker processes, ready: each has made a pair. Raises RuntimeError if one cannot start."""
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(count)
    with ProcessPoolExecutor(count, context, _load, (folder, started)) as pool:
        # None gets to work before all are loaded: so each of these starts one.
        list(pool.map(_make_pair, range(count)))
        yield Workers(pool)


def make_pair(model: RetinaGAN, seed: int) -> dict[str, bytes]:
    """A map and its photograph as the files that ``retinagan sample`` writes."""
    from retinagan.pairs import Pair

    return Pair.sample(model, GRADE, seed).rendered(model, [seed]).files()


_loaded: dict[str, Any] = {}


def _load(folder: str, started: Barrier) -> None:
    import torch

    from retinagan.pipeline import RetinaGAN

    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _loaded["model"] = RetinaGAN.from_pretrained(folder, "cpu")
    make_pair(_loaded["model"], 0)
    started.wait(START_SECONDS)


def _end_with_parent() -> None:
    """A bench that is killed says nothing to its workers: they would wait for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os._exit(1)


def _make_pair(seed: int) -> None:
    make_pair(_loaded["model"], seed)
