"""Styles: parts replace the seed's own, references give their colour and vessels, and nothing else changes."""

import dataclasses

import numpy as np
import pytest
import torch

from retinagan.eye.grown import draw_eye, draw_macula
from retinagan.eye.light import darken_fovea, light_field, light_shift
from retinagan.eye.measured import MAX_LIGHT
from retinagan.eye.planes import PLANES
from retinagan.eye.ridges import vesselness
from retinagan.eye.style import MAX_CODE, Style, as_style, place_vessels
from retinagan.eye.texture import vessel_gain
from retinagan.eye.tone import vessel_tone
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import BG, HE, OD, VB, empty_map
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.pipeline import RetinaGAN
from tests.helpers import tiny_map_generator
from tests.reference_eyes import BLUE_RED, RED, eye_model, reference_eye


@pytest.fixture(scope="module")
def model():
    return eye_model()


@pytest.fixture(scope="module")
def no_eye():
    config = PhotoGeneratorConfig(
        size=64, channels=(8, 8), spade_hidden=(4, 4), latent_dim=6, guidance="none", output="sigmoid", stem="latent"
    )
    torch.manual_seed(0)
    return RetinaGAN(tiny_map_generator(), PhotoGenerator(config), name="plain")


def mean_colour(photo, label_map):
    return photo[label_map == VB].mean(0)


# --- the dataclass --------------------------------------------------------------------------------------------------


def test_a_seed_and_its_style_render_the_same_bytes(model):
    maps = np.stack([empty_map(64), empty_map(64, "right")])
    assert np.array_equal(model.render(maps, [7, 8]), model.render(maps, [Style(7), Style(8)]))
    assert as_style(np.int64(5)).seed == 5 and as_style(5).is_seed and not as_style(5).whole_eye


def test_numbers_are_kept_as_float32_holds_them():
    style = Style(1, light=np.array([0.1, -2.0]), texture=[0.3])
    assert style.light == (float(np.float32(0.1)), -2.0) and style.texture == (float(np.float32(0.3)),)
    assert Style(1, light=style.light).light == style.light


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": "7"}, TypeError, "seed is '7'"),
        ({"light": ()}, ValueError, "light is .*1 to 512 finite numbers"),
        ({"light": [float("nan")]}, ValueError, "light"),
        ({"light": [10**400]}, ValueError, "light"),
        ({"light": ["1.0"]}, ValueError, "light"),
        ({"light": [True]}, ValueError, "light"),
        ({"light": 3.0}, ValueError, "light"),
        ({"light": [0.0] * (MAX_CODE + 1)}, ValueError, "light"),
        ({"texture": [[1.0]]}, ValueError, "texture"),
        ({"vessels": np.zeros((4, 5), np.uint8)}, ValueError, r"vessels are .*\(4, 5\)"),
        ({"vessels": np.zeros((4, 4))}, ValueError, "vessels are .*float64"),
        ({"fovea": (1.0, 2.0)}, ValueError, "fovea is given without vessels"),
        ({"vessels": np.zeros((4, 4), np.uint8), "disc": (1.0, 2.0)}, ValueError, "disc is .*allowed are 3"),
        ({"tone": np.zeros((4, 4), np.int8)}, ValueError, "tone is no int8 plane of the vessels' shape"),
        ({"vessels": np.zeros((4, 4), np.uint8), "tone": np.zeros((4, 5), np.int8)}, ValueError, "tone"),
        ({"vessels": np.zeros((4, 4), np.uint8), "tone": np.zeros((4, 4), np.uint8)}, ValueError, "tone"),
        ({"reference": "a" * 63}, ValueError, "reference"),
        ({"between": (1, 2)}, ValueError, "between"),
        ({"between": (1, 2, 1.5)}, ValueError, "position is 1.5"),
    ],
)
def test_wrong_parts_are_named(values, error, message):
    with pytest.raises(error, match=message):
        Style(**({"seed": 0} | values))


def test_parts_of_another_model_are_refused(model, no_eye):
    empty = empty_map(64)[None]
    with pytest.raises(ValueError, match="light has 3 numbers; the model tiny takes 4"):
        model.render(empty, [Style(0, light=(0.0, 0.0, 0.0))])
    with pytest.raises(ValueError, match="texture has 1 numbers; the model tiny takes 6"):
        model.render(empty, [Style(0, texture=(0.0,))])
    with pytest.raises(ValueError, match="plain has no eye.*no texture and no vessels"):
        no_eye.render(empty, [Style(0, vessels=np.zeros((64, 64), np.uint8))])


# --- references -----------------------------------------------------------------------------------------------------


