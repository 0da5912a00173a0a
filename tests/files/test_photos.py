"""Photographs from strangers, and photographs that carry their map."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from retinagan.files import photos as photos_io
from retinagan.files.photos import MAP_KEYWORD, encode_photo_png, map_chunk, read_carried_map, read_photo
from retinagan.maps.labels import HE, empty_map


@pytest.fixture
def photo():
    """Wider than high, each corner of another colour."""
    pixels = np.zeros((80, 120, 3), np.uint8)
    pixels[:40, :60], pixels[:40, 60:] = (200, 90, 40), (40, 160, 60)
    pixels[40:, :60], pixels[40:, 60:] = (30, 60, 190), (220, 200, 30)
    return pixels


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95})])
def test_three_formats(photo, kind, options):
    found = read_photo(encoded(Image.fromarray(photo), kind, **options))
    assert found.dtype == np.uint8 and found.shape == photo.shape
    assert np.abs(found[10, 10].astype(int) - photo[10, 10]).max() <= (0 if kind != "JPEG" else 6)


def test_the_cameras_orientation_is_applied(photo):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned: rotate clockwise to see it upright
    found = read_photo(encoded(Image.fromarray(photo), "PNG", exif=exif))
    assert np.array_equal(found, np.rot90(photo, -1))


def test_what_is_transparent_becomes_black(photo):
    alpha = np.full((80, 120), 255, np.uint8)
    alpha[:20] = 0
    found = read_photo(encoded(Image.fromarray(np.dstack([photo, alpha])), "PNG"))
    assert not found[:20].any() and np.array_equal(found[20:], photo[20:])


def test_cmyk_and_palettes_are_read(photo):
    assert read_photo(encoded(Image.fromarray(photo).convert("CMYK"), "JPEG")).shape == (80, 120, 3)
    found = read_photo(encoded(Image.fromarray(photo).quantize(16), "PNG"))
    assert np.abs(found[10, 10].astype(int) - photo[10, 10]).max() < 12


def test_a_bomb_is_refused_by_its_header(monkeypatch):
    content = encoded(Image.new("1", (8000, 7000)), "PNG")
    assert len(content) < 50_000
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match="8000 × 7000 pixels; at most 50 million"):
        read_photo(content)


def test_bad_files_are_explained(photo, monkeypatch):
    grey = Image.fromarray(photo).convert("L")
    whole = encoded(Image.fromarray(photo), "JPEG")
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    cases = {
        "no photograph that is read here": [b"", b"hello", encoded(Image.fromarray(photo), "GIF")],
        "damaged": [encoded(Image.fromarray(noise), "PNG")[:3000], whole[: len(whole) // 2]],
        "greyscale": [encoded(grey, "PNG"), encoded(grey.convert("I;16"), "PNG"), encoded(grey, "JPEG")],
        "holds no colours": [encoded(grey.convert("RGB"), "PNG")],
        "at least 64": [encoded(Image.fromarray(photo[:50]), "PNG")],
    }
    for message, contents in cases.items():
        for content in contents:
            with pytest.raises(ValueError, match=message):
                read_photo(content)
    monkeypatch.setattr(photos_io, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="larger than"):
        read_photo(whole)


def test_a_photograph_carries_its_map(photo):
    label_map = empty_map(96, "right")
    label_map[30:40, 20:30] = HE
    content = encode_photo_png(photo, {"Description": "synthetic"} | map_chunk(label_map))
    assert np.array_equal(read_carried_map(content), label_map)
    assert np.array_equal(read_photo(content), photo)
    assert read_carried_map(encode_photo_png(photo)) is None


def test_what_is_no_map_in_a_photograph_is_refused(photo):
    for text, message in (("!", "no base64"), ("aGVsbG8=", "not a PNG"), ("A" * 1_000_001, "letters")):
        with pytest.raises(ValueError, match=message):
            read_carried_map(encode_photo_png(photo, {MAP_KEYWORD: text}))
    with pytest.raises(ValueError, match="damaged"):
        read_carried_map(b"hello")
