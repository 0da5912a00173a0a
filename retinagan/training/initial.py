"""Starting a training from weights that are there: a shipped checkpoint, or one of a run before."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from retinagan import checkpoints
from retinagan.models.stylegan import MapGenerator


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


def grow_from(generator: MapGenerator, path: str) -> None:
    """Load the map generator ``path`` into ``generator``, which has the same blocks or further, finer ones.

    Finer blocks are silent at first: maps are the loaded generator's, enlarged (progressive growing, Karras et al.,
    ICLR 2018, without its fading, as blocks add to each other's logits).

    Raises:
        FileNotFoundError, retinagan.checkpoints.CheckpointError: no readable checkpoint of a map generator.
        ValueError: the generators differ by more than finer blocks; the configuration's fields that differ are named.
    """
    trained, _ = checkpoints.load(path, "maps")
    count = len(trained.config.channels)
    finer = len(generator.config.channels) - count
    grown = dataclasses.replace(
        trained.config,
        channels=(*trained.config.channels, *generator.config.channels[count:]),
        lesion_blocks=trained.config.lesion_blocks + max(finer, 0),
        noise_start=generator.config.noise_start,
        lesion_bias=generator.config.lesion_bias,
        selection=generator.config.selection,
    )
    if finer <= 0 or grown != generator.config or grown.skip != "sum":
        start_from(generator, path, "maps")
        return
    generator.load_state_dict(trained.state_dict(), strict=False)
    for output in generator.outputs[-finer:]:
        for parameter in output.parameters():
            torch.nn.init.zeros_(parameter)
