"""Checkpoints in archives: read packed, and every lie an archive can tell."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinagan.original.bundle import Bundle, BundleError
from tests.tfbundle_samples import MEMORY, check_all, fuzz, open_and_read, sample_tensors, write


def pack(folder: Path, method: int = zipfile.ZIP_DEFLATED, inside: str = "model/", **extra: bytes) -> Path:
    path = folder / "net.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(folder.glob("net.ckpt.*")):
            archive.write(file, inside + file.name)
        for name, content in extra.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shards", [1, 2])
def test_archives_are_read_packed(tmp_path, method, shards):
    write(tmp_path, shards=shards)
    path = pack(tmp_path, method, **{"__MACOSX/model/._net.ckpt.index": b"shadow", "model/checkpoint": b"text"})
    before = sorted(tmp_path.rglob("*"))
    bundle = Bundle(path)
    check_all(bundle, sample_tensors())
    assert bundle.files.archive and bundle.origin == path
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked"


def test_only_what_is_needed_is_inflated(tmp_path):
    """A deflated member that breaks off behind the wanted tensor is never read that far."""
    rng = np.random.default_rng(0)
    tensors = {"a": rng.normal(size=5000).astype("f4"), "b": rng.normal(size=500_000).astype("f4")}
    write(tmp_path, tensors)
    path = pack(tmp_path)
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model/net.ckpt.data-00000-of-00001")
    raw[info.header_offset + info.compress_size // 2 : info.header_offset + info.compress_size] = bytes(
        info.compress_size - info.compress_size // 2
    )
    path.write_bytes(raw)
    bundle = Bundle(path)
    assert bundle.read("a").tobytes() == tensors["a"].tobytes()
    with pytest.raises(BundleError):
        bundle.read("b")


@pytest.mark.parametrize("member", ["../evil.index", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil", "\\evil"])
def test_names_that_leave_the_folder_are_refused(tmp_path, member):
    write(tmp_path)
    path = pack(tmp_path, **{member: b"x"})
    with pytest.raises(BundleError, match="would leave the folder"):
        Bundle(path)


def test_bombs_are_refused_before_they_are_inflated(tmp_path):
    writer = write(tmp_path)
    with open(writer.paths[0], "ab") as file:
        file.truncate(40 << 20)
    tracemalloc.start()
    with pytest.raises(BundleError, match="ratio of 100"):
        Bundle(pack(tmp_path))
    writer.index_path.write_bytes(bytes(17 << 20))
    with pytest.raises(BundleError, match="ratio|allowed are 16,777,216"):
        Bundle(pack(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY


def central_field(path: Path, name: str, field: int, fmt: str, value: int) -> None:
    """Overwrite one field of ``name``'s record in the archive's directory."""
    raw = bytearray(path.read_bytes())
    at = raw.rfind(name.encode()) - 46
    assert raw[at : at + 4] == b"PK\x01\x02"
    struct.pack_into(fmt, raw, at + field, value)
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("field", "fmt", "value", "text"),
    [
        (24, "<L", 0xFFFFFFF0, "claims 4,294,967,280 bytes"),  # inflated size
        (24, "<L", 20, "truncated|Bad CRC-32"),
        (20, "<L", 7, "ends early|cannot be unpacked"),  # packed size
        (42, "<L", 1 << 30, "cannot be unpacked|not a whole"),  # where its header is
        (8, "<H", 1, "encrypted"),
        (10, "<H", 12, "method 12"),
        (10, "<H", 99, "method 99"),
    ],
)
@pytest.mark.parametrize("suffix", ["index", "data-00000-of-00001"])
def test_lying_directories_are_refused(tmp_path, suffix, field, fmt, value, text):
    write(tmp_path)
    path = pack(tmp_path)
    central_field(path, f"model/net.ckpt.{suffix}", field, fmt, value)
    with pytest.raises(BundleError, match=text):
        dict((bundle := Bundle(path)).tensors(bundle.entries))


@pytest.mark.parametrize(("field", "value"), [(24, 100_000), (20, 0xFFFFFFF0)])
def test_sizes_that_are_too_large_in_the_directory_change_no_tensor(tmp_path, field, value):
    """Nothing is read behind the last tensor, so these lies may pass; no allocation believes them."""
    write(tmp_path)
    path = pack(tmp_path)
    central_field(path, "model/net.ckpt.data-00000-of-00001", field, "<L", value)
    open_and_read(path)
    check_all(Bundle(path), sample_tensors())


def test_a_stored_member_beyond_the_archive_is_refused(tmp_path):
    write(tmp_path)
    path = pack(tmp_path, zipfile.ZIP_STORED)
    for field in (20, 24):
        central_field(path, "model/net.ckpt.data-00000-of-00001", field, "<L", 1 << 20)
    with pytest.raises(BundleError, match="beyond the archive"):
        Bundle(path)


def test_a_directory_of_absurd_size_is_refused(tmp_path):
    write(tmp_path)
    path = pack(tmp_path)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<L", raw, raw.rfind(b"PK\x05\x06") + 12, 1 << 30)
    path.write_bytes(raw)
    with pytest.raises(BundleError, match="directory claims 1,073,741,824 bytes"):
        Bundle(path)


@pytest.mark.parametrize(("magic", "text"), [(b"PK\x06\x06", "claims 1,152,921,504,606,846,976"), (b"PK??", "zip64")])
def test_zip64_records_are_checked_too(tmp_path, magic, text):
    """A directory's size may also stand in the records of archives above 4 GB."""
    write(tmp_path)
    path = pack(tmp_path)
    raw = path.read_bytes()
    end = raw.rfind(b"PK\x05\x06")
    record = magic + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 3, 3, 1 << 60, 0)
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, end, 1)
    path.write_bytes(raw[:end] + record + locator + raw[end:])
    with pytest.raises(BundleError, match=text):
        Bundle(path)


def test_archives_without_a_whole_checkpoint_are_refused(tmp_path):
    writer = write(tmp_path)
    path = pack(tmp_path, **{"model/other.index": b""})
    with pytest.raises(BundleError, match="holds 2 .index files"):
        Bundle(path)
    writer.paths[0].unlink()
    with pytest.raises(BundleError, match="is missing in the archive"):
        Bundle(pack(tmp_path))
    writer.index_path.unlink()
    with pytest.raises(BundleError, match="holds 0 .index files"):
        Bundle(pack(tmp_path))
    path.write_bytes(b"PK but not really" * 10)
    with pytest.raises(BundleError, match="not a whole .zip"):
        Bundle(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_appears_twice_is_refused(tmp_path):
    write(tmp_path)
    path = pack(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/net.ckpt.index", b"another")
    with pytest.raises(BundleError, match="appears twice"):
        Bundle(path)


def test_truncated_archives_are_refused_at_every_length(tmp_path):
    write(tmp_path)
    path = pack(tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 11):
        path.write_bytes(whole[:length])
        with pytest.raises(BundleError):
            Bundle(path)


@fuzz
@given(at=st.floats(0, 0.999999), value=st.integers(0, 255))
def test_damaged_archives_never_give_another_tensor(tmp_path, at, value):
    write(tmp_path)
    path = pack(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[int(at * len(raw))] = value
    path.write_bytes(raw)
    tensors = sample_tensors()
    try:
        bundle = Bundle(path)
        check_all(bundle, tensors)
    except BundleError:
        pass
