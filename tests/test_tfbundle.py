"""The TensorFlow bundle reader: right tensors from whole bundles, clear errors from everything else."""

from __future__ import annotations

import math
import struct
import tracemalloc
import zipfile
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retinagan import tfbundle
from retinagan.tfbundle import DTYPES, Bundle, BundleError
from tests import tfbundle_writer as tf
from tests.tfbundle_writer import BundleWriter

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "original"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference checkpoints are not beside the clone")
MEMORY = 64 << 20
"""More than any hostile bundle here may make the reader allocate."""


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


def test_crc_is_castagnoli():
    assert google_crc32c.value(b"123456789") == 0xE3069283
    assert tfbundle._mask(0) == 0xA282EAD8


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
            path.write_bytes(whole[:i] + bytes([whole[i] ^ flip]) + whole[i + 1 :])
            with pytest.raises(BundleError):
                Bundle(tmp_path / "net.ckpt")


@needs_reference
@pytest.mark.parametrize("name", ["cstylegan", "gaugan"])
def test_every_byte_of_the_reference_index_is_guarded(name):
    """TensorFlow's own files, one bit of each byte flipped."""
    (path,) = (REFERENCE / name).glob("*.index")
    whole = path.read_bytes()
    tfbundle._parse_index(whole)
    for i in range(len(whole)):
        with pytest.raises(BundleError):
            tfbundle._parse_index(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])


def test_a_truncated_index_is_an_error_at_every_length(tmp_path):
    path = write(tmp_path).index_path
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BundleError, match="net.ckpt.index"):
            Bundle(tmp_path / "net.ckpt")
    path.write_bytes(whole + b"\0")
    with pytest.raises(BundleError):
        Bundle(tmp_path / "net.ckpt")


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


# Hostile files: whole, with right checksums, and lying

BIG = 1 << 62


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ((1, [4], 0, 60, 16), r"reaches to byte 76; net.ckpt.data-00000-of-00001 has 64"),
        ((1, [4], 0, BIG, 16), "truncated"),
        ((1, [4], 0, -16, 16), "offset is -16"),
        ((1, [4], 0, 0, -16), "size is -16"),
        ((1, [4], 0, 0, 20), r"has 20 bytes; float32 \(4,\) takes 16"),
        ((1, [4], 1, 0, 16), "lies in data file 1; there are 1"),
        ((1, [4], -1, 0, 16), "data file is -1"),
        ((1, [-4], 0, 0, 16), "dimension 0 is -4"),
        ((1, [-2, -2], 0, 0, 16), "dimension 0 is -2"),
        ((1, [1 << 33, 1 << 33], 0, 0, 16), "overflows"),
        ((1, [1 << 62, 4], 0, 0, 0), "overflows"),
        ((1, [0, 1 << 60], 0, 0, 0), "overflows"),
        ((1, [1] * 33, 0, 0, 4), "more than 32 dimensions"),
        ((-1, [4], 0, 0, 16), "dtype is -1"),
        ((1, [1 << 40], 0, 0, 16), "takes 4,398,046,511,104"),
    ],
)
def test_lying_entries_are_refused_when_opened(tmp_path, fields, text):
    prefix = write_index(tmp_path, {b"a": tf.entry(*fields, crc=0)})
    with pytest.raises(BundleError, match=text):
        Bundle(prefix)
    with pytest.raises(BundleError):
        open_and_read(prefix)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ((14, [4], 0, 0, 8), "dtype 14; read are 1 float32"),
        ((0, [4], 0, 0, 8), "dtype 0"),
        ((7, [1 << 50], 0, 0, 64), "string tensor a has shape"),
        ((7, [100], 0, 0, 64), "each string takes one at least"),
        ((7, [], 0, 0, 0), "each string takes one at least"),
        ((7, [60], 0, 0, 62), "strings of a tensor take 64 bytes; it has 62"),
        ((10, [64], 0, 0, 64), "checksum"),
    ],
)
def test_unreadable_entries_are_refused_when_read(tmp_path, fields, text):
    bundle = Bundle(write_index(tmp_path, {b"a": tf.entry(*fields, crc=0)}))
    with pytest.raises(BundleError, match=text):
        bundle.read("a")


@pytest.mark.parametrize("length", [65, 1 << 31, (1 << 64) - 1])
def test_strings_of_absurd_length_are_refused(tmp_path, length):
    data = (tf.varint(length) + bytes(64))[:64]
    bundle = Bundle(write_index(tmp_path, {b"a": tf.entry(7, [1], 0, 0, 64, tf.masked_crc(data))}, data))
    with pytest.raises(BundleError, match="a string claims"):
        bundle.read("a")


