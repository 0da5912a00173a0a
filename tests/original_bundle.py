"""Checkpoints with the structure and names of the original release, random weights and any widths, for tests.

Like the real ones they hold optimizer slots, a discriminator, an encoder and counters, so that reading
one of those by mistake shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.tfbundle_writer import BundleWriter

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def _lww(number: int) -> str:
    return f"layer_with_weights-{number}"


def maps_shapes(dim: int, channels: Sequence[int], mapping_layers: int = 8) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of every tensor of the map generator."""
    yield "embedding/embeddings", (5, dim)
    for i in range(mapping_layers):
        yield f"mapping/{_lww(i)}/kernel", (dim, dim)
        yield f"mapping/{_lww(i)}/bias", (dim,)
    for i, c in enumerate(channels):
        block, at = f"generator/{_lww(i)}", 0
        for conv_in in (None if i == 0 else channels[i - 1], c):
            if conv_in is not None:
                yield f"{block}/{_lww(at)}/kernel", (3, 3, conv_in, c)
                yield f"{block}/{_lww(at)}/bias", (c,)
                at += 1
            yield f"{block}/{_lww(at)}/kernel", (1, 1, 1, c)
            yield f"{block}/{_lww(at + 1)}/gamma", (c,)
            yield f"{block}/{_lww(at + 1)}/beta", (c,)
            for dense in ("dense_1", "dense_2"):
                yield f"{block}/{_lww(at + 2)}/{dense}/kernel", (dim, c)
                yield f"{block}/{_lww(at + 2)}/{dense}/bias", (c,)
            at += 3
    for i, c in enumerate(channels[-2:]):
        name = f"generator/{_lww(len(channels) + i)}/{_lww(0)}"
        yield f"{name}/kernel", (1, 1, c, 7)
        yield f"{name}/bias", (7,)


def photos_shapes(
    latent: int, channels: Sequence[int], hidden: int, base: int = 4
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of every tensor of the photo generator."""
    yield f"generator/{_lww(0)}/kernel", (latent, base * base * channels[0])
    yield f"generator/{_lww(0)}/bias", (base * base * channels[0],)
    before = channels[0]
    for i, c in enumerate(channels):
        block = f"generator/{_lww(i + 1)}"
        for n, (a, b) in {1: (before, c), 2: (c, c), 3: (before, c)}.items():
            if n == 3 and before == c:
                continue
            yield f"{block}/conv_{n}/kernel", (3, 3, a, b)
            yield f"{block}/conv_{n}/bias", (b,)
            yield f"{block}/spade_{n}/conv/kernel", (3, 3, 7, hidden)
            yield f"{block}/spade_{n}/conv/bias", (hidden,)
            for part in ("conv_gamma", "conv_beta"):
                yield f"{block}/spade_{n}/{part}/kernel", (3, 3, hidden, a if n != 2 else c)
                yield f"{block}/spade_{n}/{part}/bias", (a if n != 2 else c,)
        before = c
    yield f"generator/{_lww(len(channels) + 1)}/kernel", (4, 4, channels[-1], 3)
    yield f"generator/{_lww(len(channels) + 1)}/bias", (3,)


def random_tensor(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights of a size at which signals neither die nor explode, so that outputs show every mistake."""
    values = rng.standard_normal(shape, dtype=np.float32)
    if name.startswith("mapping") and name.endswith("kernel"):
        return values * 100  # the mapping network multiplies by 0.01
    if name.endswith("gamma") or (name.endswith("bias") and "dense_1" in name):
        return 1 + 0.2 * values
    if name.endswith(("bias", "beta")):
        return 0.1 * values
    if "spade" in name or "conv_" in name or name.startswith(f"generator/{_lww(0)}/kernel"):
        return values * float(2 / np.prod(shape[:-1])) ** 0.5
    return values


def write_bundle(
    prefix: Path,
    shapes: Sequence[tuple[str, tuple[int, ...]]],
    seed: int = 0,
    slots: int = 2,
    filler: Sequence[tuple[str, tuple[int, ...]]] = (("discriminator/layer_with_weights-0/kernel", (4, 4)),),
) -> dict[str, np.ndarray]:
    """Write a checkpoint; returns the generator's tensors when they are small enough to keep (below 10⁷ numbers).

    Args:
        slots: optimizer slots beside each tensor, of the same size.
        filler: further tensors that an importer must skip.
    """
    rng = np.random.default_rng(seed)
    writer, kept, numbers = BundleWriter(prefix), {}, 0
    writer.add("_CHECKPOINTABLE_OBJECT_GRAPH", b"\x0a\x05graph")
    writer.add("save_counter" + VALUE, np.array(3, "i8"))
    writer.add("train_step_counter" + VALUE, np.array(9, "i4"))
    writer.add("alpha" + VALUE, np.array(0.25, "f4"))
    for name, shape in filler:
        writer.add(name + VALUE, rng.standard_normal(shape, dtype=np.float32))
    for name, shape in shapes:
        array = random_tensor(rng, name, shape)
        numbers += array.size
        if numbers < 10**7:
            kept[name] = array
        for slot in ("m", "v")[:slots]:
            wrong = rng.standard_normal(shape, dtype=np.float32)
            writer.add(f"{name}/.OPTIMIZER_SLOT/g_optimizer/{slot}{VALUE}", wrong)
        writer.add(name + VALUE, array)
    writer.finish()
    return kept
