"""Provenance: survives the PNG, and refuses what a stranger may have put there."""

from __future__ import annotations

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from retinagan import __version__
from retinagan.eye.style import Style
from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.photos import encode_photo_png
from retinagan.files.provenance import KEYWORD, MAX_TEXT, Provenance, map_digest, read_png
from retinagan.maps.labels import VB, empty_map

HASH = "a" * 64


def provenance(**changes):
    values = {"kind": "photograph", "source": "sampled", "map_sha256": HASH, "grade": 3, "map_seed": 7}
    values |= {
        "truncation": 0.8,
        "style_seed": 1007,
        "model": "default",
        "checkpoints": {"maps": "b" * 64, "photos": "c" * 64},
    }
    return Provenance(**(values | changes))


def png(info, keyword_chunk=None):
    data = encode_photo_png(np.zeros((8, 8, 3), np.uint8), info)
    return data if keyword_chunk is None else data[:33] + keyword_chunk + data[33:]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_round_trip_through_a_photograph_and_a_map():
    written = provenance()
    assert read_png(png(written.chunks())) == written
    label_map = empty_map(64)
    of_map = provenance(kind="map", source="drawn", map_sha256=map_digest(label_map), style_seed=None)
    data = encode_map_png(label_map, of_map.chunks())
    assert read_png(data) == of_map
    assert map_digest(read_map_png(data, 64)) == of_map.map_sha256
    assert of_map.version == __version__ and of_map.synthetic is True


def test_other_programs_see_what_it_is():
    with Image.open(io.BytesIO(png(provenance().chunks()))) as picture:
        text = picture.text
    assert "not for diagnosis" in text["Description"] and "grade 3 (Severe NPDR)" in text["Description"]
    assert "style seed 1007" in text["Description"] and text["Software"] == f"RetinaGAN {__version__}"
    assert json.loads(text[KEYWORD])["map_seed"] == 7
    assert "map drawn" in provenance(source="drawn").describe()


def test_the_digest_is_that_of_the_classes():
    label_map = empty_map(64)
    other = label_map.copy()
    other[32, 32] = 2
    assert map_digest(label_map) == map_digest(np.asfortranarray(label_map)) != map_digest(other)
    assert map_digest(np.full((4, 9), VB, np.uint8)) != map_digest(np.full((6, 6), VB, np.uint8))


def test_a_png_without_provenance_has_none():
    assert read_png(png({})) is None
    assert read_png(png({"Comment": "retinagan"})) is None


def test_unknown_fields_of_a_later_version_are_passed_over():
    text = json.loads(provenance().to_json()) | {"reference": "x"}
    assert Provenance.from_json(json.dumps(text)) == provenance()


OLD = """{"checkpoints": {"maps": "HASH"}, "grade": 3, "kind": "photograph", "map_seed": 7, "map_sha256": "HASH",
"model": "default", "source": "sampled", "style_seed": 1007, "synthetic": true, "truncation": 0.8, "version":
"0.1.0"}"""


def test_what_older_versions_wrote_is_still_read():
    read = Provenance.from_json(OLD.replace("HASH", HASH))
    assert (read.style_seed, read.style_light, read.map_between, read.whole_eye) == (1007, None, None, False)
    assert read.style.is_seed and read.style.seed == 1007


def test_a_style_comes_back_from_the_file_as_it_was():
    of_map = provenance(kind="map", style_seed=None)
    assert of_map.style is None
    light = tuple(np.random.default_rng(0).normal(0, 1, 512).tolist())  # the longest latent
    style = Style(9, light=light, texture=(-5.1, -4.2), reference="d" * 64, between=(9, 2**63 - 1, 0.3))
    written = of_map.with_style(style)
    read = read_png(png(written.chunks()))
    assert read == written and read.kind == "photograph"
    back = read.style
    assert (back.seed, back.light, back.texture) == (9, style.light, style.texture)
    assert (back.reference, back.between) == (style.reference, style.between)
    assert of_map.with_style(5).style.is_seed and of_map.with_style(5).style_seed == 5


def test_a_whole_eyes_vessels_are_not_in_the_file():
    vessels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    written = provenance().with_style(Style(9, light=(0.5,), vessels=vessels, reference="d" * 64))
    read = read_png(png(written.chunks()))
    assert read.whole_eye and "vessels of a reference photograph (dddddddddddd…)" in read.describe()
    assert len(written.to_json()) < 2000
    with pytest.raises(ValueError, match="not in the file; encode that photograph again.*dddd"):
        _ = read.style


