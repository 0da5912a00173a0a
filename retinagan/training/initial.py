"""Starting a training from weights that are there: a shipped checkpoint, or one of a run before."""

from __future__ import annotations

import dataclasses
from typing import Any

from retinagan import checkpoints


def start_from(module: Any, path: str, network: str) -> None:
    """Load the checkpoint ``path`` of ``network`` (a key of ``checkpoints.NETWORKS``) into ``module``.

    Fields of the configuration that change no tensor may differ.

    Raises:
        FileNotFoundError, retinagan.checkpoints.CheckpointError: no readable checkpoint of that network.
        ValueError: its tensors are others; the configuration's fields that differ are named.
    """
    trained, _ = checkpoints.load(path, network)
    try:
        module.load_state_dict(trained.state_dict())
    except RuntimeError:
        old, new = dataclasses.asdict(trained.config), dataclasses.asdict(module.config)
        differing = [name for name in new if old[name] != new[name]]
        raise ValueError(f"training.initial: {path} has another network; these fields differ: {differing}") from None
