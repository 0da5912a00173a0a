"""Photo training on three drawn eyes: data, losses, the way to a checkpoint."""

import dataclasses

import numpy as np
import pytest
import torch

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset
from retinagan.eye.grown import draw_light_and_texture, make_eye
from retinagan.eye.light import LUMINANCE
from retinagan.eye.planes import LIGHT, PLANES, EyePlanes, pick
from retinagan.maps import labels
from retinagan.maps.parts import field_of_view
from retinagan.training import photo_crops, photo_losses, photos
from retinagan.training.export import export_run
from retinagan.training.loop import train
from retinagan.training.photos import PhotosTask

SIZE = 64
CONFIG = {
    "network": dict(size=SIZE, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4),
    "discriminator": dict(channels=(8, 8)),
    "training": dict(crop=32, batch_size=4, grown_share=0.25, grown_trees=1, varied_copies=1, seed=3),
}


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    maps = np.stack([labels.empty_map(SIZE, side) for side in ("left", "right", "left")])
    maps[0, 20:26, 30:40] = labels.EX
    maps[1, 40:46, 24:30] = labels.HE
    vessels = np.zeros((3, SIZE, SIZE), dtype=np.uint8)
    vessels[:, 31:33, 8:56] = 255
    tint = np.array([[200, 90, 40], [170, 80, 50], [220, 120, 70]], dtype=float)
    photo = np.broadcast_to(tint[:, None, None], (3, SIZE, SIZE, 3)) + rng.normal(0, 4, (3, SIZE, SIZE, 1))
    for index, colour in {labels.OD: (250, 230, 180), labels.EX: (240, 220, 120), labels.HE: (90, 20, 20)}.items():
        photo = np.where((maps == index)[..., None], colour, photo)
    photo = np.where((vessels > 0)[..., None] & (maps == labels.VB)[..., None], photo * 0.6, photo)
    photo[maps == labels.BG] = 0
    return PreparedDataset(
        photos=photo.clip(0, 255).astype(np.uint8),
        maps=maps,
        vessels=vessels,
        grades=np.array([2, 2, 0]),
        fovea=np.array([[40.0, 33.0], [np.nan, np.nan], [40.0, 33.0]]),
        ids=("a", "b", "c"),
    )


@pytest.fixture
def task(dataset):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return fitted(CONFIG, dataset)


