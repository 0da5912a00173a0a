"""Reference photographs: the disc, the fovea and the light are found where they were drawn; hostile pictures are
refused."""

import numpy as np
import pytest
from PIL import Image

from retinagan.eye.landmarks import find_disc, find_fovea
from retinagan.eye.measured import MeasuredEye, photo_digest, read_reference
from retinagan.eye.ridges import vesselness
from retinagan.eye.texture import vessel_gain
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import EX, HE, OD, VB, empty_map
from retinagan.maps.parts import field_of_view
from tests.reference_eyes import BLUE_RED, RED, reference_eye


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", [256, 200])
def test_disc_and_fovea_are_found_where_they_were_drawn(side, size):
    photo, label_map = reference_eye(size, side)
    anatomy = find_anatomy(label_map)
    x, y, radius = find_disc(photo, vesselness(photo))
    assert np.hypot(x - anatomy.disc_x, y - anatomy.disc_y) < 0.25 * anatomy.disc_radius
    assert abs(radius - anatomy.disc_radius) < 0.15 * anatomy.disc_radius
    fovea = find_fovea(photo, (anatomy.fovea_x + 0.7 * radius, anatomy.fovea_y), radius)
    assert np.hypot(fovea[0] - anatomy.fovea_x, fovea[1] - anatomy.fovea_y) < 0.5 * radius


def test_a_bright_patch_without_vessels_is_no_disc():
    photo, label_map = reference_eye()
    rows, columns = np.ogrid[:256, :256]
    photo[(columns - 175) ** 2 + (rows - 95) ** 2 < 22**2] = (255, 230, 170)  # brighter than the disc
    anatomy = find_anatomy(label_map)
    x, y, _ = find_disc(photo, vesselness(photo))
    assert np.hypot(x - anatomy.disc_x, y - anatomy.disc_y) < 0.5 * anatomy.disc_radius