def test_a_number_without_end_is_refused(tmp_path):
    data = b"\xff" * 64
    bundle = Bundle(write_index(tmp_path, {b"a": tf.entry(7, [1], 0, 0, 64, tf.masked_crc(data))}, data))
    with pytest.raises(BundleError, match="no end"):
        bundle.read("a")


def test_an_unknown_rank_is_refused(tmp_path):
    unknown = tf.number_field(1, 1) + tf.message(2, tf.number_field(3, 1))
    with pytest.raises(BundleError, match="rank is unknown"):
        Bundle(write_index(tmp_path, {b"a": unknown}))


def test_bools_are_0_or_1(tmp_path):
    data = bytes([0, 1, 2]) + bytes(61)
    bundle = Bundle(write_index(tmp_path, {b"a": tf.entry(10, [3], 0, 0, 3, tf.masked_crc(data[:3]))}, data))
    with pytest.raises(BundleError, match="bool, but a byte of it is 2"):
        bundle.read("a")


def test_overlapping_tensors_are_refused(tmp_path):
    entries = {b"a": tf.entry(1, [4], 0, 0, 16, 0), b"b": tf.entry(1, [4], 0, 12, 16, 0)}
    with pytest.raises(BundleError, match="tensors a and b overlap"):
        Bundle(write_index(tmp_path, entries))


def test_slices_are_refused_when_read(tmp_path):
    sliced = tf.entry(1, [4], 0, 0, 0, 0, extra=tf.message(7, b""))
    with pytest.raises(BundleError, match="in slices"):
        Bundle(write_index(tmp_path, {b"a": sliced})).read("a")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (tf.header(0), "claims 0 data files"),
        (tf.header(10**9), "claims 1000000000 data files"),
        (tf.header(-1), "number of data files is -1"),
        (tf.header(1, endianness=1), "big-endian"),
        (tf.header(1, min_consumer=2), "reader of version 2"),
        (b"\x0a\x01", "ends early"),
        (b"\x08", "no end"),
        (b"\x0b", "unknown kind 3"),
        (tf.message(1, b"x"), "not a number"),
    ],
)
def test_hostile_headers_are_refused(tmp_path, header, text):
    with pytest.raises(BundleError, match=text):
        Bundle(write_index(tmp_path, {b"": header}))


GOOD = tf.entry(1, [4], 0, 0, 16, 0)


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (tf.table([(b"", tf.header()), (b"a", GOOD)], kind=1), "snappy"),
        (tf.table([(b"", tf.header()), (b"a", GOOD)], kind=7), "method 7"),
        (tf.table([(b"", tf.header()), (b"b", GOOD), (b"a", GOOD)]), "out of order at b'a'"),
        (tf.table([(b"", tf.header()), (b"a", GOOD), (b"a", GOOD)]), "out of order"),
        (tf.table([(b"a", GOOD)]), "instead of its header"),
        (tf.table([]), "empty"),
        (tf.table([(b"", tf.header()), (b"\xff\xfe", GOOD)]), "not UTF-8"),
        (tf.table([(b"", tf.header()), (b"a" * 1025, GOOD)]), "does not fit its block"),
        (tf.table_of_blocks([(b"~", tf.sealed(bytes(7)))]), "7 bytes at 0"),
        (tf.table_of_blocks([(b"~", tf.sealed(bytes(4) + (1 << 31).to_bytes(4, "little")))]), "2147483648 restarts"),
        (tf.table_of_blocks([(b"~", tf.sealed(b"\x05\x01\x00a" + bytes(4) + b"\1\0\0\0"))]), "does not fit its block"),
        (tf.table_of_blocks([(b"~", tf.block([(b"", tf.header())]))], tf.block([(b"filter", b"x")])), "meta blocks"),
    ],
)
def test_hostile_tables_are_refused(tmp_path, index, text):
    prefix = write_index(tmp_path, {})
    (tmp_path / "net.ckpt.index").write_bytes(index)
    with pytest.raises(BundleError, match=text):
        Bundle(prefix)


def test_a_block_used_twice_is_refused(tmp_path):
    """Sharing one block a million times would turn kilobytes into gigabytes."""
    data = tf.block([(b"", tf.header())])
    size = len(data) - 5
    handle = tf.varint(0) + tf.varint(size)
    index = tf.block([(b"a", handle), (b"b", handle)], restart_interval=1)
    meta = tf.block([])
    footer = tf.varint(len(data)) + tf.varint(len(meta) - 5) + tf.varint(len(data + meta)) + tf.varint(len(index) - 5)
    prefix = write_index(tmp_path, {})
    (tmp_path / "net.ckpt.index").write_bytes(
        data + meta + index + footer.ljust(40, b"\0") + tf.MAGIC.to_bytes(8, "little")
    )
    with pytest.raises(BundleError, match="begins at byte 0, where"):
        Bundle(prefix)


