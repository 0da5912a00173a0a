"""Small TensorFlow checkpoints for tests, and what every reader of hostile ones must hold to."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, settings

from retinagan.original.bundle import Bundle, BundleError
from retinagan.original.bundle_index import DTYPES
from tests import tfbundle_writer as tf
from tests.tfbundle_writer import BundleWriter

MEMORY = 64 << 20
"""More than any hostile bundle here may make the reader allocate."""

fuzz = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def sample_tensors() -> dict[str, np.ndarray | list[bytes] | bytes]:
    """A tensor of every dtype, scalars, empties and strings; names that share prefixes."""
    rng = np.random.default_rng(0)
    tensors = {
        f"net/layer_{d.name}": rng.integers(0, 2 if d.kind == "b" else 100, (2, 3)).astype(d) for d in DTYPES.values()
    }
    tensors["net/layer_float32/m"] = rng.normal(size=(3, 3, 4, 5)).astype("f4")
    tensors |= {"scalar": np.array(2.5, "f4"), "empty": np.zeros((0, 4), "f4"), "counter": np.array(-7, "i8")}
    return tensors | {"_GRAPH": b"\x0a\x00graph" * 40, "names": [b"", b"a", b"bc" * 100]}


def write(folder: Path, tensors: dict | None = None, shards: int = 1, per_block: int = 4) -> BundleWriter:
    writer = BundleWriter(folder / "net.ckpt", shards)
    for i, (name, value) in enumerate((sample_tensors() if tensors is None else tensors).items()):
        writer.add(name, value, shard=i % shards)
    writer.finish(per_block)
    return writer


def check_all(bundle: Bundle, tensors: dict) -> None:
    assert set(bundle.entries) == set(tensors)
    for name, array in bundle.tensors(bundle.entries):
        expected = tensors[name]
        if not isinstance(expected, np.ndarray):
            assert array.dtype == object and array.tolist() == expected
            continue
        assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
        assert array.tobytes() == expected.tobytes()


def open_and_read(prefix: Path) -> None:
    """Everything that an importer could ask of a bundle; only BundleError may leave it, and no big allocation."""
    tracemalloc.start()
    try:
        bundle = Bundle(prefix)
        for name, entry in bundle.entries.items():
            try:
                array = bundle.read(name)
            except BundleError:
                continue
            assert array.shape == entry.shape
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY


def write_index(folder: Path, entries: dict[bytes, bytes], data: bytes = bytes(64), shards: int = 1) -> Path:
    """A bundle of ready-made index entries and one data file."""
    (folder / "net.ckpt.index").write_bytes(tf.table(sorted({b"": tf.header(shards), **entries}.items())))
    (folder / f"net.ckpt.data-00000-of-{shards:05d}").write_bytes(data)
    return folder / "net.ckpt"
