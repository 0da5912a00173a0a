"""Which device the networks run on."""

from __future__ import annotations

import torch


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