def test_a_reference_gives_its_colour_and_the_seed_the_rest(model):
    own, corrections = empty_map(64), model.photo_generator.config.corrections
    for colour in (RED, BLUE_RED):
        photo, label_map = reference_eye(colour=colour)
        style = model.encode_style(photo, label_map, seed=5)
        assert style.seed == 5 and style.vessels is None and len(style.reference) == 64
        shown = model.photo_generator.eye
        light = shown.light_mean + torch.einsum("k,kcyx->cyx", torch.tensor(style.light), shown.light_components)
        assert np.abs(light.mean((1, 2)).numpy() * 255 - colour).max() < 12
        near, far = (mean_colour(model.render(own[None], [s])[0], own) for s in (style, 5))
        assert np.abs(near - colour).mean() < np.abs(far - colour).mean()
        # Vessels and fovea stay the seed's; how clear the vessels are goes with the texture.
        planes, seeds = (model._eye(own, as_style(s)).planes for s in (style, 5))
        anatomy = find_anatomy(own)
        field = light_field(
            torch.tensor(style.light), shown.light_mean, shown.light_components, 64, anatomy.side, light_shift(anatomy)
        )
        macula = draw_macula((anatomy.fovea_x, anatomy.fovea_y), anatomy.disc_radius, 64, corrections)
        assert planes.light == pytest.approx(darken_fovea(field.numpy(), macula), abs=1e-5)
        assert not np.array_equal(planes.light, seeds.light)
        vessels, own_vessels = (
            p.vessels / vessel_gain(t) ** corrections.grown_clearness
            for p, t in ((planes, style.texture), (seeds, draw_eye(5, shown).texture))
        )
        assert np.allclose(vessels, own_vessels, atol=1e-6)


def test_the_light_of_a_right_eye_is_mirrored_onto_a_left_one(model):
    photo, label_map = reference_eye()
    shade = np.linspace(1.0, 0.6, 256)[None, :, None]
    left = (photo * shade).astype(np.uint8)
    style = model.encode_style(left, label_map)
    mirrored = model.encode_style(left[:, ::-1].copy(), label_map[:, ::-1].copy())
    assert np.allclose(style.light, mirrored.light, atol=0.15) and abs(style.light[3]) > 0.3
    guess = model.encode_style(left)
    assert np.allclose(style.light, guess.light, atol=0.3)


def test_a_photograph_unlike_any_is_clipped(model):
    photo, label_map = reference_eye(colour=(20, 250, 20))
    light = np.array(model.encode_style(photo, label_map).light)
    assert np.abs(light).max() == MAX_LIGHT


def test_a_whole_eye_keeps_its_vessels_under_other_lesions(model):
    photo, label_map = reference_eye(64, tree=3)
    style = model.encode_style(photo, label_map, whole_eye=True)
    own = vesselness(photo, label_map)
    ill = label_map.copy()
    ill[40:46, 40:46] = HE
    whole, same = (model._eye(m, style).planes.vessels for m in (label_map, ill))
    gain = vessel_gain(style.texture)
    assert np.array_equal(whole, same) and np.abs(whole / gain - own).max() <= 0.5 / 255 + 1e-6
    tone = model._eye(label_map, style).planes.tone
    assert np.abs(tone / gain - vessel_tone(photo, own, label_map)).max() <= 0.5 / 127 + 1e-6 and tone.any()
    _, _, retina = model.inputs(ill, style)
    shown = model.with_gaps(retina, ill == HE)[0, PLANES.index("vessels")].numpy()
    assert whole[40:46, 40:46].any() and (shown[40:46, 40:46] == 0).all()
    assert np.array_equal(shown[ill != HE], whole[ill != HE])
    grown = dataclasses.replace(style, vessels=None, tone=None, fovea=None, disc=None)
    assert not np.array_equal(*model.render(np.stack([label_map] * 2), [style, grown]))
    same = style.own_map(64)
    assert (same != label_map).mean() < 0.01 and (same == OD).any()