def test_a_map_between_two_says_so():
    between = provenance(map_between=[4, 11, 0.25])
    assert between.map_between == (4, 11, 0.25) and read_png(png(between.chunks())) == between
    assert "25% of the way to grade 4, map seed 11" in between.describe()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"map_between": [5, 1, 0.5]}, "map_between"),
        ({"map_between": [1, 1, 1.5]}, "map_between"),
        ({"map_between": [1, 1]}, "map_between"),
        ({"map_between": 3}, "map_between"),
        ({"map_between": [-1, 2, 0.5]}, "map_between"),
        ({"map_between": [1, "2", 0.5]}, "map_between"),
        ({"whole_eye": 1}, "whole_eye"),
        ({"style_light": [float("inf")]}, "light"),
        ({"style_light": "1234"}, "light"),
        ({"style_light": [10**400]}, "light"),
        ({"style_texture": [None]}, "texture"),
        ({"style_reference": "../x"}, "reference"),
        ({"style_between": [1, -2, 0.5]}, r"style_between\[1\] is -2"),
        ({"style_between": [1, "2", 0.5]}, r"style_between\[1\] is '2'"),
        ({"kind": "eye"}, "kind is 'eye'"),
        ({"source": ["drawn"]}, "source"),
        ({"grade": 5}, "grade is 5"),
        ({"grade": True}, "grade is True"),
        ({"map_seed": -1}, "map_seed is -1"),
        ({"style_seed": 2**63}, "style_seed"),
        ({"style_seed": "7"}, "style_seed"),
        ({"truncation": float("nan")}, "truncation is nan"),
        ({"truncation": 2}, "truncation"),
        ({"map_sha256": HASH.upper()}, "map_sha256"),
        ({"model": "x" * 201}, "model"),
        ({"checkpoints": {"maps": "../../secret"}}, "checkpoints"),
        ({"checkpoints": [HASH]}, "checkpoints"),
        ({"checkpoints": {"x" * 51: HASH}}, "checkpoints"),
        ({"checkpoints": {str(k): HASH for k in range(9)}}, "checkpoints"),
        ({"version": 3}, "version"),
        ({"synthetic": False}, "synthetic"),
        ({"synthetic": 1}, "synthetic"),
        ({"kind": None, "grade": 9}, "(?s)kind is None.*provenance: grade is 9"),
    ],
)
def test_values_outside_what_is_allowed_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Provenance.from_json(json.dumps(json.loads(provenance().to_json()) | change))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 50_000, "9" * 5_000, '{"kind": "map"}'])
def test_text_that_is_no_provenance(text):
    with pytest.raises(ValueError, match="provenance"):
        Provenance.from_json(text)


def test_damaged_and_hostile_files():
    good = png(provenance().chunks())
    for wrong in (b"", b"\xff\xd8\xff\xe0JPEG", good[:50], good[:8] + b"\xff" * 20, b"\x89PNG\r\n\x1a\n"):
        if wrong == b"\x89PNG\r\n\x1a\n":
            assert read_png(wrong) is None
            continue
        with pytest.raises(ValueError, match="PNG"):
            read_png(wrong)
    flipped = bytearray(good)
    flipped[good.index(b'"grade"') + 1] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        read_png(bytes(flipped))
    long = chunk(b"tEXt", KEYWORD.encode() + b"\0" + b"9" * (MAX_TEXT + 1))
    with pytest.raises(ValueError, match="at most"):
        read_png(png({}, long))
    compressed = PngImagePlugin.PngInfo()
    compressed.add_itxt(KEYWORD, "x" * 10_000_000, zip=True)
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG", pnginfo=compressed)
    with pytest.raises(ValueError, match="plain text"):
        read_png(buffer.getvalue())
    with pytest.raises(ValueError, match="UTF-8"):
        read_png(png({}, chunk(b"tEXt", KEYWORD.encode() + b"\0\xff\xfe")))


def test_an_older_plain_text_chunk_is_read_too():
    text = chunk(b"tEXt", KEYWORD.encode() + b"\0" + provenance().to_json().encode())
    assert read_png(png({}, text)) == provenance()
