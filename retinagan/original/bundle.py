"""TensorFlow's checkpoint format ("tensor bundle") read in Python and numpy, without TensorFlow.

A bundle is an index (:mod:`retinagan.original.bundle_index`) and data files. Checkpoints come from strangers, so
everything is bounded and checked before it is used: checksums (masked CRC-32C), the order of names, dtypes, shapes, and
every offset and size against the data files. Whatever is wrong ends in :class:`BundleError`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import google_crc32c
import numpy as np

from retinagan.original.bundle_files import BundleError, BundleFiles, Shard, locate
from retinagan.original.bundle_index import DTYPES, STRING, Entry, mask, parse_index, varint

__all__ = ["Bundle", "BundleError"]

MAX_STRINGS = 100_000
MAX_STRING_BYTES = 64 << 20
_DAMAGED = "it does not match its checksum; the file is damaged"


class Bundle:
    """A TensorFlow checkpoint: ``bundle.entries`` tells what is in it, :meth:`read` and :meth:`tensors` fetch tensors.

    Args:
        prefix: ``NAME.ckpt`` (beside it ``NAME.ckpt.index`` and ``NAME.ckpt.data-…``), that index file, a folder with
            one such checkpoint, or a ``.zip`` of one.

    Raises:
        FileNotFoundError: nothing of that name.
        BundleError: damaged, hostile, or of a kind that is not read here.
    """

    def __init__(self, prefix: str | Path):
        self.files: BundleFiles = locate(prefix)
        self.origin = self.files.origin
        index = self.files.index()
        try:
            count, self.entries = parse_index(index)
        except BundleError as error:
            raise BundleError(f"{self.origin}: {error}") from None
        self.shards: list[Shard] = [self.files.shard(number, count) for number in range(count)]
        self._check_places()

    def read(self, name: str) -> np.ndarray:
        """One tensor in its own dtype; strings as an object array of ``bytes``. Raises like :meth:`tensors`."""
        ((_, array),) = self.tensors([name])
        return array

    def tensors(
        self, names: Iterable[str], progress: Callable[[int], object] | None = None
    ) -> Iterator[tuple[str, np.ndarray]]:
        """The tensors ``names`` one after the other, in the order of the data files; each is a fresh array.

        All names are checked before the first byte of data is read; each tensor's checksum before it is yielded.

        Args:
            progress: told the number of bytes after each tensor.

        Raises:
            KeyError: no such tensor. BundleError: a dtype that is not read, or a wrong checksum.
        """
        by_shard: dict[int, list[str]] = defaultdict(list)
        for name in dict.fromkeys(names):
            by_shard[self._readable(name).shard].append(name)
        for number, wanted in sorted(by_shard.items()):
            shard = self.shards[number]
            wanted.sort(key=lambda n: (self.entries[n].offset, self.entries[n].size))
            spans = [(self.entries[n].offset, self.entries[n].size) for n in wanted]
            for name, piece in zip(wanted, shard.pieces(spans), strict=True):
                yield name, self._decoded(name, piece, shard)
                if progress is not None:
                    progress(self.entries[name].size)

    def _readable(self, name: str) -> Entry:
        if name not in self.entries:
            raise KeyError(f"{self.origin} has no tensor {name!r}")
        entry = self.entries[name]
        if entry.sliced:
            raise BundleError(f"{self.origin}: tensor {name} is stored in slices, which are not read here")
        if entry.dtype != STRING and entry.numpy_dtype is None:
            known = ", ".join(f"{n} {d.name}" for n, d in DTYPES.items())
            raise BundleError(f"{self.origin}: tensor {name} has dtype {entry.dtype}; read are {known}, 7 string")
        if entry.dtype == STRING and (math.prod(entry.shape) > MAX_STRINGS or entry.size > MAX_STRING_BYTES):
            raise BundleError(
                f"{self.origin}: string tensor {name} has shape {entry.shape} and {entry.size:,} bytes; read are up to "
                f"{MAX_STRINGS:,} strings of {MAX_STRING_BYTES:,} bytes together"
            )
        return entry

    def _decoded(self, name: str, piece: np.ndarray, shard: Shard) -> np.ndarray:
        entry = self.entries[name]
        if entry.dtype == STRING:
            try:
                return _strings(piece.tobytes(), entry)
            except BundleError as error:
                raise BundleError(f"{shard.name}: tensor {name}: {error}") from None
        if mask(google_crc32c.value(piece)) != entry.crc:
            raise BundleError(f"{shard.name}: tensor {name}: {_DAMAGED}")
        if entry.dtype == 10 and piece.size and piece.max() > 1:
            raise BundleError(f"{shard.name}: tensor {name} is bool, but a byte of it is {piece.max()}")
        dtype = DTYPES[entry.dtype]
        # Reshaped from a view, then copied: the mapped pages are given back with the piece.
        array = piece.view(dtype).reshape(entry.shape)
        return array.astype(dtype.newbyteorder("="))

    def _check_places(self) -> None:
        """Every tensor within its data file, of the size that its shape says, and none over another."""
        spans = []
        for name, entry in self.entries.items():
            where = f"{self.origin}: tensor {name}"
            if entry.shard >= len(self.shards):
                raise BundleError(f"{where} lies in data file {entry.shard}; there are {len(self.shards)}")
            shard = self.shards[entry.shard]
            if entry.offset + entry.size > shard.size:
                raise BundleError(
                    f"{where} reaches to byte {entry.offset + entry.size:,}; {shard.name} has {shard.size:,}: "
                    "it is truncated"
                )
            if entry.numpy_dtype is not None and not entry.sliced:
                expected = math.prod(entry.shape) * entry.numpy_dtype.itemsize
                if entry.size != expected:
                    raise BundleError(
                        f"{where} has {entry.size:,} bytes; {entry.numpy_dtype.name} {entry.shape} takes {expected:,}"
                    )
            if entry.size:
                spans.append((entry.shard, entry.offset, entry.size, name))
        spans.sort()
        for (shard_a, offset, size, name), (shard_b, offset_b, _, other) in pairwise(spans):
            if shard_a == shard_b and offset + size > offset_b:
                raise BundleError(f"{self.origin}: tensors {name} and {other} overlap in data file {shard_a}")


def _strings(data: bytes, entry: Entry) -> np.ndarray:
    """A string tensor: varint lengths, the masked checksum of them, the strings; all within the entry's checksum."""
    count = math.prod(entry.shape)
    if count > len(data):
        raise BundleError(f"{count:,} strings in {len(data):,} bytes; each string takes one at least")
    lengths, at, crc = [], 0, 0
    for _ in range(count):
        length, at = varint(data, at, len(data))
        if length > len(data):
            raise BundleError(f"a string claims {length:,} bytes in a tensor of {len(data):,}")
        lengths.append(length)
        crc = google_crc32c.extend(crc, length.to_bytes(4, "little"))
    if at + 4 + sum(lengths) != len(data):
        raise BundleError(f"its strings take {at + 4 + sum(lengths):,} bytes; it has {len(data):,}")
    stored = data[at : at + 4]
    if int.from_bytes(stored, "little") != mask(crc):
        raise BundleError(_DAMAGED)
    crc = google_crc32c.extend(crc, stored)
    if mask(google_crc32c.extend(crc, data[at + 4 :])) != entry.crc:
        raise BundleError(_DAMAGED)
    strings = np.empty(count, dtype=object)
    at += 4
    for i, length in enumerate(lengths):
        strings[i] = data[at : at + length]
        at += length
    return strings.reshape(entry.shape)
