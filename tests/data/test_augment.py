"""Joint augmentation: photograph, map and vessels move together; chance comes from the given generator alone."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retinagan.data.augment import (
    AugmentConfig,
    augment,
    crop_window,
    draw_parameters,
    mirrored,
    relit,
    rotation,
    turned_crop,
    turned_photo,
)
from retinagan.maps.labels import BG, HE, MA, OD, PALETTE, VB, empty_map
from retinagan.maps.parts import field_of_view

SIZE = 96
STILL = AugmentConfig(
    rotation=0, mirror_x=False, mirror_y=False, scale=0, shift=0, brightness=0, contrast=0, saturation=0, hue=0
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def eye() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A map with lesions, a photo in the map's own colours, and vessels that are the lesions' places."""
    label_map = empty_map(SIZE)
    label_map[20:34, 50:70] = HE
    label_map[60:64, 30:34] = MA
    photo = torch.from_numpy(PALETTE[label_map]).permute(2, 0, 1)
    return photo, torch.from_numpy(label_map), torch.from_numpy((np.isin(label_map, (HE, MA)) * 255).astype(np.uint8))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_maps_stay_exact_and_the_field_the_circle(seed):
    photo, label_map, vessels = augment(*eye(), rng(seed))
    field = torch.from_numpy(field_of_view(SIZE))
    assert photo.shape == (3, SIZE, SIZE) and photo.dtype == label_map.dtype == vessels.dtype == torch.uint8
    assert type(photo) is type(label_map) is type(vessels) is torch.Tensor
    assert set(label_map.unique().tolist()) <= {BG, HE, MA, OD, VB} and {HE, OD, VB} <= set(label_map.unique().tolist())
    assert torch.equal(label_map == BG, ~field)
    assert not photo[:, ~field].any() and not vessels[~field].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_photo_map_and_vessels_move_together(seed):
    config = AugmentConfig(brightness=0, contrast=0, saturation=0, hue=0)
    photo, label_map, vessels = augment(*eye(), rng(seed), config)
    painted = torch.from_numpy(PALETTE[label_map.numpy()]).permute(2, 0, 1).int()
    off = (photo.int() - painted).abs().amax(dim=0) > 60
    assert off.float().mean() < 0.03  # bilinear against nearest differs at edges alone
    lesions = (label_map == HE) | (label_map == MA)
    assert ((vessels > 127) != lesions).float().mean() < 0.01


def test_nothing_changes_when_everything_is_off():
    photo, label_map, vessels = eye()
    still = augment(photo, label_map, vessels, rng(), STILL)
    inner = torch.from_numpy(np.hypot(*(np.mgrid[:SIZE, :SIZE] - SIZE / 2)) < SIZE / 2 - 3)
    assert torch.equal(still[0][:, inner], photo[:, inner])
    assert torch.equal(still[1], label_map) and torch.equal(still[2], vessels)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_the_moved_eye_covers_the_field(seed):
    photo, label_map, _ = eye()
    field = torch.from_numpy(field_of_view(SIZE))
    _, _, covered = augment(photo, label_map, (field * 255).to(torch.uint8), rng(seed), AugmentConfig(shift=0.1))
    inner = torch.from_numpy(np.hypot(*(np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2)) < SIZE / 2 - 1.5)
    assert (covered[inner] > 127).all()


@pytest.mark.parametrize("axis, option", [(-1, "mirror_x"), (-2, "mirror_y")])
def test_mirrors(axis, option):
    photo, label_map, vessels = eye()
    config = dataclasses.replace(STILL, **{option: True})
    seeds = {draw_parameters(config, rng(s))[1 if option == "mirror_x" else 2]: s for s in range(20)}
    field = torch.from_numpy(field_of_view(SIZE))
    assert torch.equal(augment(photo, label_map, vessels, rng(seeds[False]), config)[1], label_map)
    mirrored = augment(photo, label_map, vessels, rng(seeds[True]), config)
    inside = field & field.flip(axis)
    assert torch.equal(mirrored[1][inside], label_map.flip(axis)[inside])
    assert torch.equal(mirrored[2][inside], vessels.flip(axis)[inside])


