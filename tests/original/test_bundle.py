"""The TensorFlow bundle reader: right tensors from whole bundles, clear errors from damaged ones."""

from __future__ import annotations

import math
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retinagan.original import bundle_index
from retinagan.original.bundle import Bundle, BundleError
from tests.paths import SHARED
from tests.tfbundle_samples import check_all, fuzz, sample_tensors, write

REFERENCE = SHARED / "original"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference checkpoints beside the clone")


def test_crc_is_castagnoli():
    assert google_crc32c.value(b"123456789") == 0xE3069283
    assert bundle_index.mask(0) == 0xA282EAD8


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("per_block", [1, 4, 1000])
def test_every_dtype_comes_back(tmp_path, shards, per_block):
    write(tmp_path, shards=shards, per_block=per_block)
    check_all(Bundle(tmp_path / "net.ckpt"), sample_tensors())


def test_a_bundle_is_found_by_prefix_index_file_and_folder(tmp_path):
    prefix = write(tmp_path).prefix
    for path in (prefix, str(prefix), Path(f"{prefix}.index"), tmp_path):
        assert Bundle(path).read("counter") == -7
    with pytest.raises(FileNotFoundError, match="no TensorFlow checkpoint at .*elsewhere"):
        Bundle(tmp_path / "elsewhere")
    (tmp_path / "other.index").write_bytes(b"")
    with pytest.raises(BundleError, match="folder with 2 .index files"):
        Bundle(tmp_path)


def test_tensors_come_in_the_files_order_and_report_progress(tmp_path):
    tensors = {name: np.full(size, size, "f4") for name, size in (("c", 3), ("a", 1), ("b", 2))}
    bundle = Bundle(write(tmp_path, tensors).prefix)
    seen: list[int] = []
    assert [name for name, _ in bundle.tensors(["a", "b", "c", "a"], seen.append)] == ["c", "a", "b"]
    assert seen == [12, 4, 8]
    with pytest.raises(KeyError, match="'d'"):
        bundle.read("d")


def test_read_arrays_are_the_callers_own(tmp_path):
    prefix = write(tmp_path, {"a": np.zeros(4, "f4")}).prefix
    bundle = Bundle(prefix)
    bundle.read("a")[:] = 5
    assert bundle.read("a").tolist() == [0] * 4


@needs_reference
@pytest.mark.parametrize("name", ["cstylegan", "gaugan"])
def test_reference_bundles_hold_what_tensorflow_says(name):
    """Names, dtypes and shapes as TensorFlow lists them; TensorFlow's own checksums vouch for the bytes."""
    bundle = Bundle(REFERENCE / name)
    lines = [line.split("\t") for line in (REFERENCE / f"keys_{name}.txt").read_text().splitlines()]
    assert list(bundle.entries) == [key for key, _, _ in lines]
    raw = Path(str(bundle.origin).replace(".index", ".data-00000-of-00001")).read_bytes()
    arrays = dict(bundle.tensors(bundle.entries))
    for key, shape, dtype in lines:
        entry = bundle.entries[key]
        assert str(list(arrays[key].shape)) == shape
        if dtype != "string":
            assert arrays[key].dtype.name == dtype
            assert arrays[key].tobytes() == raw[entry.offset : entry.offset + entry.size]
        else:
            assert arrays[key].item() in raw and len(arrays[key].item()) > 100_000
    assert sum(e.size for e in bundle.entries.values()) == len(raw), "every byte belongs to a tensor"


# Damaged files


def test_every_byte_of_the_index_is_guarded(tmp_path):
    """One bit, the top bit and all bits of each byte flipped: always an error, never another tensor."""
    path = write(tmp_path, per_block=6).index_path
    whole = path.read_bytes()
    for i in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            with pytest.raises(BundleError):
                bundle_index.parse_index(whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :])
    path.write_bytes(whole[:-1] + b"?")
    with pytest.raises(BundleError, match="net.ckpt.index: the index lacks the magic number"):
        Bundle(tmp_path / "net.ckpt")


@needs_reference
@pytest.mark.parametrize("name", ["cstylegan", "gaugan"])
def test_every_byte_of_the_reference_index_is_guarded(name):
    """TensorFlow's own files, one bit of each byte flipped."""
    (path,) = (REFERENCE / name).glob("*.index")
    whole = path.read_bytes()
    bundle_index.parse_index(whole)
    for i in range(len(whole)):
        with pytest.raises(BundleError):
            bundle_index.parse_index(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])


def test_a_truncated_index_is_an_error_at_every_length(tmp_path):
    whole = write(tmp_path).index_path.read_bytes()
    for length in range(len(whole)):
        with pytest.raises(BundleError):
            bundle_index.parse_index(whole[:length])
    with pytest.raises(BundleError):
        bundle_index.parse_index(whole + b"\0")


def test_every_byte_of_the_data_is_guarded(tmp_path):
    writer = write(tmp_path)
    whole = writer.paths[0].read_bytes()
    bundle, tensors = Bundle(writer.prefix), sample_tensors()
    for i in range(0, len(whole), 3):
        writer.paths[0].write_bytes(whole[:i] + bytes([whole[i] ^ 0x10]) + whole[i + 1 :])
        (hit,) = [n for n, e in bundle.entries.items() if e.offset <= i < e.offset + e.size]
        with pytest.raises(BundleError):
            bundle.read(hit)
        other = "counter" if hit != "counter" else "scalar"
        assert bundle.read(other) == tensors[other]


def test_truncated_or_missing_data_is_an_error_before_anything_is_read(tmp_path):
    writer = write(tmp_path, shards=2)
    whole = writer.paths[1].read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        writer.paths[1].write_bytes(whole[:length])
        with pytest.raises(BundleError, match="truncated"):
            Bundle(writer.prefix)
    writer.paths[1].unlink()
    with pytest.raises(BundleError, match="data-00001-of-00002 is missing"):
        Bundle(writer.prefix)


def test_data_that_shrinks_after_opening_is_an_error(tmp_path):
    writer = write(tmp_path, {"a": np.zeros(4, "f4"), "b": np.zeros(3000, "f4")})
    bundle = Bundle(writer.prefix)
    writer.paths[0].write_bytes(bytes(100))
    with pytest.raises(BundleError, match="shrink"):
        bundle.read("b")


@fuzz
@given(data=st.data())
def test_mutated_indexes_end_in_an_error(tmp_path, data):
    """Several bytes replaced, removed or inserted anywhere: an error, unless nothing changed."""
    path = write(tmp_path).index_path
    whole = path.read_bytes()
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(changed)
    if bytes(changed) == whole:
        Bundle(tmp_path / "net.ckpt")
        return
    with pytest.raises(BundleError):
        Bundle(tmp_path / "net.ckpt")


@settings(fuzz, max_examples=60)
@given(strings=st.lists(st.binary(max_size=200), max_size=10), shape=st.lists(st.integers(0, 4), max_size=3))
def test_random_bundles_come_back(tmp_path, strings, shape):
    array = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    tensors = {"strings": strings, "array": array}
    check_all(Bundle(write(tmp_path, tensors).prefix), tensors)
