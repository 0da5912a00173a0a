"""The original's checkpoints give TensorFlow's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retinagan.maps.labels import BG, LESIONS, OD, VB, one_hot
from retinagan.maps.parts import field_of_view
from retinagan.models.stylegan import original_classes
from retinagan.original.convert import import_original
from retinagan.pipeline import RetinaGAN
from tests.paths import DATA, SHARED

REFERENCE = SHARED / "original"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference checkpoints beside the clone")


# Against TensorFlow's own numbers: small checkpoints that TensorFlow 2.21 wrote and evaluated, with inputs and outputs
# (tests/data/original). Its code of both networks gives the outputs of the original's release, too, to 6e-5.


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorflow") / "model"
    import_original(DATA / "original/maps.ckpt", DATA / "original/photos.ckpt", folder, progress=False)
    with np.load(DATA / "original/outputs.npz") as file:
        return RetinaGAN.from_pretrained(folder, device="cpu"), {key: torch.from_numpy(file[key]) for key in file}


@torch.no_grad()
def test_maps_are_tensorflows(tensorflow):
    model, r = tensorflow
    generator = model.map_generator
    noise = [r[f"noise_{side}"].float().permute(0, 3, 1, 2) for side in generator.config.resolutions]
    torch.testing.assert_close(generator.mapping(r["z"], r["grades"]), r["w"], atol=1e-5, rtol=0)
    logits = generator(r["z"], r["grades"], noise)
    expected = r["logits"].permute(0, 3, 1, 2)
    assert expected.shape == (2, 7, 32, 32) and expected.std() > 1
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
    half = generator(r["z"], r["grades"], noise, alpha=0.5)[:, :, ::4, ::4]
    torch.testing.assert_close(half, r["logits_half"].permute(0, 3, 1, 2), atol=1e-4, rtol=0)
    assert torch.equal(original_classes(logits), original_classes(expected))


@torch.no_grad()
def test_photographs_are_tensorflows(tensorflow):
    model, r = tensorflow
    together = model.photo_generator(one_hot(r["labels"].numpy()), r["latent"]).permute(0, 2, 3, 1)
    assert r["photos"].shape == (2, 32, 32, 3) and r["photos"].std() > 0.1
    torch.testing.assert_close(together[:, ::2, ::2], r["photos"], atol=2e-5, rtol=0)
    # The original mixes a batch's statistics; an image here depends on itself alone, so it must differ from that.
    mixed = r["photos_together"]
    assert (together[:, ::4, ::4] - mixed).norm() / mixed.norm() > 0.05


# Against the numbers of the original's release, at full size


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "model"
    photos = REFERENCE / "gaugan/gaugan_1024x1024.ckpt"
    import_original(REFERENCE / "cstylegan/cstylegan_256x256.ckpt", photos, folder, progress=False)
    with np.load(REFERENCE / "reference.npz") as file:
        return RetinaGAN.from_pretrained(folder, device="cpu"), {key: torch.from_numpy(file[key]) for key in file}


@needs_reference
@torch.no_grad()
def test_reference_maps(reference):
    model, r = reference
    generator = model.map_generator
    noise = [r[f"noise_{side}"].permute(0, 3, 1, 2) for side in generator.config.resolutions]
    torch.testing.assert_close(generator.mapping(r["z"], r["grades"]), r["w"], atol=1e-5, rtol=0)
    logits = generator(r["z"], r["grades"], noise)
    torch.testing.assert_close(logits, r["raw_logits_256"].permute(0, 3, 1, 2), atol=1e-3, rtol=0)
    half = generator(r["z"], r["grades"], noise, alpha=0.5)[:, :, ::8, ::8]
    torch.testing.assert_close(half, r["raw_alpha05_s8"].permute(0, 3, 1, 2), atol=1e-3, rtol=0)
    assert (original_classes(logits) != r["class_map_256"]).sum(dim=(1, 2)).max() <= 20
    for i in range(3):
        alone = generator(r["z"][i : i + 1], r["grades"][i : i + 1], [n[i : i + 1] for n in noise])
        assert torch.equal(alone, logits[i : i + 1])


@needs_reference
@torch.no_grad()
def test_reference_photographs(reference):
    model, r = reference
    onehot = one_hot(r["labels"].numpy())
    together = model.photo_generator(onehot, r["latent"])
    for i in range(2):
        alone = model.photo_generator(onehot[i : i + 1], r["latent"][i : i + 1])
        assert torch.equal(together[i : i + 1], alone)
        photo = alone[0].permute(1, 2, 0)
        torch.testing.assert_close(photo[::4, ::4], r["gaugan_b1_s4"][i], atol=1e-4, rtol=0)
        torch.testing.assert_close(photo[448:576, 448:576], r["gaugan_b1_crop"][i], atol=1e-4, rtol=0)
    # The original mixes a batch's statistics; an image here depends on itself alone, so it must differ from that.
    mixed = r["gaugan_b2_s4"].permute(0, 3, 1, 2)
    assert (together[:, :, ::4, ::4] - mixed).norm() / mixed.norm() > 0.05


@needs_reference
def test_reference_classes_outside_the_field_are_not_copied(reference):
    """The original's lesions outside the circle make its VB −1; here there is background."""
    model, _ = reference
    maps = model.sample_maps(2, [5])
    assert np.isin(maps[0][~field_of_view(1024)], BG).all()
    assert np.isin(maps[0][field_of_view(1024)], [*LESIONS, OD, VB]).all()