def test_the_same_seed_gives_the_same_sample_and_the_global_one_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = augment(*eye(), rng(3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    for a, b in zip(first, augment(*eye(), rng(3)), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[0], augment(*eye(), rng(4))[0])


def test_colour_changes_the_photo_alone():
    photo, label_map, vessels = eye()
    config = dataclasses.replace(STILL, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05)
    changed = augment(photo, label_map, vessels, rng(1), config)
    assert torch.equal(changed[1], label_map) and torch.equal(changed[2], vessels)
    assert (changed[0].int() - photo.int()).abs().float().mean() > 3


def test_parameters_stay_in_range_and_switching_one_off_leaves_the_others():
    config = AugmentConfig()
    drawn = [draw_parameters(config, rng(s)) for s in range(400)]
    for name, low, high in [
        ("angle", -12, 12), ("scale", 1 / 1.06, 1.06), ("shift_x", -0.03, 0.03), ("shift_y", -0.03, 0.03),
        ("brightness", 0.88, 1.12), ("contrast", 0.88, 1.12), ("saturation", 0.88, 1.12), ("hue", -0.01, 0.01),
    ]:  # fmt: skip
        values = np.array([getattr(p, name) for p in drawn])
        assert low <= values.min() < low + 0.1 * (high - low) and high - 0.1 * (high - low) < values.max() <= high, name
    assert 0.4 < np.mean([p.mirror_x for p in drawn]) < 0.6
    assert 0.2 < np.mean([p.mirror_x and p.mirror_y for p in drawn]) < 0.3
    without = draw_parameters(AugmentConfig(rotation=0, mirror_x=False), rng(7))
    assert without == drawn[7]._replace(angle=0.0, mirror_x=False)


def test_float_photos():
    photo, label_map, vessels = eye()
    moved = augment(photo.float() / 255, label_map, vessels, rng(2))[0]
    reference = augment(photo, label_map, vessels, rng(2))[0]
    assert moved.dtype == torch.float32 and 0 <= moved.min() and moved.max() <= 1
    assert (moved * 255 - reference.float()).abs().mean() < 1.5


def test_wrong_shapes_and_ranges_are_named():
    photo, label_map, vessels = eye()
    with pytest.raises(ValueError, match=r"photo \(3, S, S\)"):
        augment(photo.permute(1, 2, 0), label_map, vessels, rng())
    with pytest.raises(ValueError, match="vessels have shape"):
        augment(photo, label_map, vessels[:50], rng())
    with pytest.raises(ValueError, match="rotation is 90; it must be at most 45"):
        AugmentConfig(rotation=90)


def test_half_of_the_crops_show_a_target_and_others_keep_from_the_rim():
    target = np.array([[10, 80]])
    windows = [crop_window(SIZE, 32, target, rng(seed), margin=20) for seed in range(300)]
    corners = np.array([(rows.start, columns.start) for rows, columns in windows])
    assert all(rows.stop - rows.start == columns.stop - columns.start == 32 for rows, columns in windows)
    assert corners.min() >= 0 and corners.max() <= SIZE - 32
    shown = ((corners <= target) & (target < corners + 32)).all(1)
    assert 0.4 < shown.mean() < 0.65
    assert corners[~shown].min() >= 20 and corners[~shown].max() <= SIZE - 32 - 20
    even = [crop_window(SIZE, 32, target, rng(seed), margin=20, step=2) for seed in range(300)]
    assert np.array_equal([(rows.start, columns.start) for rows, columns in even], corners // 2 * 2)
    nowhere = crop_window(SIZE, SIZE, target[:0], rng(), margin=20)
    assert nowhere == (slice(0, SIZE), slice(0, SIZE))


def test_planes_of_a_crop_are_mirrored_alike():
    first = torch.arange(12.0).reshape(3, 4)
    turns = set()
    for seed in range(20):
        one, two = mirrored([first, first[None] + 1], rng(seed))
        assert torch.equal(two, one[None] + 1)
        turns.add(int(one[0, 0]))
    assert turns == {0, 3, 8, 11}


def test_turned_crops_show_photo_and_map_of_the_same_place():
    photo, label_map, _ = (plane.numpy() for plane in eye())
    photo = np.ascontiguousarray(photo.transpose(1, 2, 0))
    plain, classes = turned_crop(photo, label_map, np.array([47.5, 47.5]), np.eye(2), SIZE)
    assert np.array_equal(classes.numpy(), label_map)
    assert np.abs(plain.permute(1, 2, 0).numpy() * 255 - photo).max() < 0.01
    quarter, classes = turned_crop(photo, label_map, np.array([47.5, 47.5]), rotation(np.pi / 2), SIZE)
    assert np.array_equal(classes.numpy(), np.rot90(label_map, -1)) or np.array_equal(
        classes.numpy(), np.rot90(label_map)
    )
    small, classes = turned_crop(photo, label_map, np.array([27, 60]), rotation(0.3) @ np.diag([-1, 1]) / 1.1, 24)
    painted = torch.from_numpy(PALETTE[classes.numpy().astype(np.uint8)]).permute(2, 0, 1) / 255
    assert ((small - painted).abs().amax(0) > 0.25).float().mean() < 0.08 and (classes == HE).any()
    outside, classes = turned_crop(photo, label_map, np.array([-40.0, -40.0]), np.eye(2), 16)
    assert outside.abs().max() == 0 and (classes == BG).all()


def test_whole_photographs_are_turned_about_their_middle():
    photo = eye()[0].permute(1, 2, 0).numpy()
    still, quarter = turned_photo(photo, np.eye(2)), turned_photo(photo, rotation(np.pi / 2))
    exact = torch.from_numpy(photo).permute(2, 0, 1).float() / 255
    torch.testing.assert_close(still, exact, atol=1e-5, rtol=0)
    torch.testing.assert_close(quarter, exact.rot90(1, (1, 2)), atol=1e-4, rtol=0)
    assert (turned_photo(photo, np.eye(2) * 4)[:, :30] == 0).all()  # four times smaller, nothing made up around it


def test_relit_photographs_have_other_colours_in_the_same_field():
    photo = eye()[0].float() / 255
    photo = torch.where(torch.from_numpy(field_of_view(SIZE)), photo * 0.5 + 0.2, 0)
    one, again, other = (relit(photo, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.dtype == torch.float32 and one.min() >= 0 and one.max() <= 1
    assert torch.equal(one, again) and not torch.allclose(one, other, atol=0.01)
    assert (one[:, ~torch.from_numpy(field_of_view(SIZE))] == 0).all()
    assert (one - photo).abs().mean() > 0.01


def test_torchvision_stays_out_of_what_the_app_imports():
    code = (
        "import sys, retinagan, retinagan.files.maps, retinagan.pipeline, retinagan.cli; "
        "print('torchvision' in sys.modules, 'streamlit' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
