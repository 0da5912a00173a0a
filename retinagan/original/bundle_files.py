"""Where the bytes of a TensorFlow checkpoint lie: plain files, or members of a ``.zip`` that stays packed.

Plain files and stored members are memory-mapped piece by piece. Deflated members are inflated as a stream
of which only the wanted pieces are kept: nothing is ever unpacked to disk, so no name in an archive can lead anywhere.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

MAX_INDEX_BYTES = 16 << 20
"""Real index files have about 0.1 MiB."""
MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 16 << 20
MAX_INFLATED_BYTES = 16 << 30
"""The published archives' largest member has 1.8 GB."""
MAX_RATIO = 100
"""Inflated to packed size; weights stay below 2. Deflate itself could reach 1 032."""
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,  # with NotImplementedError
    ValueError,  # with UnicodeDecodeError
)
"""What the standard library's reader lets through on damaged archives."""


class BundleError(ValueError):
    """A checkpoint is damaged, hostile, or of a kind that is not read here; the text names what and where."""


class Shard(Protocol):
    """One data file of a bundle."""

    name: str
    size: int

    def pieces(self, spans: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """The bytes of each ``(offset, size)`` as ``uint8 (size,)``, valid until the next is asked for.

        ``spans`` ascend, do not overlap and lie within ``size``; the caller has checked that.
        """


class BundleFiles(Protocol):
    """A bundle's files under one prefix."""

    origin: Path
    archive: bool

    def index(self) -> bytes:
        """The whole index file."""

    def shard(self, number: int, count: int) -> Shard:
        """Data file ``number`` of ``count``. Raises BundleError when it is missing."""


def locate(prefix: str | Path) -> BundleFiles:
    """Find a bundle: by its prefix, by its ``.index`` file, by the folder that holds one, or in a ``.zip``.

    Raises:
        FileNotFoundError: nothing of that name.
        BundleError: several bundles where one was expected, or a ``.zip`` that is damaged or hostile.
    """
    path = Path(prefix)
    if path.is_dir():
        found = sorted(path.glob("*.index"))
        if len(found) != 1:
            names = ", ".join(f.name for f in found[:5]) or "none"
            raise BundleError(f"{path} is a folder with {len(found)} .index files ({names}); give a prefix")
        path = found[0]
    if path.is_file() and path.suffix.lower() == ".zip":
        return _Archive(path)
    base = path.with_name(path.name.removesuffix(".index"))
    if not base.with_name(base.name + ".index").is_file():
        raise FileNotFoundError(
            f"no TensorFlow checkpoint at {path}; give its prefix (NAME.ckpt, beside which NAME.ckpt.index and "
            "NAME.ckpt.data-00000-of-00001 lie) or the published .zip"
        )
    return _Folder(base)


def _shard_name(base: str, number: int, count: int) -> str:
    return f"{base}.data-{number:05d}-of-{count:05d}"


class _Folder:
    archive = False

    def __init__(self, base: Path):
        self.base = base
        self.origin = base.with_name(base.name + ".index")

    def index(self) -> bytes:
        with open(self.origin, "rb") as file:
            data = file.read(MAX_INDEX_BYTES + 1)
        if len(data) > MAX_INDEX_BYTES:
            raise BundleError(f"{self.origin} has more than {MAX_INDEX_BYTES:,} bytes; no index is that long")
        return data

    def shard(self, number: int, count: int) -> Shard:
        path = self.base.with_name(_shard_name(self.base.name, number, count))
        if not path.is_file():
            raise BundleError(f"{path} is missing; the index beside it names {count} data file(s)")
        return _MappedShard(path, path.name, 0, path.stat().st_size)


class _MappedShard:
    """``size`` bytes of ``path`` from ``start``; each piece is mapped alone, so that no more stays in memory."""

    def __init__(self, path: Path, name: str, start: int, size: int):
        self.path, self.name, self.start, self.size = path, name, start, size

    def pieces(self, spans: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        for offset, size in spans:
            if size == 0:
                yield np.empty(0, dtype=np.uint8)
                continue
            begin = self.start + offset
            try:
                yield np.memmap(self.path, np.uint8, "r", begin, (size,)).view(np.ndarray)
            except (ValueError, OSError) as error:
                raise BundleError(f"{self.path} cannot be mapped at {begin} ({error}); did it shrink?") from error


class _Archive:
    archive = True

    def __init__(self, path: Path):
        self.origin = path
        _check_directory(path)
        try:
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
        except _ZIP_ERRORS as error:
            raise BundleError(f"{path} is not a whole .zip ({error}); download it again") from error
        if len(infos) > MAX_MEMBERS:
            raise BundleError(f"{path} has {len(infos)} members; allowed are {MAX_MEMBERS}")
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            parts = PurePosixPath(info.filename.replace("\\", "/")).parts
            if ".." in parts or info.filename.startswith(("/", "\\")) or (parts and parts[0].endswith(":")):
                raise BundleError(f"{path}: member {info.filename!r} would leave the folder; it is refused")
            if info.filename in self.members:
                raise BundleError(f"{path}: member {info.filename!r} appears twice; the archive is not trusted")
            self.members[info.filename] = info
        # Archives made on a Mac carry a shadow file of each member.
        found = [n for n in self.members if n.endswith(".index") and not n.startswith("__MACOSX/")]
        if len(found) != 1:
            raise BundleError(f"{path} holds {len(found)} .index files {found[:5]}; exactly one is expected")
        self.base = found[0].removesuffix(".index")

    def index(self) -> bytes:
        name = self.base + ".index"
        info = self._checked(name)
        if info.file_size > MAX_INDEX_BYTES:
            raise BundleError(f"{self.origin}: {name} has {info.file_size:,} bytes; allowed are {MAX_INDEX_BYTES:,}")
        (piece,) = _InflatedShard(self.origin, info).pieces([(0, info.file_size)])
        return piece.tobytes()

    def shard(self, number: int, count: int) -> Shard:
        name = _shard_name(self.base, number, count)
        info = self._checked(name)
        if info.compress_type == zipfile.ZIP_STORED:
            return _MappedShard(self.origin, name, _stored_start(self.origin, info), info.file_size)
        return _InflatedShard(self.origin, info)

    def _checked(self, name: str) -> zipfile.ZipInfo:
        info = self.members.get(name)
        if info is None:
            raise BundleError(f"{self.origin}: {name} is missing in the archive")
        if info.flag_bits & 0x41:
            raise BundleError(f"{self.origin}: {name} is encrypted; unpack it and give the checkpoint's prefix")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(
                f"{self.origin}: {name} is packed by method {info.compress_type}; stored and deflated are read, so "
                "unpack the archive and give the checkpoint's prefix"
            )
        big = info.file_size > MAX_INDEX_BYTES and info.file_size > MAX_RATIO * info.compress_size
        if big or info.file_size > MAX_INFLATED_BYTES:
            raise BundleError(
                f"{self.origin}: {name} claims {info.file_size:,} bytes from {info.compress_size:,} packed ones; "
                f"allowed are {MAX_INFLATED_BYTES:,} bytes and a ratio of {MAX_RATIO}"
            )
        return info


class _InflatedShard:
    """A member of an archive, read once from its beginning to the last wanted piece."""

    def __init__(self, path: Path, info: zipfile.ZipInfo):
        self.path, self.info = path, info
        self.name, self.size = info.filename, info.file_size

    def pieces(self, spans: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.info) as stream:
                for offset, size in spans:
                    stream.seek(offset)
                    data = stream.read(size)
                    if len(data) < size:
                        raise BundleError(f"{self.path}: {self.name} ends early; download it again")
                    yield np.frombuffer(data, dtype=np.uint8)
        except BundleError:
            raise
        except _ZIP_ERRORS as error:
            raise BundleError(f"{self.path}: {self.name} cannot be unpacked ({error}); download it again") from error


def _check_directory(path: Path) -> None:
    """Refuse a central directory of absurd size before ``zipfile`` reads it whole into memory."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - 22 - 0xFFFF - 20))
        tail = file.read()
        end = tail.rfind(b"PK\x05\x06")
        if end < 0 or len(tail) - end < 22:
            raise BundleError(f"{path} is not a whole .zip (it has no end record); download it again")
        directory_size = struct.unpack_from("<L", tail, end + 12)[0]
        if end >= 20 and tail[end - 20 : end - 16] == b"PK\x06\x07":
            file.seek(min(struct.unpack_from("<Q", tail, end - 12)[0], size))
            record = file.read(56)
            if len(record) < 56 or record[:4] != b"PK\x06\x06":
                raise BundleError(f"{path} is not a whole .zip (its zip64 record is damaged); download it again")
            directory_size = struct.unpack_from("<Q", record, 40)[0]
    if directory_size > MAX_DIRECTORY_BYTES:
        raise BundleError(f"{path}: its directory claims {directory_size:,} bytes; allowed are {MAX_DIRECTORY_BYTES:,}")


def _stored_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a stored member's bytes begin in the archive, checked against the archive's size."""
    with open(path, "rb") as file:
        file.seek(min(max(info.header_offset, 0), path.stat().st_size))
        header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise BundleError(f"{path}: {info.filename} has no header at {info.header_offset}; download it again")
    name_size, extra_size = struct.unpack_from("<HH", header, 26)
    start = info.header_offset + 30 + name_size + extra_size
    if info.compress_size != info.file_size or start + info.file_size > path.stat().st_size:
        raise BundleError(f"{path}: {info.filename} reaches beyond the archive; download it again")
    return start