def fitted(config, dataset):
    task = PhotosTask(config, dataset)
    task.load()
    task.take(task.fit())
    return task


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_batch_depends_on_its_generator_alone(task):
    first, again, other = task.batch(rng(1)), task.batch(rng(1)), task.batch(rng(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["photo"], other["photo"])
    assert first["photo"].shape == (4, 3, 32, 32) and first["guidance"].shape == (4, len(PLANES), 32, 32)
    assert task.paired == slice(1, 4)


def test_photo_map_and_vessels_of_a_crop_belong_together(task):
    for seed in range(6):
        batch = task.batch(rng(seed))
        crops = zip(*(batch[key] for key in ("photo", "map", "guidance")), strict=True)
        for index, (photo, label_map, guidance) in enumerate(crops):
            assert (photo[:, label_map == labels.BG] == 0).all()
            if (label_map == labels.OD).sum() > 20:  # fewer are all edge
                blue = photo[2] / pick(guidance, "light_blue")
                assert blue[label_map == labels.OD].median() > 1.8  # nothing but the disc is that blue
            if index >= task.paired.start:
                ridges = pick(guidance, "vessels")
                vessel = (ridges > 0.5) & (label_map == labels.VB)
                plain = (ridges == 0) & (label_map == labels.VB)
                if vessel.sum() > 8 and plain.sum() > 8:
                    assert photo[0][vessel].mean() < 0.85 * photo[0][plain].mean()


def test_eye_statistics_are_fitted_on_the_photographs(task, dataset):
    assert len(task.eyes) == 6  # each eye and a varied copy
    statistics = task.networks["generator"].eye
    retina = dataset.photos[dataset.maps == labels.VB].mean(0) / 255
    assert statistics.light_mean.mean((1, 2)).numpy() == pytest.approx(retina, abs=0.06)
    assert statistics.light_components[0].abs().max() > 0.02
    assert statistics.light_codes[[0, 100, 200]].numpy() == pytest.approx(
        np.stack([eye.code for eye in task.eyes[:3]]), abs=1e-5
    )
    assert statistics.texture_logs.unique(dim=0).mean(0).numpy() == pytest.approx(
        statistics.texture_mean.numpy(), abs=1e-4
    )
    # Fovea: from the markup where there is one, else from the disc.
    assert task.eyes[0].fovea[:2] == pytest.approx(tuple(dataset.fovea[0]))
    assert task.eyes[1].fovea[0] < SIZE / 2  # disc at the right: fovea at the left
    light = EyePlanes.of(task.eyes[0].guidance).light
    x, y, radius = task.eyes[0].fovea
    away = np.hypot(*(np.mgrid[:SIZE, :SIZE] + 0.5 - np.array([y, x])[:, None, None]))
    assert light[1][away < 0.3 * radius].mean() < 0.85 * light[1][(away > 1.5 * radius) & (away < 2 * radius)].mean()


def test_steps_bring_the_photograph_nearer(task):
    def update(name, loss):
        optimizer = task.optimizers[name]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad()
        loss.backward(inputs=parameters)
        optimizer.step()
        return 0.0

    for network in task.networks.values():
        network.train()
    losses = [task.step(task.batch(rng(step)), step, rng(step), update) for step in range(60)]
    early, late = (np.mean([entry["l1"] for entry in part]) for part in (losses[:8], losses[-8:]))
    assert late < 0.6 * early
    assert set(losses[0]) == {
        "discriminator",
        "adversarial",
        "matching",
        "l1",
        "l1_coarse",
        "sharpness",
        "light",
        "lesions",
        "grid",
    }


def test_varied_copies_are_other_pictures_of_exact_classes(task):
    for eye, copy in zip(task.eyes[:3], task.eyes[3:], strict=True):
        assert not np.array_equal(eye.photo, copy.photo)
        assert set(np.unique(copy.label_map)) <= set(np.unique(eye.label_map))
        assert np.array_equal(copy.label_map != labels.BG, field_of_view(SIZE))


def test_a_run_is_exported_without_its_data():
    task = PhotosTask(CONFIG | {"training": CONFIG["training"] | {"data": "no/such/folder"}})
    assert set(task.export(task.networks, {})) == {"photos"}
    with pytest.raises(FileNotFoundError, match="no/such/folder"):
        task.load()


def test_sheet_and_export(task, tmp_path):
    generator = task.networks["generator"].eval()
    sheet = task.sheet({"generator": generator}, rng())
    assert sheet.shape == (4 * SIZE, 4 * SIZE, 3) and sheet.dtype == np.uint8
    assert np.array_equal(sheet, task.sheet({"generator": generator}, rng()))
    shipped = task.export({"generator": generator}, {})
    checkpoints.save(tmp_path / "photos.safetensors", "photos", shipped["photos"], {})
    loaded, _ = checkpoints.load(tmp_path / "photos.safetensors", "photos")
    assert torch.allclose(loaded.eye.light_mean, generator.eye.light_mean, atol=1e-3)


def test_bad_settings_are_named(dataset):
    for change, message in (
        (dict(crop=33), "training.crop is 33; it must divide by 2"),
        (dict(batch_size=0), "training: batch_size is 0"),
        (dict(grown_share=1.0), "training: grown_share is 1.0"),
        (dict(relit_share=1.5), "training: relit_share is 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            PhotosTask(CONFIG | {"training": CONFIG["training"] | change}, dataset)


def test_degraded_guidance_changes_the_vessels_alone():
    planes = EyePlanes.of(np.random.default_rng(0).random((6, 16, 16), dtype=np.float32))
    clear = dataclasses.replace(planes, vessels=planes.vessels * 1.5, tone=planes.tone * 1.5)
    degraded = photo_crops.degraded(clear, 1.5, rng())
    assert not np.array_equal(degraded.vessels, clear.vessels)
    assert np.array_equal(degraded.light, clear.light) and np.array_equal(degraded.texture, clear.texture)
    assert degraded.vessels.min() >= 0 and 1 < degraded.vessels.max() <= 1.5 * 1.1
    assert (degraded.tone <= clear.tone).all()  # a twig that is dropped has no tone


def test_another_light_changes_the_contrasts_with_it_and_not_what_is_reflected():
    draw = np.random.default_rng(0)
    own, other = (
        draw.uniform(0.3, 0.4, (3, 1, 1)).astype(np.float32) * np.ones((3, 8, 8), np.float32) for _ in range(2)
    )
    vessels, texture, tone = draw.uniform(0.2, 0.6, (3, 8, 8)).astype(np.float32)
    eye = EyePlanes(own, vessels, texture, tone)
    # In the light's own colour, as a generator lays texture over the light.
    reflectance = 1 + 0.03 * texture / np.tensordot(LUMINANCE, own, 1)
    reflectance[2, 2] = 0.7  # a lesion
    photo, made = (own * reflectance).transpose(1, 2, 0), texture / 2
    relit, relit_made, planes = photo_crops.relit(photo, made, eye, photo_crops.light_ratio(own, other))
    assert relit.transpose(2, 0, 1) == pytest.approx(other * reflectance, rel=1e-5)
    assert planes.light == pytest.approx(other, rel=1e-5)
    shown = 1 + planes.texture * 0.03 / np.tensordot(LUMINANCE, other, 1)
    shown[2, 2] = 0.7
    assert planes.light * shown == pytest.approx(relit.transpose(2, 0, 1), rel=1e-5)
    assert relit_made / made == pytest.approx(planes.texture / texture, rel=1e-5)
    for after, before in ((planes.vessels, vessels), (planes.tone, tone)):
        assert after / before == pytest.approx(other[1] / own[1], rel=1e-5)
    # Three times the light is more than a photograph can bear.
    brightest = photo_crops.relit(photo, made, eye, photo_crops.light_ratio(own, 3 * own))[2].light
    assert brightest == pytest.approx(photo_crops.RELIT[1] * own, rel=1e-5)


def test_the_share_of_relit_crops_is_what_the_settings_say(dataset):
    def lights(share):
        config = {**CONFIG, "training": {**CONFIG["training"], "relit_share": share}}
        task = fitted(config, dataset)
        return task.batch(rng(5)), task.paired.start

    (never, first), (always, _) = lights(0.0), lights(1.0)
    # All crops of a batch are drawn in turn, so that the first paired one is the same crop in both.
    assert torch.equal(never["map"][first], always["map"][first])
    assert not torch.equal(never["photo"][first], always["photo"][first])
    assert not torch.equal(never["latent"][first], always["latent"][first])
    # A photograph is lit as its guidance says, and that of a crop with drawn light by that light.
    for batch in (never, always):
        for photo, label_map, guidance in zip(batch["photo"], batch["map"], batch["guidance"], strict=True):
            retina = label_map == labels.VB
            ratio = (photo[:, retina] / pick(guidance, LIGHT)[:, retina]).median(1).values
            assert ratio.numpy() == pytest.approx(1, abs=0.15)


def test_local_contrast_tells_blur_from_detail_wherever_the_detail_lies():
    sharp = torch.rand(1, 3, 32, 32, generator=rng())
    moved = torch.rand(1, 3, 32, 32, generator=rng(1))
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
    fine, coarse = photo_losses.band_contrast(sharp)
    assert fine.shape == (1, 3, 4, 4) and coarse.shape == (1, 3, 4, 4)
    assert (photo_losses.band_contrast(blurred)[0] < 0.6 * fine).all()
    assert (photo_losses.band_contrast(moved)[0] / fine - 1).abs().mean() < 0.2
    assert photo_losses.band_contrast(torch.full((1, 3, 32, 32), 0.4))[0].max() < 2e-3


def test_the_mean_colour_of_clear_retina_is_the_light():
    onehot = torch.nn.functional.one_hot(torch.full((2, 64, 64), labels.VB), 7).permute(0, 3, 1, 2).float()
    eye = torch.full((2, 3, 64, 64), 0.3), torch.zeros(2, 1, 64, 64)
    grain = torch.randn(2, 3, 64, 64, generator=rng()) * 0.05
    assert photo_losses.light_difference(eye[0] + grain, onehot, *eye) < 0.003
    assert photo_losses.light_difference(eye[0] + 0.1, onehot, *eye) == pytest.approx(0.1, rel=1e-3)
    lesion, blood = onehot.clone(), eye[0].clone()
    lesion[:, labels.VB, :32] = 0
    lesion[:, labels.HE, :32] = 1
    blood[:, :, :32] -= 0.2  # what a lesion looks like says nothing of the light
    assert photo_losses.light_difference(blood, lesion, *eye) < 0.001


def test_training_starts_from_the_weights_of_a_checkpoint(dataset, task, tmp_path):
    path = tmp_path / "photos.safetensors"
    checkpoints.save(path, "photos", task.networks["generator"], {}, torch.float32)
    started_config = {**CONFIG, "training": {**CONFIG["training"], "initial": str(path), "seed": 9}}
    started = PhotosTask(started_config, dataset)
    for ours, theirs in zip(
        started.networks["generator"].parameters(), task.networks["generator"].parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)
    run = {**started_config, "training": {**started_config["training"], "data": "nowhere"}}
    train(lambda config: PhotosTask(config, dataset), run, tmp_path / "run", steps=1, accelerator="cpu", progress=False)
    path.rename(tmp_path / "gone.safetensors")
    (exported,) = export_run(tmp_path / "run", tmp_path / "out", lambda config: PhotosTask(config, dataset))
    assert "initial" not in checkpoints.load(exported, "photos")[1]["config"]["training"]
    (tmp_path / "gone.safetensors").rename(path)
    wider = {
        **CONFIG,
        "network": {**CONFIG["network"], "channels": (8, 12)},
        "training": {"crop": 32, "initial": str(path)},
    }
    with pytest.raises(ValueError, match="these fields differ: .'channels'"):
        PhotosTask(wider, dataset)


def test_the_segmenter_pulls_lesions_towards_what_it_finds(dataset, tmp_path):
    from retinagan.models.segmenter import Segmenter, SegmenterConfig

    with pytest.raises(ValueError, match="it needs segmenter"):
        photos.PhotoTraining(segmentation=1.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        segmenter = Segmenter(SegmenterConfig(channels=(8, 8), size=SIZE))
        checkpoints.save(tmp_path / "segmenter.safetensors", "segmenter", segmenter, {})
        training = {**CONFIG["training"], "segmentation": 1.0, "segmenter": str(tmp_path / "segmenter.safetensors")}
        task = fitted({**CONFIG, "training": training}, dataset)
    gradients = {}

    def update(name, loss):
        loss.backward(inputs=list(task.networks[name].parameters()))
        gradients[name] = [p.grad.clone() for p in task.networks[name].parameters() if p.grad is not None]

    logged = task.step(task.batch(rng()), 0, rng(), update)
    assert logged["segmentation"] > 0 and all(torch.isfinite(g).all() for g in gradients["generator"])
    assert all(p.grad is None for p in task._segmenter.parameters())
    beyond = torch.full((1, 3, 32, 32), 1.2, requires_grad=True)
    task._judge(beyond).sum().backward()
    assert beyond.grad.abs().sum() > 0


def test_drawn_light_in_training_is_that_of_new_eyes(task, dataset):
    """A crop as large as the map gets the light that ``make_eye`` gives the same draws."""
    eye, statistics = task.eyes[0], task.networks["generator"].eye
    planes, code = task._new_eye(0, 0, (slice(None), slice(None)), rng(5))
    light, logs = draw_light_and_texture(statistics, rng(5))
    light = light * task.generator_config.latent_std
    centre, corrections = tuple(dataset.fovea[0]), task.generator_config.corrections
    expected = make_eye(eye.label_map, 0, statistics, corrections, light=light, texture=logs, fovea=centre).planes
    assert torch.equal(code, light)
    assert planes.light == pytest.approx(expected.light, abs=5e-3)  # make_eye moves light a little with the disc
    power, wanted = (float(eye.texture.std()) for eye in (planes, expected))
    assert power == pytest.approx(wanted, rel=0.1)  # of another noise


def test_grids_of_pixels_stand_out_from_their_surroundings():
    noise = torch.rand(16, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    plain = float(photo_losses.grid_excess(noise))
    assert plain < 0.2
    for period in (2, 4):
        columns = torch.cos(2 * np.pi * torch.arange(96) / period) * 0.1
        assert photo_losses.grid_excess(noise + columns) > 5 > 10 * plain, period
        assert photo_losses.grid_excess(noise + columns[:, None]) > 5, period
    elsewhere = torch.cos(2 * np.pi * torch.arange(96) / 3) * 0.1
    assert float(photo_losses.grid_excess(noise + elsewhere)) == pytest.approx(plain, abs=0.05)


def test_what_judges_a_photograph_sees_it_mirrored_in_every_other_step(dataset, monkeypatch):
    config = {**CONFIG, "training": {**CONFIG["training"], "segmentation": 1.0, "segmenter": "not loaded"}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        task = fitted(config, dataset)
    seen = {"judge": [], "discriminator": []}

    def judge(photo):
        seen["judge"].append(photo)
        return photo.new_zeros(len(photo), len(photos.SEGMENTED), *photo.shape[2:])

    monkeypatch.setattr(task, "_judge", judge)
    task.networks["discriminator"].register_forward_pre_hook(
        lambda _, arguments: seen["discriminator"].append(arguments)
    )
    batch = task.batch(rng(1))
    steps = [task.step(batch, step, rng(0), lambda *_: None) for step in (0, 1)]
    even, odd = seen["judge"]
    assert torch.equal(odd, even.flip(-1)) and not torch.equal(odd, even)
    # The generator's turn comes after the discriminator's own: what it made, then what is real, each with its map and
    # guidance.
    a_turn = len(seen["discriminator"]) // 2
    for even, odd in zip(seen["discriminator"][a_turn - 2 : a_turn], seen["discriminator"][-2:], strict=True):
        assert all(torch.equal(mirrored, plain.flip(-1)) for plain, mirrored in zip(even, odd, strict=True))
    assert steps[0]["l1"] == pytest.approx(steps[1]["l1"])  # what is compared pixel by pixel is not turned


def test_lesions_are_compared_by_their_mean_colour_small_ones_as_much_as_large_ones():
    label_map = torch.full((1, 32, 32), labels.VB)
    label_map[0, 3:5, 3:5] = labels.MA
    label_map[0, 16:24, 16:24] = labels.HE
    onehot = torch.nn.functional.one_hot(label_map, labels.NUM_CLASSES).permute(0, 3, 1, 2).float()
    photo = torch.full((1, 3, 32, 32), 0.5)
    assert photo_losses.lesion_difference(photo, photo, onehot) == 0
    speckled = photo.clone()  # another outline and other grain, the same mean
    speckled[..., 3, 3:5] += 0.05
    speckled[..., 4, 3:5] -= 0.05
    assert photo_losses.lesion_difference(speckled, photo, onehot) == pytest.approx(0, abs=1e-9)
    pale_dot, pale_blot = photo.clone(), photo.clone()
    pale_dot[:, :, 3:5, 3:5] += photo_losses.LESION_UNIT
    pale_blot[:, :, 16:24, 16:24] += photo_losses.LESION_UNIT
    # One cell of two, off by one unit.
    for pale in (pale_dot, pale_blot):
        assert photo_losses.lesion_difference(pale, photo, onehot) == pytest.approx(0.5 * 0.5, rel=1e-4)
    healthy = torch.zeros_like(onehot)
    assert photo_losses.lesion_difference(pale_dot, photo, healthy) == 0


def test_vessels_tone_goes_with_the_vessels(dataset):
    config = {
        **CONFIG,
        "discriminator": {"channels": (8, 8), "guidance_planes": ("vessels", "tone")},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        task = fitted(config, dataset)
    batch = task.batch(rng())
    vessels, tone = (pick(batch["guidance"], name) for name in ("vessels", "tone"))
    assert (tone.abs() <= vessels + 2e-3).all()
    assert tone[: task.paired.start].abs().max() > 0.05  # a grown tree has arteries and veins
    task.step(batch, 0, rng(), lambda name, loss: 0.0)
