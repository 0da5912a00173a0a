"""Map PNGs: exact round trips, and every kind of wrong file refused in words."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from retinagan.files.maps import encode_map_png, fit_map, read_map_png
from retinagan.files.photos import encode_photo_png
from retinagan.maps.labels import BG, EX, HE, MA, NUM_CLASSES, OD, PALETTE, SE, VB, colours_from_map, empty_map


def png(array: np.ndarray, mode: str | None = None, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array, mode=mode).save(buffer, format="PNG", **options)
    return buffer.getvalue()


def bare_png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG made chunk by chunk, of kinds that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


any_map = hnp.arrays(
    np.uint8, st.tuples(st.integers(16, 40), st.integers(16, 40)), elements=st.integers(0, NUM_CLASSES - 1)
)


@given(any_map)
@settings(max_examples=40, deadline=None)
def test_written_maps_read_back_exactly(label_map):
    assert np.array_equal(read_map_png(encode_map_png(label_map), size=None), label_map)
    assert np.array_equal(read_map_png(png(colours_from_map(label_map)), size=None), label_map)


@given(any_map, st.sampled_from([16, 24, 33, 64]))
@settings(max_examples=40, deadline=None)
def test_fitting_invents_no_class(label_map, size):
    fitted = fit_map(label_map, size)
    padding = {BG} if label_map.shape[0] != label_map.shape[1] else set()
    assert fitted.shape == (size, size) and fitted.dtype == np.uint8
    assert set(np.unique(fitted)) <= set(np.unique(label_map)) | padding


def test_encoded_map_shows_the_palette_and_holds_the_indices():
    label_map = np.arange(7, dtype=np.uint8).repeat(16).reshape(7, 16)
    picture = Image.open(io.BytesIO(encode_map_png(label_map, {"Comment": "Grüße"})))
    assert np.array_equal(np.asarray(picture), label_map)
    assert np.array_equal(np.asarray(picture.convert("RGB")), PALETTE[label_map])
    assert picture.text["Comment"] == "Grüße"


def test_right_size_is_returned_untouched_from_bytes_path_and_file(tmp_path):
    label_map = empty_map(64)
    label_map[30, 40] = MA
    data = encode_map_png(label_map)
    path = tmp_path / "map.png"
    path.write_bytes(data)
    for source in (data, path, str(path), io.BytesIO(data), bytearray(data)):
        assert np.array_equal(read_map_png(source, size=64), label_map)


def test_opaque_alpha_is_accepted():
    rgb = colours_from_map(empty_map(32))
    rgba = np.dstack([rgb, np.full((32, 32), 255, np.uint8)])
    assert np.array_equal(read_map_png(png(rgba), size=32), empty_map(32))


def test_scaling_up_repeats_pixels():
    label_map = np.full((20, 20), VB, dtype=np.uint8)
    label_map[3, 5] = HE
    fitted = fit_map(label_map, 60)
    assert np.array_equal(fitted, label_map.repeat(3, 0).repeat(3, 1))


def test_scaling_down_keeps_small_lesions_and_the_majority():
    label_map = np.full((256, 256), VB, dtype=np.uint8)
    label_map[10, 10] = MA  # 1/16 of a pixel
    label_map[100:108, 100:108] = EX
    label_map[200:206, 200:240] = OD
    fitted = fit_map(label_map, 64)
    assert fitted[2, 2] == MA and (fitted == MA).sum() == 1
    assert (fitted == EX).sum() == 4
    assert (fitted[50, 50:60] == OD).all()
    assert set(np.unique(fitted)) == {MA, EX, OD, VB}


def test_scaling_down_never_shows_a_class_that_covers_nothing():
    label_map = np.tile(np.array([[EX, HE], [SE, VB]], dtype=np.uint8), (16, 16))
    assert BG not in fit_map(label_map, 16)


def test_a_map_that_is_not_square_is_padded_on_both_sides():
    fitted = fit_map(np.full((16, 32), VB, dtype=np.uint8), 32)
    assert (fitted[:8] == BG).all() and (fitted[24:] == BG).all() and (fitted[8:24] == VB).all()


def test_largest_allowed_map_is_read():
    label_map = np.full((4096, 4096), VB, dtype=np.uint8)
    label_map[:2048] = BG
    fitted = read_map_png(encode_map_png(label_map), size=64)
    assert (fitted[:32] == BG).all() and (fitted[32:] == VB).all()


GOOD = encode_map_png(empty_map(64))
_noise = np.random.default_rng(0).integers(0, 7, (64, 64)).astype(np.uint8)
_bad_colour = colours_from_map(empty_map(32))
_bad_colour[9, 20] = (1, 2, 3)
_clear = np.dstack([colours_from_map(empty_map(32)), np.full((32, 32), 255, np.uint8)])
_clear[3, 4, 3] = 254
_apng = io.BytesIO()
Image.fromarray(_bad_colour).save(
    _apng, format="PNG", save_all=True, append_images=[Image.fromarray(colours_from_map(empty_map(32)))]
)
_keyed = png(colours_from_map(empty_map(32)), transparency=(255, 255, 255))


@pytest.mark.parametrize(
    "data, message",
    [
        (png(_bad_colour), r"\(1, 2, 3\) at row 9, column 20 .*1 such pixels.*anti-aliasing"),
        (png(np.zeros((32, 32), np.uint8)), "greyscale, so its classes"),
        (bare_png(32, 32, 8, 4, bytes(65) * 32), "greyscale with alpha"),
        (bare_png(32, 32, 16, 2, bytes(193) * 32), "RGB with 16 bits"),
        (bare_png(32, 32, 16, 0, bytes(65) * 32), "greyscale with 16 bits"),
        (bare_png(32, 32, 8, 5, bytes(97) * 32), "unknown colour type 5"),
        (png(np.zeros((1, 1, 3), np.uint8)), "1 × 1 pixels; allowed are sides of 16 to 4096"),
        (bare_png(20000, 20000, 8, 2, b""), "20000 × 20000 pixels"),
        (bare_png(4096, 4097, 8, 2, b""), "4096 × 4097 pixels"),
        (bare_png(0, 32, 8, 2, b""), "0 × 32 pixels"),
        (b"", "not a PNG"),
        (b"GIF89a" + bytes(40), "not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (GOOD[:60], "damaged or cut short"),
        (encode_map_png(_noise)[:-400], "damaged or cut short"),
        (GOOD.replace(b"PLTE", b"PLTX"), "damaged|palette"),
        (png(_clear), r"row 3, column 4 is transparent \(alpha 254; 1 such pixels"),
        (_keyed, "transparent"),
        (_apng.getvalue(), "animated"),
    ],
    ids=lambda v: None if isinstance(v, bytes) else v[:20],
)
def test_wrong_files_are_refused_in_words(data, message):
    with pytest.raises(ValueError, match=message):
        read_map_png(data)


def test_a_jpeg_is_refused():
    buffer = io.BytesIO()
    Image.fromarray(colours_from_map(empty_map(32))).save(buffer, format="JPEG")
    with pytest.raises(ValueError, match="not a PNG.*JPEG"):
        read_map_png(buffer.getvalue())


def test_a_foreign_palette_is_refused():
    picture = Image.fromarray(empty_map(32), mode="P")
    picture.putpalette([9, 9, 9] * 7)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    with pytest.raises(ValueError, match=r"\(9, 9, 9\) at row 0, column 0"):
        read_map_png(buffer.getvalue())


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_gives_a_map_or_a_value_error(position, value):
    data = bytearray(GOOD)
    data[position] = value
    try:
        label_map = read_map_png(bytes(data), size=64)
    except ValueError:
        return
    assert label_map.shape == (64, 64) and label_map.max() < NUM_CLASSES


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_any_bytes_behind_the_signature_give_a_value_error(tail):
    with pytest.raises(ValueError):
        read_map_png(b"\x89PNG\r\n\x1a\n" + tail)


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="no map at"):
        read_map_png(tmp_path / "none.png")
    with pytest.raises(ValueError, match="not a file"):
        read_map_png(tmp_path)


def test_a_file_that_is_too_large_is_not_decoded(monkeypatch):
    monkeypatch.setattr("retinagan.files.maps.MAX_BYTES", 100)
    with pytest.raises(ValueError, match="larger than"):
        read_map_png(GOOD)
    with pytest.raises(ValueError, match="larger than"):
        read_map_png(io.BytesIO(GOOD))


def test_a_wrong_size_is_named():
    with pytest.raises(ValueError, match="size is 0; allowed are 1-4096"):
        read_map_png(GOOD, size=0)


def test_photo_png_is_lossless_and_checked():
    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_photo_png(photo)))), photo)
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
        encode_photo_png(photo.astype(float))
