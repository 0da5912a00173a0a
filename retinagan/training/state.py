"""State files of a training run: everything that the next step depends on, as safetensors.

A state holds the networks, their averaged copies and the optimisers' tensors under the keys
``network/NAME/…``, ``average/NAME/…`` and ``optimizer/NAME/INDEX/…``; its metadata is JSON: step, configuration and
a checksum. A run that is killed leaves whole files only (``retinagan.writing``); should one be damaged all the
same, the previous one is used.

What was measured on the data before the first step is the same for all states and may be large: it has a file of its
own, ``fitted.safetensors``, which holds for the data whose digest it names.
"""

from __future__ import annotations

import json
import re
import warnings
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from retinagan.writing import write_atomically

VERSION = 2
FITTED = "fitted.safetensors"
_NAME = re.compile(r"^state-(\d{8})\.safetensors$")


class StateError(ValueError):
    """A state file is damaged or does not belong to this run."""


class State(NamedTuple):
    """A loaded state: its file, its tensors on the CPU and its metadata."""

    path: Path
    tensors: dict[str, Tensor]
    meta: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors below ``prefix/``, without it."""
        return {key[len(prefix) + 1 :]: value for key, value in self.tensors.items() if key.startswith(prefix + "/")}


def state_files(run_dir: str | Path) -> list[Path]:
    """The run's state files, the newest first."""
    run_dir = Path(run_dir)
    found = [path for path in run_dir.iterdir() if _NAME.match(path.name)] if run_dir.is_dir() else []
    return sorted(found, key=lambda path: path.name, reverse=True)


def latest_state(run_dir: str | Path) -> Path | None:
    """The newest state file of a run folder, None if there is none. It is not opened."""
    files = state_files(run_dir)
    return files[0] if files else None


def collect(
    networks: dict[str, nn.Module], averages: dict[str, nn.Module], optimizers: dict[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """All tensors of a run, copied to the CPU."""
    parts = {f"network/{name}": module.state_dict() for name, module in networks.items()}
    parts |= {f"average/{name}": module.state_dict() for name, module in averages.items()}
    for name, optimizer in optimizers.items():
        parts |= {f"optimizer/{name}/{index}": kept for index, kept in optimizer.state_dict()["state"].items()}
    tensors = {f"{prefix}/{key}": value for prefix, part in parts.items() for key, value in part.items()}
    return {key: value.detach().to("cpu", copy=True).contiguous() for key, value in tensors.items()}


def restore(
    state: State,
    networks: dict[str, nn.Module],
    averages: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
) -> None:
    """Put a state's tensors into modules and optimisers, in place.

    Learning rates and other settings of the optimisers stay the given ones.

    Raises:
        StateError: keys or shapes differ, i.e. the state is of another network.
    """
    for kind, modules in (("network", networks), ("average", averages)):
        for name, module in modules.items():
            try:
                module.load_state_dict(state.part(f"{kind}/{name}"), strict=True)
            except RuntimeError as error:
                raise StateError(f"{state.path} does not fit the network {name!r}: {error}") from None
    for name, optimizer in optimizers.items():
        entries: dict[int, dict[str, Any]] = {}
        for full, value in state.part(f"optimizer/{name}").items():
            index, _, key = full.partition("/")
            entries.setdefault(int(index), {})[key] = value
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": entries, "param_groups": groups})


def write_state(run_dir: Path, step: int, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write ``state-XXXXXXXX.safetensors`` atomically and delete all but the newest two states."""
    _write(run_dir / f"state-{step:08d}.safetensors", tensors, {**meta, "step": step})
    for old in state_files(run_dir)[2:]:
        old.unlink(missing_ok=True)


def read_state(path: str | Path) -> State:
    """Read one state file, its checksum verified.

    Raises:
        StateError: it cannot be read, is cut off, was altered or has another version.
    """
    return State(Path(path), *_read(Path(path)))


def write_fitted(run_dir: Path, digest: str, tensors: dict[str, Tensor]) -> None:
    """Keep what was measured on the data of this digest; nothing is written of nothing."""
    if tensors:
        _write(run_dir / FITTED, tensors, {"data": digest})


def read_fitted(run_dir: Path, digest: str) -> dict[str, Tensor] | None:
    """What was measured on the data of this digest; None if it was of other data, is damaged or not there."""
    try:
        tensors, meta = _read(run_dir / FITTED)
    except StateError:
        return None
    return tensors if meta["data"] == digest else None


def _write(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    meta = {**meta, "version": VERSION, "crc32": _checksum(tensors)}
    write_atomically(path, lambda file: save_file(tensors, file, metadata={"retinagan": json.dumps(meta)}))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            meta = json.loads((file.metadata() or {})["retinagan"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        if meta["version"] != VERSION:
            raise StateError(f"{path} has state version {meta['version']}; this release reads {VERSION}")
        if meta["crc32"] != _checksum(tensors):
            raise StateError(f"{path} is damaged: its checksum is wrong")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError(f"{path} is damaged or no state of a training run: {error}") from None
    return tensors, meta


def read_latest(run_dir: str | Path) -> State | None:
    """The newest readable state of a run, None if there is no state file at all.

    A damaged file is passed over with a warning that names it.

    Raises:
        StateError: state files exist, but none can be read.
    """
    problems = []
    for path in state_files(run_dir):
        try:
            return read_state(path)
        except StateError as error:
            warnings.warn(f"{error}; using the state before it", RuntimeWarning, stacklevel=2)
            problems.append(path.name)
    if problems:
        raise StateError(f"no state in {run_dir} can be read: {', '.join(problems)}. Delete them to start afresh")
    return None


def _checksum(tensors: dict[str, Tensor]) -> int:
    crc = 0
    for key in sorted(tensors):
        crc = zlib.crc32(key.encode(), crc)
        if tensors[key].numel():
            crc = zlib.crc32(tensors[key].contiguous().reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc
