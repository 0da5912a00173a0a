"""The index of a TensorFlow checkpoint: a LevelDB table from names to each tensor's dtype, shape and place.

Every byte of it is covered by a check: the checksums of its blocks, their tiling of the file, the order of names, and
the range of every number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import google_crc32c
import numpy as np

from retinagan.original.bundle_files import BundleError

DTYPES: Mapping[int, np.dtype] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("u1"),
    5: np.dtype("<i2"),
    6: np.dtype("i1"),
    8: np.dtype("<c8"),
    9: np.dtype("<i8"),
    10: np.dtype("?"),
    17: np.dtype("<u2"),
    18: np.dtype("<c16"),
    19: np.dtype("<f2"),
    22: np.dtype("<u4"),
    23: np.dtype("<u8"),
}
"""TensorFlow's dtype number → numpy's, as on disk."""
STRING = 7

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
BLOCK_TRAILER_BYTES = 5
MAX_ENTRIES = 100_000
MAX_KEY_BYTES = 1024
MAX_SHARDS = 1000
MAX_RANK = 32


@dataclass(frozen=True)
class Entry:
    """A tensor's place and kind, as the index gives it; already checked against the data files."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    sliced: bool = False

    @property
    def numpy_dtype(self) -> np.dtype | None:
        """None for strings and for dtypes that are not read here."""
        return DTYPES.get(self.dtype)


def mask(crc: int) -> int:
    """LevelDB's masking, which keeps a checksum of bytes that hold checksums apart from them."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An unsigned varint of at most 64 bits at ``data[at:end]``: (value, position behind it)."""
    value = shift = 0
    while True:
        if at >= end or shift > 63:
            raise BundleError(f"a number at byte {at} has no end")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            # A superfluous zero byte at the end would let a flipped bit pass without changing the value.
            if value >> 64 or (byte == 0 and shift > 7):
                raise BundleError(f"a number at byte {at} is not a 64-bit varint")
            return value, at


def parse_index(data: bytes) -> tuple[int, dict[str, Entry]]:
    """(number of data files, entries by name) of an index file. Raises BundleError."""
    if len(data) < FOOTER_BYTES:
        raise BundleError(f"the index has {len(data)} bytes; even an empty one has more: it is truncated")
    footer = len(data) - FOOTER_BYTES
    if int.from_bytes(data[-8:], "little") != MAGIC:
        raise BundleError("the index lacks the magic number at its end: truncated, or no TensorFlow checkpoint")
    at, numbers = footer, []
    for _ in range(4):
        number, at = varint(data, at, len(data) - 8)
        numbers.append(number)
    if any(data[at : len(data) - 8]):
        raise BundleError("the index's footer is damaged (its padding is not zero)")
    metaindex, index = (numbers[0], numbers[1]), (numbers[2], numbers[3])
    blocks = []
    for _, value in _block(data, *index, footer):
        offset, behind = varint(value, 0, len(value))
        size, behind = varint(value, behind, len(value))
        if behind != len(value):
            raise BundleError(f"an entry of the index block has {len(value) - behind} bytes too many")
        blocks.append((offset, size))
    _check_tiling([*blocks, metaindex, index], footer)
    for _ in _block(data, *metaindex, footer):
        raise BundleError("the index has meta blocks (filters); TensorFlow writes none, so it is damaged")
    header: int | None = None
    entries: dict[str, Entry] = {}
    previous: bytes | None = None
    for offset, size in blocks:
        for key, value in _block(data, offset, size, footer):
            if previous is not None and key <= previous:
                raise BundleError(f"names in the index are out of order at {key[:80]!r}")
            previous = key
            if header is None:
                if key:
                    raise BundleError(f"the index begins with {key[:80]!r} instead of its header")
                header = _shard_count(value)
            elif len(entries) >= MAX_ENTRIES:
                raise BundleError(f"the index names more than {MAX_ENTRIES:,} tensors")
            else:
                name = _name(key)
                try:
                    entries[name] = _entry(value)
                except BundleError as error:
                    raise BundleError(f"tensor {name}: {error}") from None
    if header is None:
        raise BundleError("the index is empty: it has no header")
    return header, entries


def _name(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise BundleError(f"the name {key[:80]!r} in the index is not UTF-8") from None


def _check_tiling(blocks: list[tuple[int, int]], end: int) -> None:
    """The blocks follow one another without gap or overlap up to the footer, as TensorFlow writes them."""
    at = 0
    for offset, size in blocks:
        if offset != at:
            raise BundleError(f"a block of the index begins at byte {offset}, where {at} is expected: it is damaged")
        at = offset + size + BLOCK_TRAILER_BYTES
    if at != end:
        raise BundleError(f"the index's blocks end at byte {at}, its footer begins at {end}: it is damaged")


def _block(data: bytes, offset: int, size: int, limit: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of the block at ``data[offset : offset + size]``, whose checksum is verified first."""
    end = offset + size
    if end + BLOCK_TRAILER_BYTES > limit or size < 8:
        raise BundleError(f"a block of the index ({size} bytes at {offset}) does not fit into it: it is truncated")
    if mask(google_crc32c.value(data[offset : end + 1])) != int.from_bytes(data[end + 1 : end + 5], "little"):
        raise BundleError(f"the block at byte {offset} of the index does not match its checksum: it is damaged")
    if data[end] != 0:
        kind = "snappy-compressed" if data[end] == 1 else f"packed by method {data[end]}"
        raise BundleError(f"the block at byte {offset} of the index is {kind}; only plain blocks are read")
    restarts = int.from_bytes(data[end - 4 : end], "little")
    entries_end = end - 4 - 4 * restarts
    if entries_end < offset:
        raise BundleError(f"the block at byte {offset} of the index claims {restarts} restarts, more than it can hold")
    at, key = offset, b""
    while at < entries_end:
        shared, at = varint(data, at, entries_end)
        fresh, at = varint(data, at, entries_end)
        length, at = varint(data, at, entries_end)
        if shared > len(key) or at + fresh + length > entries_end or shared + fresh > MAX_KEY_BYTES:
            raise BundleError(f"an entry at byte {at} of the index does not fit its block: it is damaged")
        key = key[:shared] + data[at : at + fresh]
        at += fresh + length
        yield key, data[at - length : at]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protocol buffer: ints for varints, bytes for the other kinds."""
    at, end = 0, len(message)
    while at < end:
        tag, at = varint(message, at, end)
        kind = tag & 7
        if kind == 0:
            value, at = varint(message, at, end)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = varint(message, at, end)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise BundleError(f"its description has a field of unknown kind {kind}")
        if at + length > end:
            raise BundleError("its description ends early")
        yield tag >> 3, message[at : at + length]
        at += length


def _number(value: int | bytes, what: str, limit: int = 1 << 62) -> int:
    """A varint field that must lie in ``0..limit``; negative ones arrive as 64-bit two's complement."""
    if not isinstance(value, int):
        raise BundleError(f"its {what} is not a number")
    signed = value - (1 << 64) if value >> 63 else value
    if not 0 <= signed <= limit:
        raise BundleError(f"its {what} is {signed}; allowed are 0 to {limit}")
    return signed


def _message(value: int | bytes, what: str) -> bytes:
    if not isinstance(value, bytes):
        raise BundleError(f"its {what} is not a message")
    return value


def _shard_count(header: bytes) -> int:
    """Number of data files, from BundleHeaderProto."""
    shards = 0
    for field, value in _fields(header):
        if field == 1:
            shards = _number(value, "number of data files")
        elif field == 2 and _number(value, "byte order") != 0:
            raise BundleError("the checkpoint was written on a big-endian machine; only little-endian ones are read")
        elif field == 3:
            for version_field, version in _fields(_message(value, "version")):
                if version_field == 2 and (least := _number(version, "minimal consumer")) > 1:
                    raise BundleError(f"the checkpoint needs a reader of version {least}; this is one of version 1")
    if not 1 <= shards <= MAX_SHARDS:
        raise BundleError(f"the checkpoint claims {shards} data files; allowed are 1 to {MAX_SHARDS}")
    return shards


def _entry(message: bytes) -> Entry:
    """BundleEntryProto, with every number in its range; places are checked later, against the data files."""
    dtype = shard = offset = size = crc = 0
    shape: list[int] = []
    sliced = False
    for field, value in _fields(message):
        if field == 1:
            dtype = _number(value, "dtype", 1 << 31)
        elif field == 2:
            shape = _shape(_message(value, "shape"))
        elif field == 3:
            shard = _number(value, "data file", 1 << 31)
        elif field == 4:
            offset = _number(value, "offset")
        elif field == 5:
            size = _number(value, "size")
        elif field == 6:
            raw = _message(value, "checksum")
            if len(raw) != 4:
                raise BundleError(f"its checksum has {len(raw)} bytes; 4 are expected")
            crc = int.from_bytes(raw, "little")
        elif field == 7:
            sliced = True
    return Entry(dtype, tuple(shape), shard, offset, size, crc, sliced)


def _shape(message: bytes) -> list[int]:
    shape: list[int] = []
    for field, value in _fields(message):
        if field == 2:
            length = 0
            for dim_field, dim in _fields(_message(value, "dimension")):
                if dim_field == 1:
                    length = _number(dim, f"dimension {len(shape)}")
            shape.append(length)
        elif field == 3 and _number(value, "rank flag"):
            raise BundleError("its rank is unknown; stored tensors have one")
        if len(shape) > MAX_RANK:
            raise BundleError(f"it has more than {MAX_RANK} dimensions")
    # numpy multiplies the other lengths even where one is 0.
    if math.prod(n for n in shape if n) >= 1 << 58:
        raise BundleError(f"its shape {tuple(shape)} overflows")
    return shape