def test_bytes_that_belong_to_no_block_are_refused(tmp_path):
    data, meta = tf.block([(b"", tf.header())]), tf.block([])
    prefix = write_index(tmp_path, {})

    def write_table(handle: bytes, gap: bytes) -> None:
        index = tf.block([(b"~", handle)], restart_interval=1)
        places = (len(data), len(meta) - 5, len(data + meta), len(index) - 5)
        footer = b"".join(map(tf.varint, places)).ljust(40, b"\0") + tf.MAGIC.to_bytes(8, "little")
        (tmp_path / "net.ckpt.index").write_bytes(data + meta + index + gap + footer)

    handle = tf.varint(0) + tf.varint(len(data) - 5)
    write_table(handle, b"")
    assert Bundle(prefix).entries == {}
    write_table(handle, b"x")
    with pytest.raises(BundleError, match="blocks end at byte"):
        Bundle(prefix)
    write_table(handle + b"x", b"")
    with pytest.raises(BundleError, match="1 bytes too many"):
        Bundle(prefix)


def test_an_index_of_absurd_size_is_refused(tmp_path):
    prefix = write_index(tmp_path, {})
    with open(tmp_path / "net.ckpt.index", "wb") as file:
        file.truncate(17 << 20)
    with pytest.raises(BundleError, match="more than 16,777,216 bytes"):
        Bundle(prefix)


def test_too_many_tensors_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tfbundle, "MAX_ENTRIES", 3)
    empty = tf.entry(1, [0], 0, 0, 0, 0)
    Bundle(write_index(tmp_path, {b"%d" % i: empty for i in range(3)}))
    with pytest.raises(BundleError, match="more than 3 tensors"):
        Bundle(write_index(tmp_path, {b"%d" % i: empty for i in range(4)}))


# Hypothesis for the rest

fuzz = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = st.one_of(st.integers(-(1 << 63), (1 << 64) - 1), st.integers(-2, 70))


def survives(prefix: Path) -> None:
    try:
        open_and_read(prefix)
    except BundleError:
        pass


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


@fuzz
@given(content=st.binary(max_size=300))
def test_random_blocks_with_right_checksums_survive(tmp_path, content):
    prefix = write_index(tmp_path, {})
    (tmp_path / "net.ckpt.index").write_bytes(tf.table_of_blocks([(b"~", tf.sealed(content))]))
    survives(prefix)


@fuzz
@given(entries=st.dictionaries(st.binary(min_size=1, max_size=5), st.binary(max_size=60), max_size=4))
def test_random_descriptions_with_right_checksums_survive(tmp_path, entries):
    survives(write_index(tmp_path, entries))


@fuzz
@given(
    dtype=st.one_of(st.integers(0, 25), numbers),
    shape=st.lists(numbers, max_size=4),
    shard=st.one_of(st.just(0), numbers),
    offset=numbers,
    size=numbers,
    payload=st.binary(min_size=64, max_size=64),
)
def test_random_fields_are_refused_or_read_as_described(tmp_path, dtype, shape, shard, offset, size, payload):
    """With a right checksum wherever there can be one, so that nothing but the checks themselves protects."""
    inside = payload[offset : offset + size] if 0 <= offset <= 64 and 0 <= size <= 64 else b""
    entry = tf.entry(dtype, shape, shard, offset, size, tf.masked_crc(inside))
    survives(write_index(tmp_path, {b"a": entry}, payload))


@fuzz
@given(payload=st.binary(max_size=64), count=st.integers(0, 70))
def test_random_string_tensors_survive(tmp_path, payload, count):
    entry = tf.entry(7, [count], 0, 0, len(payload), tf.masked_crc(payload))
    survives(write_index(tmp_path, {b"a": entry}, payload))


@settings(fuzz, max_examples=60)
@given(strings=st.lists(st.binary(max_size=200), max_size=10), shape=st.lists(st.integers(0, 4), max_size=3))
def test_random_bundles_come_back(tmp_path, strings, shape):
    array = np.arange(math.prod(shape), dtype="f4").reshape(shape)
    tensors = {"strings": strings, "array": array}
    check_all(Bundle(write(tmp_path, tensors).prefix), tensors)


# Archives


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


@pytest.mark.parametrize("member", ["../evil.index", "/etc/evil.index", "a/../../evil", "..\\evil", "C:\\evil", "\\evil"])
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
