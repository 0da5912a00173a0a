"""A small writer of TensorFlow checkpoints ("tensor bundles"), for tests alone; it can lie in any field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import google_crc32c
import numpy as np

MAGIC = 0xDB4775248B80FB57
NUMBERS = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8, "int64": 9, "bool": 10,
    "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip


def varint(value: int) -> bytes:
    """``value`` (negative: as 64-bit two's complement) as a protocol-buffer varint."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def masked_crc(data) -> int:
    crc = google_crc32c.value(bytes(data) if not isinstance(data, np.ndarray) else data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def message(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number_field(number: int, value: int) -> bytes:
    """A varint field; zero is omitted, as TensorFlow does."""
    return varint(number << 3) + varint(value) if value else b""


def header(shards: int = 1, endianness: int = 0, min_consumer: int = 0) -> bytes:
    version = number_field(1, 1) + number_field(2, min_consumer)
    return number_field(1, shards) + number_field(2, endianness) + message(3, version)


def entry(dtype: int, shape: Sequence[int], shard: int, offset: int, size: int, crc: int, extra: bytes = b"") -> bytes:
    dims = b"".join(message(2, number_field(1, n)) for n in shape)
    return (
        number_field(1, dtype) + message(2, dims) + number_field(3, shard) + number_field(4, offset)
        + number_field(5, size) + varint(6 << 3 | 5) + crc.to_bytes(4, "little") + extra
    )  # fmt: skip


def block(entries: Sequence[tuple[bytes, bytes]], restart_interval: int = 16, kind: int = 0) -> bytes:
    """A table block with its trailer."""
    body, restarts, previous = bytearray(), [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % restart_interval == 0:
            restarts.append(len(body))
        else:
            while shared < min(len(key), len(previous)) and key[shared] == previous[shared]:
                shared += 1
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        previous = key
    for restart in restarts or [0]:
        body += restart.to_bytes(4, "little")
    body += len(restarts or [0]).to_bytes(4, "little")
    return sealed(bytes(body), kind)


def sealed(body: bytes, kind: int = 0) -> bytes:
    """A block's content with the type byte and the checksum behind it."""
    body += bytes([kind])
    return body + masked_crc(body).to_bytes(4, "little")


def table(entries: Sequence[tuple[bytes, bytes]], per_block: int = 32, kind: int = 0) -> bytes:
    """An index file of sorted ``entries``, ``per_block`` a data block."""
    groups = [entries[i : i + per_block] for i in range(0, len(entries), per_block)]
    return table_of_blocks([(group[-1][0] + b"~", block(group, kind=kind)) for group in groups])


def table_of_blocks(blocks: Sequence[tuple[bytes, bytes]], metaindex: bytes | None = None) -> bytes:
    """An index file of ready-made data blocks, each with its separator key."""
    out, handles = b"", []
    for separator, content in blocks:
        handles.append((separator, varint(len(out)) + varint(len(content) - 5)))
        out += content
    footer = b""
    for content in (metaindex or block([]), block(handles, restart_interval=1)):
        footer += varint(len(out)) + varint(len(content) - 5)
        out += content
    return out + footer.ljust(40, b"\0") + MAGIC.to_bytes(8, "little")


def string_bytes(strings: Sequence[bytes]) -> tuple[bytes, int]:
    """A string tensor's bytes on disk and its masked checksum."""
    restored = b"".join(len(s).to_bytes(4, "little") for s in strings)
    lengths_crc = masked_crc(restored).to_bytes(4, "little")
    content = b"".join(strings)
    data = b"".join(varint(len(s)) for s in strings) + lengths_crc + content
    return data, masked_crc(restored + lengths_crc + content)


class BundleWriter:
    """Writes tensors to data files as they come and the index at the end.

    ``entries`` (name → description) and ``shards`` may be tampered with before :meth:`finish`.
    """

    def __init__(self, prefix: Path, shards: int = 1):
        self.prefix, self.shards = Path(prefix), shards
        self.paths = [self.prefix.with_name(f"{self.prefix.name}.data-{i:05d}-of-{shards:05d}") for i in range(shards)]
        self.index_path = self.prefix.with_name(self.prefix.name + ".index")
        self.files = [open(path, "wb") for path in self.paths]
        self.entries: dict[bytes, bytes] = {b"": header(shards)}

    def add(self, name: str, value: np.ndarray | Sequence[bytes] | bytes, shard: int = 0) -> None:
        """A numeric array, a sequence of byte strings (1-D) or one byte string (a scalar)."""
        if isinstance(value, bytes):
            shape, dtype, (data, crc) = (), 7, string_bytes([value])
        elif isinstance(value, np.ndarray):
            data = np.frombuffer(np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes(), np.uint8)
            shape, dtype, crc = value.shape, NUMBERS[value.dtype.name], masked_crc(data)
        else:
            shape, dtype, (data, crc) = (len(value),), 7, string_bytes(value)
        file = self.files[shard]
        self.entries[name.encode()] = entry(dtype, shape, shard, file.tell(), len(data), crc)
        file.write(data)

    def finish(self, per_block: int = 32) -> Path:
        for file in self.files:
            file.close()
        self.index_path.write_bytes(table(sorted(self.entries.items()), per_block))
        return self.prefix