def test_light_is_the_retinas_without_its_fovea():
    photo, label_map = reference_eye(side="right", colour=RED)
    given, found = read_reference(photo, 128, label_map), read_reference(photo, 128)
    assert given.light.shape == (3, 32, 32) and given.texture.shape == (6,)
    for reference in (given, found):
        assert np.abs(reference.light[:, 16, 8:12].mean(1) * 255 - RED).max() < 8
        x, y = reference.fovea
        light = reference.light[1, int(y) // 4, 31 - int(x) // 4]  # mirrored: its disc is at the right
        assert reference.photo[int(y), int(x), 1] / 255 < light - 0.05 and light > reference.light[1, 17, 12] - 0.04
    assert np.abs(given.light - found.light).mean() < 0.01


def test_marked_lesions_leave_the_light_alone():
    photo, label_map = reference_eye()
    ill, ill_map = photo.copy(), label_map.copy()
    ill[150:170, 120:150], ill_map[150:170, 120:150] = (250, 240, 120), EX
    ill[60:80, 140:160], ill_map[60:80, 140:160] = (60, 20, 20), HE
    healthy = read_reference(photo, 128, label_map).light
    marked = read_reference(ill, 128, ill_map).light
    assert np.abs(marked - healthy).max() < 0.05 and np.abs(marked - healthy).mean() < 0.003
    # The same spots, with a map that says they are retina, do show.
    assert np.abs(read_reference(ill, 128, label_map).light - healthy).max() > 0.1


def test_no_vessels_where_the_map_has_lesions():
    photo, label_map = reference_eye()
    tree = vesselness(photo, label_map) > 0.5
    row, column = np.argwhere(tree & (np.arange(256) > 100)[:, None] & (np.arange(256) > 120))[0]
    ill = label_map.copy()
    ill[row - 4 : row + 5, column - 4 : column + 5] = HE
    window = (slice(row - 3, row + 4), slice(column - 3, column + 4))
    free, hidden = (read_reference(photo, 256, m).vessels[window] for m in (label_map, ill))
    assert free.max() > 0.5 and hidden.max() == 0


def test_a_photograph_of_any_size_with_a_margin():
    photo, _ = reference_eye(colour=BLUE_RED)
    wide = np.zeros((300, 420, 3), dtype=np.uint8)
    wide[22:278, 82:338] = photo
    larger = np.asarray(Image.fromarray(wide).resize((840, 600), Image.Resampling.BICUBIC))
    a, b = read_reference(photo, 128), read_reference(larger, 128)
    assert np.abs(a.light - b.light).mean() < 0.01
    assert np.hypot(a.anatomy.disc_x - b.anatomy.disc_x, a.anatomy.disc_y - b.anatomy.disc_y) < 4


def test_a_training_photograph_is_measured_as_a_reference_is():
    photo, label_map = reference_eye(128)
    reference = read_reference(photo, 128, label_map)
    assert np.array_equal(reference.photo, photo) and np.array_equal(reference.label_map, label_map)
    kept = (reference.vessels * 255).round().astype(np.uint8)  # as data sets keep them
    eye = MeasuredEye.of(photo, label_map, kept, reference.fovea)
    assert eye.light == pytest.approx(reference.light, abs=1e-3)
    assert eye.texture == pytest.approx(reference.texture, abs=1e-2)
    expected = find_anatomy(label_map)
    assert MeasuredEye.of(photo, label_map, kept).fovea == (expected.fovea_x, expected.fovea_y)
    components = np.zeros((2, 3, 32, 32), dtype=np.float32)
    planes, made = eye.planes(
        np.zeros(2, dtype=np.float32), eye.light, components, np.zeros_like(photo[..., 0], float), -2.0
    )
    assert not made.any()  # noise of nothing
    assert planes.vessels == pytest.approx(kept / 255 * vessel_gain(eye.texture), abs=1e-6)
    assert np.abs(planes.light - photo.transpose(2, 0, 1) / 255)[:, eye.clear].mean() < 0.02


def test_a_digest_is_the_pixels_alone():
    photo, _ = reference_eye(64)
    assert photo_digest(photo) == photo_digest(np.asfortranarray(photo)) != photo_digest(photo[:, ::-1])


def hostile():
    photo, label_map = reference_eye()
    field = field_of_view(256)
    grey = np.where(field[..., None], 120, 0).astype(np.uint8).repeat(3, axis=2)
    no_disc = np.where(label_map == OD, VB, label_map).astype(np.uint8)
    tiny = np.asarray(Image.fromarray(photo).resize((40, 40)))
    small = np.zeros((90, 90, 3), dtype=np.uint8)
    small[15:75, 15:75] = np.asarray(Image.fromarray(photo).resize((60, 60)))
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    return [
        (photo.astype(np.float32) / 255, None, TypeError, "uint8 array .H, W, 3. of RGB, got float32"),
        ("photo.png", None, TypeError, "got str"),
        (photo[..., 0], None, ValueError, "convert it to RGB"),
        (np.concatenate([photo, photo[..., :1]], axis=2), None, ValueError, r"got \(256, 256, 4\)"),
        (photo[:0], None, ValueError, "256 × 0 pixels"),
        (tiny, None, ValueError, "40 × 40 pixels; both sides need 64"),
        (small, None, ValueError, "pixels wide; at least 64"),
        (np.zeros((256, 256, 3), dtype=np.uint8), None, ValueError, "evenly dark or bright"),
        (np.full((256, 256, 3), 255, dtype=np.uint8), None, ValueError, "no field of view"),
        (noise, None, ValueError, "no field of view"),
        (grey, None, ValueError, "no optic disc found.*give a map"),
        (photo, label_map[:200], ValueError, r"map has shape \(200, 256\)"),
        (photo, label_map.astype(np.int64), TypeError, "uint8"),
        (photo, no_disc, ValueError, "no optic disc.*class 5"),
        (np.broadcast_to(np.uint8(0), (8000, 8000, 3)), None, ValueError, "at most 50,000,000"),
    ]


@pytest.mark.parametrize(("photo", "label_map", "error", "message"), hostile())
def test_hostile_pictures_are_refused_in_words(photo, label_map, error, message):
    with pytest.raises(error, match=message):
        read_reference(photo, 128, label_map)


def test_too_few_pixels_for_vessels():
    photo, _ = reference_eye(200)
    with pytest.raises(ValueError, match="at least 256 are needed"):
        read_reference(photo, 128, least_side=256)
    assert empty_map(64).shape == read_reference(photo, 64).label_map.shape
