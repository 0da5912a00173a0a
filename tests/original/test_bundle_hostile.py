"""Hostile TensorFlow checkpoints: whole, with right checksums, and lying. Each is refused in words, cheaply."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retinagan.original import bundle_index
from retinagan.original.bundle import Bundle, BundleError
from tests import tfbundle_writer as tf
from tests.tfbundle_samples import fuzz, open_and_read, write_index

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
        ((7, [60], 0, 0, 62), "its strings take 64 bytes; it has 62"),
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
    monkeypatch.setattr(bundle_index, "MAX_ENTRIES", 3)
    empty = tf.entry(1, [0], 0, 0, 0, 0)
    Bundle(write_index(tmp_path, {b"%d" % i: empty for i in range(3)}))
    with pytest.raises(BundleError, match="more than 3 tensors"):
        Bundle(write_index(tmp_path, {b"%d" % i: empty for i in range(4)}))


# Hypothesis for the rest

numbers = st.one_of(st.integers(-(1 << 63), (1 << 64) - 1), st.integers(-2, 70))


def survives(prefix: Path) -> None:
    try:
        open_and_read(prefix)
    except BundleError:
        pass


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
