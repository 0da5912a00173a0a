"""The last stage: its photograph is the smaller one with detail, it trains, and its absence is told."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset
from retinagan.eye.style import Style
from retinagan.maps.labels import BG, EX, HE, MA, VB, empty_map, one_hot
from retinagan.maps.parts import field_of_view
from retinagan.models import superres
from retinagan.models.superres import DetailDiscriminator, DetailDiscriminatorConfig, SuperResolver, SuperResolverConfig
from retinagan.pipeline import RetinaGAN
from retinagan.training.superres import SuperresTask, SuperresTraining, _halved
from tests.helpers import tiny_model
from tests.reference_eyes import eye_model, reference_eye

TINY = dict(size=128, channels=8, blocks=2, fine_channels=4)


def tiny_resolver(seed=0, **changes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SuperResolver(SuperResolverConfig(**(TINY | changes))).eval()


def inputs(height=24, width=40, seed=0):
    rng = torch.Generator().manual_seed(seed)
    photo = 0.3 + 0.4 * torch.rand(2, 3, height, width, generator=rng)
    maps = torch.full((2, height, width), VB, dtype=torch.uint8)
    vessels = torch.rand(2, 1, 2 * height, 2 * width, generator=rng)
    noise = torch.randn(2, 1, 2 * height, 2 * width, generator=rng)
    return photo, one_hot(maps.numpy()), vessels, noise


# --- the network ----------------------------------------------------------------------------------------------------


def test_averaged_down_it_is_the_photograph_that_went_in():
    photo, onehot, vessels, noise = inputs()
    network = tiny_resolver(detail=0.02)
    large = network(photo, onehot, vessels, noise)
    assert large.shape == (2, 3, 48, 80)
    assert torch.allclose(F.avg_pool2d(large, 2), photo, atol=1e-5)
    # It is no interpolation: noise and vessels reach it.
    for other in ((photo, onehot, 1 - vessels, noise), (photo, onehot, vessels, -noise)):
        assert (network(*other) - large).abs().mean() > 1e-4


def test_crops_and_whole_pictures_agree():
    photo, onehot, vessels, noise = inputs(48, 48)
    network = tiny_resolver()
    whole = network(photo, onehot, vessels, noise)
    part = network(photo[..., :32], onehot[..., :32], vessels[..., :64], noise[..., :64])
    assert torch.allclose(whole[..., :40], part[..., :40], atol=1e-5)
    assert torch.allclose(network(*(t[:1] for t in (photo, onehot, vessels, noise))), whole[:1], atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 60), st.integers(1, 24), st.integers(1, 400))
def test_strips_are_the_whole_picture(height, width, strip):
    """On a CPU a picture is enlarged in strips of rows; none shows where they meet."""
    planes = inputs(height, width)
    network = tiny_resolver(detail=1.0)
    with torch.inference_mode(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(superres, "STRIP", strip)
        assert torch.allclose(network(*planes), network._fine(network._coarse(*planes), *planes), atol=2e-6)


def test_a_training_step_sees_what_the_whole_picture_gives():
    planes = inputs()
    network = tiny_resolver(detail=0.02)
    expected = network(*planes)
    network.train()
    made = network(*planes)
    assert torch.allclose(made.clamp(0, 1), expected, atol=2e-6)
    made.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_no_grid_on_an_even_picture():
    photo = torch.full((1, 3, 32, 32), 0.5)
    onehot, plain = one_hot(np.full((1, 32, 32), VB, np.uint8)), torch.zeros(1, 1, 64, 64)
    large = tiny_resolver(detail=1.0)(photo, onehot, plain, plain)[..., 24:40, 24:40]
    assert (large - large.mean((2, 3), keepdim=True)).abs().max() < 1e-5


def test_shapes_that_do_not_fit_are_named():
    photo, onehot, vessels, noise = inputs()
    network = tiny_resolver()
    with pytest.raises(ValueError, match=r"photo has shape \(2, 1, 24, 40\)"):
        network(photo[:, :1], onehot, vessels, noise)
    with pytest.raises(ValueError, match=r"vessels has shape .*needs \(2, 1, 48, 80\)"):
        network(photo, onehot, vessels[..., ::2], noise)
    with pytest.raises(ValueError, match="onehot has shape"):
        network(photo, onehot[:1], vessels, noise)
    for wrong in ({"size": 1023}, {"channels": 0}, {"blocks": 1.5}, {"detail": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SuperResolverConfig(**wrong)


# --- in the pipeline ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    small = eye_model()
    return RetinaGAN(small.map_generator, small.photo_generator, superres=tiny_resolver(detail=0.05), name="tiny")


def test_the_large_photograph_is_the_small_one_with_detail(model):
    ill = empty_map(64)
    ill[40:46, 24:30] = HE
    whole = model.encode_style(*reference_eye(64), whole_eye=True)
    maps, styles = np.stack([empty_map(64), ill, ill]), [7, 7, whole]
    small, large = model.render(maps, styles), model.render(maps, styles, size=128)
    assert large.shape == (3, 128, 128, 3) and large.dtype == np.uint8
    inside = field_of_view(64) & (maps[1] != BG)
    averaged = large.reshape(3, 64, 2, 64, 2, 3).mean((2, 4))
    off = np.abs(averaged - small)[:, inside]
    assert off.mean() < 0.6 and np.percentile(off, 99) < 6  # rounding; more where white or black cuts detail off
    assert (large[:, ~field_of_view(128).reshape(64, 2, 64, 2).any((1, 3)).repeat(2, 0).repeat(2, 1)] == 0).all()
    assert np.abs(large.astype(int) - small.repeat(2, 1).repeat(2, 2))[:, 30:90, 30:90].mean() > 0.5
    for i in range(3):
        assert np.array_equal(model.render(maps[i : i + 1], styles[i : i + 1], size=128)[0], large[i])
    assert np.array_equal(model.render(maps, styles, size=64), small)
    assert model.render(maps[:0], [], size=128).shape == (0, 128, 128, 3)


def test_the_large_photograph_has_the_noise_and_the_vessels_of_its_style(model):
    label_map = empty_map(64)
    ill = label_map.copy()
    ill[20:40, 20:40] = HE
    photo, onehot = torch.full((1, 3, 64, 64), 0.5), one_hot(label_map[None])
    plane = np.zeros((64, 64), np.uint8)
    plane[30:33] = 255

    def enlarged(lesions=label_map, **changes):
        style = Style(**({"seed": 1, "vessels": plane} | changes))
        with torch.inference_mode():
            return model._enlarged(model.superres, photo, onehot, lesions, style)

    base = enlarged()
    assert torch.equal(base, enlarged())
    assert (base - enlarged(seed=2)).abs().mean() > 1e-4
    moved = (base - enlarged(vessels=np.roll(plane, 20, axis=0))).abs().mean((0, 1, 3))
    assert moved[60:66].min() > 0 and moved[100:106].min() > 0 and moved[20:40].max() == 0
    assert (base - enlarged(vessels=None)).abs().max() > 1e-3
    # The tree is hidden under lesions, as in the smaller photograph.
    assert torch.equal(enlarged(ill, vessels=plane * 0), enlarged(label_map, vessels=plane * 0))
    hidden = (enlarged(ill) - enlarged(ill, vessels=plane * 0)).abs().amax((0, 1))
    assert hidden[62, 55:65].max() == 0 and hidden[62, 100:110].min() > 0


def test_a_size_that_the_model_cannot_render(model):
    empty = empty_map(64)[None]
    with pytest.raises(ValueError, match="no superres.safetensors.*train superres.*export"):
        eye_model().render(empty, [1], size=128)
    for size in (100, 256, -64, "128", 128.5):
        with pytest.raises(ValueError, match="the model tiny renders 64 and, with its last stage, 128"):
            model.render(empty, [1], size=size)
    with pytest.raises(ValueError, match="makes photographs of 256 pixels from an eye.*makes 64"):
        RetinaGAN(model.map_generator, model.photo_generator, superres=tiny_resolver(size=256))


def test_it_is_loaded_when_the_folder_has_it(tmp_path, model):
    folder = tiny_model(tmp_path / "tiny")
    assert RetinaGAN.from_pretrained(folder).superres is None
    checkpoints.save(folder / "superres.safetensors", "superres", tiny_resolver(), {"steps": 3})
    loaded = RetinaGAN.from_pretrained(folder)
    assert loaded.superres.config == SuperResolverConfig(**TINY)
    assert set(loaded.hashes) == {"maps", "photos", "superres"} and loaded.facts["superres"] == {"steps": 3}
    assert loaded.render(empty_map(64)[None], [Style(3)], size=128).shape == (1, 128, 128, 3)


# --- training -------------------------------------------------------------------------------------------------------

CONFIG = {
    "network": TINY,
    "discriminator": dict(channels=(8, 8)),
    "training": dict(crop=48, batch_size=4, seed=3, learning_rate=2e-3),
}


@pytest.fixture(scope="module")
def dataset():
    eyes = [reference_eye(128, side, tree=tree) for side, tree in (("left", 1), ("right", 2))]
    photos, maps = (np.stack(parts) for parts in zip(*eyes, strict=True))
    vessels = np.zeros_like(maps)
    vessels[:, 60:63] = 255
    return PreparedDataset(photos, maps, vessels, np.array([0, 0]), np.full((2, 2), np.nan), ("a", "b"))


@pytest.fixture
def task(dataset):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return loaded(CONFIG, dataset)


def loaded(config, dataset):
    task = SuperresTask(config, dataset)
    task.load()
    return task


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_batch_holds_matching_crops_that_depend_on_its_generator_alone(task):
    batch, again, other = task.batch(rng(1)), task.batch(rng(1)), task.batch(rng(2))
    assert all(torch.equal(batch[key], again[key]) for key in batch) and not torch.equal(batch["large"], other["large"])
    assert batch["large"].shape == (4, 3, 48, 48) and batch["small"].shape == (4, 3, 24, 24)
    assert batch["map"].shape == (4, 24, 24) and batch["noise"].shape == batch["vessels"].shape == (4, 1, 48, 48)
    assert (batch["small"] - F.avg_pool2d(batch["large"], 2)).abs().mean() < 0.02


def test_nothing_is_added_outside_the_field(task):
    """Noise and blur stay inside; map and photograph are cut at the same place."""
    batches = [task.batch(rng(seed)) for seed in range(20)]
    large, small, outside = (torch.cat([batch[key] for batch in batches]) for key in ("large", "small", "map"))
    outside = (outside == BG)[:, None]
    black = F.max_pool2d(large.amax(1, keepdim=True), 2) == 0
    assert black.sum() > 100 and (small[black.expand(-1, 3, -1, -1)] == 0).all()
    assert outside[black].all()
    beside = F.max_pool2d(black.float(), 3, stride=1, padding=1) > 0  # pixels on the rim are half in
    assert beside[outside].float().mean() > 0.9  # the others lie at the edge of a crop


def test_small_versions_are_the_area_mean_when_nothing_degrades_them(dataset):
    config = CONFIG | {"training": CONFIG["training"] | dict(blur=0.0, noise=0.0)}
    batch = loaded(config, dataset).batch(rng())
    assert torch.allclose(batch["small"], F.avg_pool2d(batch["large"], 2), atol=1e-6)


def test_small_lesions_stay_in_halved_maps():
    maps = torch.full((1, 8, 8), VB)
    maps[0, 2, 2:4] = MA  # half of one small pixel
    maps[0, 6, 6] = EX  # a quarter: too little
    halved = _halved(maps)
    assert halved[0, 1, 1] == MA and (halved == VB).sum() == 15


def test_training_sharpens_what_interpolation_leaves_blurred(task):
    def update(name, loss):
        task.optimizers[name].zero_grad()
        loss.backward(inputs=list(task.networks[name].parameters()))
        task.optimizers[name].step()

    losses = [task.step(task.batch(rng(step)), step, rng(step), update) for step in range(30)]
    assert all(np.isfinite(list(loss.values())).all() for loss in losses)
    mean = lambda part: np.mean([loss["l1"] for loss in part])  # noqa: E731
    assert mean(losses[-5:]) < 0.9 * mean(losses[:5])


def test_sheet_export_and_the_wrong_data(task, dataset, tmp_path):
    sheet = task.sheet(task.networks, rng())
    assert sheet.shape == (3 * 48, 4 * 48, 3) and sheet.dtype == np.uint8
    shipped = task.export(task.networks, {})
    checkpoints.save(tmp_path / "superres.safetensors", "superres", shipped["superres"], {})
    loaded, _ = checkpoints.load(tmp_path / "superres.safetensors", "superres")
    assert loaded.config == task.networks["superres"].config
    wrong = SuperresTask(CONFIG | {"network": TINY | {"size": 256}}, dataset)
    with pytest.raises(ValueError, match="photographs of 128 pixels; network.size 256.*prepare"):
        wrong.load()
    for name, value in (("batch_size", 0), ("crop", 50), ("blur", 3.0), ("noise", -1.0)):
        with pytest.raises(ValueError, match=f"{name} is {value}|{name} {value}"):
            SuperresTraining(**{name: value})


def test_the_discriminator_sees_detail():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        discriminator = DetailDiscriminator(DetailDiscriminatorConfig(channels=(4, 8)))
    small = torch.full((1, 3, 16, 16), 0.5)
    flat, fine = torch.full((1, 3, 32, 32), 0.5), 0.5 + 0.02 * torch.randn(1, 3, 32, 32, generator=rng())
    vessels = torch.zeros(1, 1, 32, 32)
    features = discriminator(flat, small, vessels)
    assert [tuple(f.shape) for f in features] == [(1, 4, 16, 16), (1, 8, 8, 8), (1, 1, 8, 8)]
    assert (discriminator(fine, small, vessels)[-1] - features[-1]).abs().mean() > 1e-2
    with pytest.raises(ValueError, match="channels"):
        DetailDiscriminatorConfig(channels=())
