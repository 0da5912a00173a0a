"""The same seed, the same bytes: alone, in batches, in any order; and exact maps."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import ndimage

import retinagan
from retinagan import sampling
from retinagan.checkpoints import CheckpointError
from retinagan.device import choose_device
from retinagan.maps import labels
from retinagan.maps.clean import clean_map
from retinagan.maps.parts import field_of_view
from retinagan.pipeline import RetinaGAN
from retinagan.seeds import check_seed
from tests.helpers import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return RetinaGAN.from_pretrained(tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_attributes(model):
    assert model.name == "tiny" and model.size == 64
    assert set(model.hashes) == {"maps", "photos"} and model.facts["maps"]["data"].startswith("none")


def test_same_seed_same_bytes_in_batches_of_one_and_five(model):
    seeds = [7, 0, 123456789, 2**63 - 1, 3]
    maps = model.sample_maps(3, seeds)
    photos = model.render(maps, seeds)
    assert maps.shape == (5, 64, 64) and maps.dtype == np.uint8
    assert photos.shape == (5, 64, 64, 3) and photos.dtype == np.uint8
    for i, seed in enumerate(seeds):
        assert np.array_equal(model.sample_maps(3, [seed])[0], maps[i])
        assert np.array_equal(model.render(maps[i : i + 1], [seed])[0], photos[i])
    assert len({m.tobytes() for m in maps}) == 5 and len({p.tobytes() for p in photos}) == 5


def test_the_global_seed_plays_no_part(model):
    torch.manual_seed(1)
    np.random.seed(1)
    first = model.render(model.sample_maps(2, [4]), [9])
    torch.manual_seed(2)
    np.random.seed(2)
    before = torch.get_rng_state()
    assert np.array_equal(first, model.render(model.sample_maps(2, [4]), [9]))
    assert torch.equal(before, torch.get_rng_state())


def test_grade_and_truncation_matter(model):
    by_grade = [model.sample_maps(g, [5])[0] for g in range(5)]
    assert len({m.tobytes() for m in by_grade}) == 5
    w_mean = model.map_generator.w_mean
    try:
        model.map_generator.estimate_w_mean(64)
        assert not np.array_equal(model.sample_maps(3, [5], truncation=0.2), model.sample_maps(3, [5]))
    finally:
        w_mean.zero_()


def test_maps_are_exact(model):
    field = field_of_view(64)
    for label_map in model.sample_maps(4, range(12)):
        labels.check_map(label_map)
        assert (label_map[~field] == labels.BG).all() and (label_map[field] != labels.BG).all()
        assert ndimage.label(label_map == labels.OD)[1] <= 1


def test_maps_can_be_had_before_clean_up(model, monkeypatch):
    monkeypatch.setattr(sampling, "TOWARDS_MEAN", (1.0,))
    raw = model.sample_maps(3, [0, 1], clean=False)
    assert all(np.array_equal(clean_map(r), m) for r, m in zip(raw, model.sample_maps(3, [0, 1]), strict=True))
    assert not np.array_equal(raw, model.sample_maps(3, [0, 1]))


def test_a_map_without_a_plausible_disc_is_drawn_nearer_to_the_mean(model, monkeypatch):
    good, asked = labels.empty_map(64, "left"), []
    monkeypatch.setattr(sampling.MapSampler, "style", lambda self, grade, seed, truncation: (truncation, seed))
    # Seed 1 has a disc below a truncation of 0.5, seed 2 has none at all.
    drawn = lambda self, w, noise: asked.append(w) or (good if w < 0.5 and noise == 1 else labels.empty_map(64, None))  # noqa: E731
    monkeypatch.setattr(sampling.MapSampler, "draw", drawn)
    assert np.array_equal(model.sample_maps(2, [1], truncation=0.8)[0], clean_map(good))
    assert asked == pytest.approx([0.8, 0.56, 0.32])
    assert (model.sample_maps(2, [2])[0] != labels.OD).all()
    assert len(asked) == 3 + len(sampling.TOWARDS_MEAN)
    model.sample_maps(2, [2], clean=False)
    assert len(asked) == 3 + len(sampling.TOWARDS_MEAN) + 1


def test_same_style_on_other_lesions_is_the_same_eye_elsewhere(model):
    healthy = labels.empty_map(64, "left")
    ill = healthy.copy()
    ill[40:44, 40:44] = labels.HE
    a, b = model.render(np.stack([healthy, ill]), [5, 5]).astype(int)
    near = ndimage.distance_transform_edt(ill == healthy) <= 20  # beyond the network's reach
    assert (a != b).any() and np.array_equal(a[~near], b[~near])


def test_background_is_black(model):
    photo = model.render(labels.empty_map(64)[None], [1])[0]
    assert (photo[~field_of_view(64)] == 0).all()


@pytest.mark.parametrize("seed", [-1, 2**63, -(2**70)])
def test_seeds_out_of_range(model, seed):
    for call in (lambda: model.sample_maps(1, [seed]), lambda: model.render(labels.empty_map(64)[None], [seed])):
        with pytest.raises(ValueError, match=f"seed is {seed}; allowed are integers from 0"):
            call()


def test_bad_arguments_are_named(model):
    empty = labels.empty_map(64)[None]
    with pytest.raises(ValueError, match="grade is 5; allowed are 0 .No apparent"):
        model.sample_maps(5, [0])
    with pytest.raises(TypeError, match="grade is '3'"):
        model.sample_maps("3", [0])
    with pytest.raises(TypeError, match="seed is 1.5"):
        check_seed(1.5)
    with pytest.raises(TypeError, match="seed is True"):
        check_seed(True)
    with pytest.raises(ValueError, match="truncation is 1.5; allowed are 0 to 1"):
        model.sample_maps(1, [0], truncation=1.5)
    with pytest.raises(ValueError, match=r"renders \(N, 64, 64\)"):
        model.render(labels.empty_map(32)[None], [0])
    with pytest.raises(ValueError, match="1 maps need 1 styles, got 2"):
        model.render(empty, [0, 1])
    wrong = empty.copy()
    wrong[0, 12, 40] = 9
    with pytest.raises(ValueError, match="map has class 9 at row 12, column 40; allowed are 0-6"):
        model.render(wrong, [0])
    with pytest.raises(TypeError, match="uint8 array of classes 0-6, got int64"):
        model.render(empty.astype(np.int64), [0])
    assert model.sample_maps(1, []).shape == (0, 64, 64) and model.render(empty[:0], []).shape == (0, 64, 64, 3)


@pytest.fixture
def noisy(model):
    """The same model, whose noise shows: it starts at none."""
    strengths = [p for name, p in model.map_generator.named_parameters() if "noise" in name]
    assert strengths
    for strength in strengths:
        strength.fill_(0.5)
    yield model
    for strength in strengths:
        strength.zero_()


def test_noise_goes_along_between_maps(noisy):
    ends = [noisy.sample_maps(1, [4])[0], noisy.sample_maps(4, [9])[0]]
    assert np.array_equal(noisy.maps_between(1, 4, 4, 9, [0, 1]), ends)


def test_maps_between_two_begin_and_end_with_them(model):
    ends = [model.sample_maps(1, [4])[0], model.sample_maps(4, [9])[0]]
    maps = model.maps_between(1, 4, 4, 9, [0, 0.25, 0.5, 1])
    assert maps.shape == (4, 64, 64) and maps.dtype == np.uint8
    assert np.array_equal(maps[0], ends[0]) and np.array_equal(maps[3], ends[1])
    assert not np.array_equal(maps[2], ends[0]) and not np.array_equal(maps[2], ends[1])
    assert np.array_equal(model.maps_between(1, 4, 4, 9, [0.5])[0], maps[2])
    field = field_of_view(64)
    assert all((m[~field] == labels.BG).all() and (m[field] != labels.BG).all() for m in maps)
    assert model.maps_between(1, 4, 4, 9, []).shape == (0, 64, 64)
    with pytest.raises(ValueError, match="position is -0.1; allowed are 0 to 1"):
        model.maps_between(1, 4, 4, 9, [-0.1])
    with pytest.raises(ValueError, match="grade is 7"):
        model.maps_between(1, 4, 7, 9, [0.5])


def test_maps_between_are_truncated_towards_the_mean_of_each_end(model):
    generator = model.map_generator
    try:
        generator.estimate_w_mean(64)
        maps = model.maps_between(0, 4, 3, 9, [0, 1], truncation=0.3)
        assert np.array_equal(maps[0], model.sample_maps(0, [4], 0.3)[0])
        assert np.array_equal(maps[1], model.sample_maps(3, [9], 0.3)[0])
    finally:
        generator.w_mean.zero_()


def test_loading_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model folder at"):
        RetinaGAN.from_pretrained(tmp_path / "nothing")
    folder = tiny_model(tmp_path / "swapped")
    (folder / "maps.safetensors").write_bytes((folder / "photos.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="expected 'maps'"):
        RetinaGAN.from_pretrained(folder)


def test_the_package_gives_the_pipeline_without_streamlit_or_torchvision():
    code = (
        "import sys, retinagan; assert 'torch' not in sys.modules; retinagan.RetinaGAN; "
        "print(sorted({'streamlit', 'torchvision'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'Retina'"):
        _ = retinagan.Retina


def test_devices():
    assert choose_device("cpu").type == "cpu" and choose_device("auto").type in ("cpu", "cuda")
    for bad in ("tpu", "mps", "nonsense!"):
        with pytest.raises(ValueError, match="allowed are 'auto', 'cpu', 'cuda'"):
            choose_device(bad)