def test_vessels_go_with_the_disc_of_the_map():
    plane = np.zeros((64, 64), np.uint8)
    plane[20, 10:30] = 255
    tone = np.where(plane > 0, -127, 0).astype(np.int8)
    style = Style(0, vessels=plane, tone=tone, fovea=(40.0, 33.0), disc=(14.0, 31.0, 6.0))

    def placed(label_map):
        parts = place_vessels(style, find_anatomy(label_map))
        assert np.allclose(parts["tone"], -parts["vessels"])
        return parts["vessels"], parts["fovea"]

    own = style.own_map(64)
    vessels, fovea = placed(own)
    assert np.array_equal(vessels * 255, plane) and fovea == (40.0, 33.0)
    moved = np.roll(own, (3, 2), axis=(0, 1))
    vessels, fovea = placed(moved)
    assert np.array_equal(vessels[23, 12:32], np.ones(20)) and vessels.sum() == 20 and fovea == (42.0, 36.0)
    vessels, fovea = placed(own[:, ::-1].copy())
    assert np.array_equal(vessels[20], plane[20, ::-1] / 255) and fovea == (24.0, 33.0)
    vessels, _ = placed(np.where(moved == OD, VB, moved).astype(np.uint8))
    assert np.array_equal(vessels * 255, plane)
    larger, fovea = placed(style.own_map(128))
    assert larger.shape == (128, 128) and fovea == (80.0, 66.0) and larger[40:42, 24:56].min() > 0.5
    assert place_vessels(dataclasses.replace(style, tone=None), find_anatomy(own))["tone"] is None
    with pytest.raises(ValueError, match="no disc of its own"):
        Style(1).own_map(64)


def test_references_and_seeds_in_one_batch_are_each_as_alone(model):
    photo, label_map = reference_eye(64)
    whole = model.encode_style(photo, label_map, whole_eye=True)
    ill = empty_map(64, "right")
    ill[20:24, 20:24] = HE
    maps, styles = np.stack([empty_map(64), ill, ill]), [3, whole, model.style_between(3, whole, 0.4)]
    photos = model.render(maps, styles)
    for i in range(3):
        assert np.array_equal(model.render(maps[i : i + 1], styles[i : i + 1])[0], photos[i])
        assert (photos[i][maps[i] == BG] == 0).all()


def test_the_same_photograph_gives_the_same_style(model):
    photo, _ = reference_eye()
    a, b = model.encode_style(photo, whole_eye=True), model.encode_style(photo, whole_eye=True)
    assert a.light == b.light and a.texture == b.texture and np.array_equal(a.vessels, b.vessels)


def test_whole_eyes_need_more_pixels_than_lights():
    model = eye_model()
    model.size = 512
    photo, _ = reference_eye(200)
    assert model.encode_style(photo).light
    with pytest.raises(ValueError, match="200 pixels wide; at least 256"):
        model.encode_style(photo, whole_eye=True)


# --- between --------------------------------------------------------------------------------------------------------


def test_between_two_styles(model):
    empty = empty_map(64)[None]
    photo, label_map = reference_eye(64, colour=BLUE_RED)
    reference = model.encode_style(photo, label_map, whole_eye=True)
    for a, b in ((3, 9), (3, reference), (reference, 3)):
        assert np.array_equal(model.render(empty, [model.style_between(a, b, 0)]), model.render(empty, [a]))
        first, middle, last = (np.array(model.style_between(a, b, t).light) for t in (0, 0.5, 1))
        assert np.allclose(middle, (first + last) / 2, atol=1e-6) and not np.allclose(first, last)
    assert np.allclose(model.style_between(3, 9, 1).light, draw_eye(9, model.photo_generator.eye).light, atol=1e-6)
    planes = [model._eye(empty[0], as_style(s)).planes for s in (3, model.style_between(3, 9, 0.7))]
    assert np.array_equal(planes[0].vessels > 0, planes[1].vessels > 0)
    assert model.style_between(3, 9, 0.25).between == (3, 9, 0.25)
    assert model.style_between(3, reference, 0.5).reference == reference.reference
    assert not model.style_between(3, reference, 0.5).whole_eye and model.style_between(reference, 3, 0.5).whole_eye
    with pytest.raises(ValueError, match="position is 1.5; allowed are 0 to 1"):
        model.style_between(1, 2, 1.5)
    with pytest.raises(TypeError, match="seed is 'x'"):
        model.style_between("x", 2, 0.5)


def test_a_model_without_an_eye_goes_between_latents_and_says_what_it_cannot(no_eye):
    empty = empty_map(64)[None]
    ends = no_eye.render(np.repeat(empty, 2, 0), [3, 9])
    between = [no_eye.style_between(3, 9, t) for t in (0, 0.5, 1)]
    shown = no_eye.render(np.repeat(empty, 3, 0), between)
    assert np.array_equal(shown[0], ends[0]) and np.array_equal(shown[2], ends[1])
    assert not np.array_equal(shown[1], ends[0]) and not np.array_equal(shown[1], ends[1])
    with pytest.raises(ValueError, match="plain has no eye.*use style seeds, or style_between"):
        no_eye.encode_style(reference_eye()[0])
