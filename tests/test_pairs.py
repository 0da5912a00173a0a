"""Pairs: names, what made them, files; and what the command line writes comes back in the app."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest

from retinagan.cli import main
from retinagan.eye.style import Style
from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.photos import read_carried_map, read_photo
from retinagan.files.provenance import map_digest, read_png
from retinagan.maps.labels import HE, empty_map
from retinagan.pairs import Pair, style_digest, zip_pairs
from retinagan.pipeline import RetinaGAN
from tests.app_pages import errors, on
from tests.helpers import TINY_SIZE


@pytest.fixture(scope="module")
def model(folder):
    return RetinaGAN.from_pretrained(folder, device="cpu")


def drawn_map():
    label_map = empty_map(TINY_SIZE, "right")
    label_map[20:30, 20:30] = HE
    return label_map


def test_a_pair_as_zip_holds_what_made_it_and_repeats(model):
    pair = Pair.sample(model, 3, 7).rendered(model, [7, 1007])
    content = zip_pairs([pair])
    assert content == zip_pairs([pair])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert list(files) == [
        "map-g3-s7.png",
        "photo-g3-s7-y7.png",
        "photo-g3-s7-y1007.png",
        "classes.csv",
        "provenance.json",
    ]
    assert np.array_equal(read_map_png(files["map-g3-s7.png"], None), pair.label_map)
    told = read_png(files["photo-g3-s7-y1007.png"])
    assert (told.grade, told.map_seed, told.style_seed) == (3, 7, 1007)
    assert told.map_sha256 == map_digest(pair.label_map) and told.checkpoints == model.hashes
    assert json.loads(files["provenance.json"])["photo-g3-s7-y1007.png"] == json.loads(told.to_json())
    assert files["classes.csv"].decode().splitlines()[:2] == [
        "index,short,name,red,green,blue",
        "0,BG,Background,0,0,0",
    ]


def test_names_say_what_made_a_map(model):
    label_map = drawn_map()
    digest = map_digest(label_map)[:8]
    assert Pair.of(model, label_map, "drawn").name("pair") == f"pair-drawn-{digest}"
    between = Pair.of(model, label_map, "sampled", grade=3, map_seed=7, map_between=(1, 2, 0.25))
    assert between.map_name == "map-g3-s7-to-g1-s2-p0.250.png"
    grown = Pair.of(model, label_map, "progression", grade=4, map_seed=5).rendered(model, [6])
    assert grown.photo_name(grown.photographs[0]) == "progression-photo-g4-s5-y6.png"
    light = Style(6, light=(0.5,) * 4)
    lit = grown.rendered(model, [light])
    assert lit.photo_name(lit.photographs[0]) == f"progression-photo-g4-s5-y6-{style_digest(light)[:8]}.png"


def test_a_styles_digest_holds_all_of_it():
    vessels, tone = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.int8)
    full = Style(
        3, light=(0.5,), texture=(0.5,), vessels=vessels, tone=tone, fovea=(1, 2), disc=(3, 4, 5), reference="a" * 64,
        between=(1, 2, 0.5),
    )  # fmt: skip
    changes = {
        "seed": 4, "light": (0.6,), "texture": None, "vessels": vessels + 1, "tone": tone + 1, "fovea": (1, 3),
        "disc": None, "reference": None, "between": None,
    }  # fmt: skip
    assert set(changes) == {field.name for field in dataclasses.fields(Style)}
    assert style_digest(dataclasses.replace(full)) == style_digest(full)
    digests = {style_digest(dataclasses.replace(full, **{name: value})) for name, value in changes.items()}
    assert len(digests) == len(changes) and style_digest(full) not in digests


def test_a_maps_file_keeps_its_origin_only_if_it_is_about_this_map(model):
    pair = Pair.sample(model, 3, 7)
    back = Pair.read(model, pair.map_file())
    assert np.array_equal(back.label_map, pair.label_map) and back.origin == pair.origin
    changed = pair.label_map.copy()
    changed[30:34, 30:34] = HE
    retouched = Pair.read(model, encode_map_png(changed, pair.origin.chunks()))
    assert (retouched.origin.source, retouched.origin.grade) == ("uploaded", None)
    assert retouched.origin.map_sha256 == map_digest(changed)
    broken = Pair.read(model, encode_map_png(changed, {"retinagan": "{"}))
    assert broken.origin == retouched.origin


def test_a_photograph_of_the_command_line_brings_its_drawing_back_in_the_app(app, folder, tmp_path):
    """``render``, then the page Upload: the map is in the photograph, and Draw opens it."""
    label_map = drawn_map()
    (tmp_path / "mine.png").write_bytes(encode_map_png(label_map))
    options = ["--seeds", "9", "--model", str(folder), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["render", str(tmp_path / "mine.png"), *options]) == 0
    content = (tmp_path / "out" / "mine-y9.png").read_bytes()
    assert np.array_equal(read_carried_map(content), label_map)

    on(app, "upload")
    app.file_uploader[0].set_value(("mine-y9.png", content, "image/png"))
    app.run()
    assert errors(app) == [] and not app.warning
    assert "the photograph is the same" in app.success[0].value
    app.button(key="to_draw_restore").click().run()
    assert errors(app) == [] and np.array_equal(app.session_state["session"].drawing.map, label_map)
    assert app.session_state["style"] == 9


def test_sampled_photographs_of_command_line_and_app_are_the_same_files(model, folder, tmp_path):
    assert main(["sample", "--grade", "3", "--seeds", "7", "--photos", "2", "--model", str(folder), "--out",
                 str(tmp_path), "--quiet"]) == 0  # fmt: skip
    pair = Pair.sample(model, 3, 7).rendered(model, [7, 1007])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == pair.files()
    photograph = pair.photographs[1]
    assert np.array_equal(read_photo(pair.photo_file(photograph)), photograph.pixels)
