"""What the app's pages are made of, without a page."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from retinagan import provenance
from retinagan.app import figure, palette, starts, studio, widgets
from retinagan.labels import CLASSES, HE, empty_map
from retinagan.maps_io import read_map_png
from tests.helpers import TINY_SIZE, tiny_model

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def test_the_palette_and_templates_as_files():
    lines = palette.gimp_palette().decode().splitlines()
    assert lines[0] == "GIMP Palette" and len([line for line in lines if "\t" in line]) == 7
    assert "  0 186 127\tHaemorrhage (HE)" in lines
    for disc in ("left", "right", None):
        png = palette.template_png(disc)
        assert np.array_equal(read_map_png(png, None), empty_map(512, disc))
        assert provenance.read_png(png).source == "template"


def test_the_figures_in_assets_are_those_that_the_code_draws():
    for name, made in (("pipeline.svg", figure.pipeline_svg()), ("logo.svg", figure.logo_svg())):
        assert (ROOT / "assets" / name).read_text("utf-8") == made + "\n", "run python -m retinagan.app.figure"


# --- parts ---


def test_starts_as_text():
    for sampled in (starts.Sampled(3, 7), starts.Sampled(0, 2**63 - 1, 0.85), starts.Sampled(4, 0, 0.0)):
        assert starts.parse(starts.sampled_text(sampled.grade, sampled.seed, sampled.truncation)) == sampled
    assert starts.describe("g3-s7-t0.5") == "Grade 3, seed 7, 0.5" and starts.describe("left") == "Empty eye, disc left"
    for wrong in ("", "g5-s1", "g3-s9223372036854775808", "g3-s7-t1.5", "g3-s-1", "left "):
        with pytest.raises(ValueError, match="start is"):
            starts.parse(wrong)


def test_messages_show_a_strangers_text_letter_by_letter():
    assert widgets.plain("a [link](http://x) <b>*b*</b>\n# c") == r"A \[link\]\(http\://x\) \<b\>\*b\*\</b\> \# c"
    assert len(widgets.plain("x" * 10_000)) == 600


def test_a_small_lesion_is_not_missed_by_the_cache(folder):
    models = studio.Models(str(folder), ())
    one = empty_map(TINY_SIZE)
    two = one.copy()
    two[40, 40] = HE
    assert not np.array_equal(models.photograph(one, 3).pixels, models.photograph(two, 3).pixels)
    assert np.array_equal(models.photograph(two, 3).pixels, models.pipeline.render(two[None], [3])[0])


def test_a_pair_as_zip_holds_what_made_it_and_repeats(folder):
    models = studio.Models(str(folder), ())
    sheet = studio.Sheet(models.sample(3, 7), "sampled", models, 3, 7, 1.0).with_photographs([7, 1007])
    content = sheet.pair_file()
    assert content == sheet.pair_file()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert set(files) == {
        "map-g3-s7.png",
        "photo-g3-s7-y7.png",
        "photo-g3-s7-y1007.png",
        "classes.csv",
        "provenance.json",
    }
    assert np.array_equal(read_map_png(files["map-g3-s7.png"], None), sheet.label_map)
    told = provenance.read_png(files["photo-g3-s7-y1007.png"])
    assert (told.grade, told.map_seed, told.style_seed) == (3, 7, 1007)
    assert told.map_sha256 == provenance.map_digest(sheet.label_map) and told.checkpoints == models.pipeline.hashes
    assert json.loads(files["provenance.json"])["photo-g3-s7-y1007.png"] == json.loads(told.to_json())


def test_the_overlay_colours_lesions_alone():
    label_map = empty_map(32)
    label_map[10:14, 16:20] = HE
    photo = np.full((32, 32, 3), 100, np.uint8)
    shown = studio.overlaid(photo, label_map, 1.0)
    assert (shown[label_map == HE] == CLASSES[HE].colour).all() and (shown[label_map != HE] == 100).all()
    assert tuple(studio.overlaid(photo, label_map, 0.5)[12, 18]) == (50, 143, 114)
    assert (photo == 100).all()
