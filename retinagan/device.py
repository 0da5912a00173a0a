"""Which device the networks run on."""

from __future__ import annotations

import ctypes
import sys

import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Names of glibc's settings, from its malloc.h."""


def choose_device(device: str = "auto") -> torch.device:
    """``auto``: the first GPU, else the CPU. Raises ValueError for a device that torch does not know or have."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}; allowed are 'auto', 'cpu', 'cuda', 'cuda:0' …") from error
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}; allowed are 'auto', 'cpu', 'cuda', 'cuda:0' …")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, but torch finds no GPU here; use 'cpu' or 'auto'")
    return chosen


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its own next tensors; for processes that only compute.

    The C library takes blocks of more than 32 MB from the system anew each time, and touching them first costs as much
    as many an operation on them: a training step of the photo generator takes a seventh longer. Does nothing where the
    C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
