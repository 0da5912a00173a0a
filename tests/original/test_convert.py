"""Import of the original's checkpoints: right tensors, the original's function, nothing half done."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from retinagan import checkpoints
from retinagan.cli import main
from retinagan.maps.labels import BG, VB, empty_map, one_hot
from retinagan.maps.parts import field_of_view
from retinagan.original import convert as original
from retinagan.original.bundle import BundleError
from retinagan.original.convert import import_original
from retinagan.pipeline import RetinaGAN
from tests.original_bundle import VALUE, maps_shapes, photos_shapes, write_bundle

MAPS = list(maps_shapes(8, (6, 6, 5, 4), mapping_layers=3))
PHOTOS = list(photos_shapes(8, (6, 6, 4, 3), hidden=5))
SIZE = 64  # 4 << 4 blocks


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """Both checkpoints, tiny, of the original's structure, and what was written into them (``.npz``)."""
    folder = tmp_path_factory.mktemp("original")
    np.savez(folder / "maps.npz", **write_bundle(folder / "gan.ckpt", MAPS, seed=1))
    np.savez(folder / "photos.npz", **write_bundle(folder / "gau.ckpt", PHOTOS, seed=2))
    return folder


@pytest.fixture(scope="module")
def imported(tiny) -> Path:
    import_original(tiny / "gan.ckpt", tiny / "gau.ckpt", tiny / "model", progress=False)
    return tiny / "model"


# The original's function, written from its description alone, straight on TensorFlow's layouts


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    with np.load(path) as file:
        return {key.replace("layer_with_weights-", ""): torch.from_numpy(file[key]) for key in file}


def _dense(t, name, x, gain, multiplier=1.0):
    kernel = t[f"{name}/kernel"]
    return (x @ (kernel * (gain / kernel.shape[0]) ** 0.5) + t[f"{name}/bias"]) * multiplier


def _conv(t, name, x, gain=None, pad="reflect"):
    kernel = t[f"{name}/kernel"].permute(3, 2, 0, 1)
    if gain is not None:
        kernel = kernel * (gain / (kernel.shape[1] * kernel.shape[2] * kernel.shape[3])) ** 0.5
    if kernel.shape[2] == 3:
        x = F.pad(x, (1,) * 4, mode=pad)
    return F.conv2d(x, kernel, t[f"{name}/bias"])


def original_maps(t, z, grade, noise, alpha=1.0):
    x = z / ((z**2).mean(1, keepdim=True) + 1e-8).sqrt()
    for i in range(3):
        x = F.leaky_relu(_dense(t, f"mapping/{i}", x, 2, 0.01) + t["embedding/embeddings"][grade], 0.2)
    w, outputs = x, []
    x = torch.ones(len(z), 6, 4, 4)
    for i in range(4):
        at = 0
        for half in range(2):
            if i > 0 or half == 1:
                x = x if half else F.interpolate(x, scale_factor=2)
                x = _conv(t, f"generator/{i}/{at}", x, gain=2)
                at += 1
            x = F.leaky_relu(x + noise[i] * t[f"generator/{i}/{at}/kernel"].permute(0, 3, 1, 2), 0.2)
            x = F.instance_norm(x, eps=1e-3)
            gamma, beta = (t[f"generator/{i}/{at + 1}/{n}"].view(1, -1, 1, 1) for n in ("gamma", "beta"))
            x = x * gamma + beta
            ys, yb = (_dense(t, f"generator/{i}/{at + 2}/dense_{n}", w, 1)[:, :, None, None] for n in (1, 2))
            x = ys * x + yb
            at += 3
        if i >= 2:
            outputs.append(_conv(t, f"generator/{i + 2}/0", x, gain=1))
    return alpha * outputs[1] + (1 - alpha) * F.interpolate(outputs[0], scale_factor=2)


def original_photo(t, onehot, latent):
    def spade(name, x):
        # Half-pixel nearest: the pixel at floor((i + 0.5) · factor).
        factor = onehot.shape[2] // x.shape[2]
        planes = onehot[:, :, factor // 2 :: factor, factor // 2 :: factor]
        hidden = F.relu(_conv(t, f"{name}/conv", planes, pad="constant"))
        gamma, beta = (_conv(t, f"{name}/conv_{n}", hidden, pad="constant") for n in ("gamma", "beta"))
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
        return gamma * (x - mean) / (variance + 1e-5).sqrt() + beta

    x = (latent @ t["generator/0/kernel"] + t["generator/0/bias"]).reshape(-1, 4, 4, 6).permute(0, 3, 1, 2)
    for i in range(1, 5):
        name = f"generator/{i}"
        y = _conv(t, f"{name}/conv_1", F.leaky_relu(spade(f"{name}/spade_1", x), 0.2), pad="constant")
        y = _conv(t, f"{name}/conv_2", F.leaky_relu(spade(f"{name}/spade_2", y), 0.2), pad="constant")
        if f"{name}/conv_3/kernel" in t:
            x = _conv(t, f"{name}/conv_3", F.leaky_relu(spade(f"{name}/spade_3", x), 0.2), pad="constant")
        x = F.interpolate(x + y, scale_factor=2)
    kernel = t["generator/5/kernel"].permute(3, 2, 0, 1)
    return torch.sigmoid(F.conv2d(F.pad(F.leaky_relu(x, 0.2), (1, 2, 1, 2)), kernel, t["generator/5/bias"]))


def test_maps_have_the_originals_logits(tiny, imported):
    generator, _ = checkpoints.load(imported / "maps.safetensors", "maps")
    t = _tensors(tiny / "maps.npz")
    z, noise = generator.random_inputs([1, 2, 3])
    grade = torch.tensor([0, 2, 4])
    for alpha in (1.0, 0.5):
        expected = original_maps(t, z, grade, noise, alpha)
        assert expected.std() > 0.3, "the comparison would show nothing on a flat output"
        torch.testing.assert_close(generator(z, grade, noise, alpha=alpha), expected, atol=1e-4, rtol=0)


def test_photographs_are_the_originals(tiny, imported):
    generator, _ = checkpoints.load(imported / "photos.safetensors", "photos")
    t = _tensors(tiny / "photos.npz")
    maps = np.stack([empty_map(SIZE, "left"), np.random.default_rng(0).integers(0, 7, (SIZE, SIZE)).astype(np.uint8)])
    onehot, latent = one_hot(maps), 2 * torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    for i in range(2):
        expected = original_photo(t, onehot[i : i + 1], latent[i : i + 1])
        assert expected.std() > 0.05
        photo = generator(onehot[i : i + 1], latent[i : i + 1])
        torch.testing.assert_close(photo, expected, atol=2e-5, rtol=0)
        assert torch.equal(photo, generator(onehot, latent)[i : i + 1]), "it depends on its companions"


def test_every_tensor_is_used_once_and_nothing_else(tiny, imported):
    """The stored numbers are exactly the generators': same multiset of values, no slot, no discriminator."""
    for network in ("maps", "photos"):
        module, _ = checkpoints.load(imported / f"{network}.safetensors", network)
        with np.load(tiny / f"{network}.npz") as file:
            written = np.sort(np.concatenate([file[k].ravel() for k in file]))
        stored = np.sort(np.concatenate([v.numpy().ravel() for k, v in module.state_dict().items() if k != "w_mean"]))
        assert np.array_equal(written, stored)


def test_the_folder_is_an_ordinary_model(imported):
    model = RetinaGAN.from_pretrained(imported, device="cpu")
    assert model.size == SIZE and model.map_generator.config.output == "original"
    assert model.photo_generator.config.latent_std == 2.0
    maps = model.sample_maps(3, [7, 8])
    assert maps.shape == (2, SIZE, SIZE) and maps.dtype == np.uint8 and maps.max() <= VB
    field = field_of_view(SIZE)
    assert (maps[:, ~field] == BG).all() and (maps[:, field] != BG).all(), "no lesion outside the field, no hole in it"
    assert np.array_equal(model.sample_maps(3, [8])[0], maps[1])
    photos = model.render(maps, [1, 2])
    assert photos.shape == (2, SIZE, SIZE, 3) and np.array_equal(model.render(maps[1:], [2])[0], photos[1])
    assert not np.array_equal(model.render(maps[:1], [3])[0], photos[0])


def test_truncation_has_a_mean_to_pull_to(imported):
    generator, _ = checkpoints.load(imported / "maps.safetensors", "maps")
    assert generator.w_mean.abs().min() > 0
    z, noise = generator.random_inputs([1, 2])
    grade = torch.tensor([2, 2])
    noise = [n[:1].expand(2, -1, -1, -1) for n in noise]
    full, mean = (generator(z, grade, noise, truncation=t) for t in (1.0, 0.0))
    assert torch.equal(mean[0], mean[1]) and not torch.equal(full[0], full[1])


def test_report_and_facts_say_whose_weights_these_are(tiny, tmp_path):
    report = import_original(tiny / "gan.ckpt", tiny / "gau.ckpt", tmp_path / "model", progress=False)
    assert report.folder == tmp_path / "model" and report.warnings == ()
    assert report.bytes_read == 4 * sum(int(np.prod(shape)) for _, shape in MAPS + PHOTOS)
    for network, source in (("maps", "gan.ckpt.index"), ("photos", "gau.ckpt.index")):
        description = checkpoints.describe(tmp_path / "model" / f"{network}.safetensors")
        assert report.networks[network] == description
        facts = description["facts"]
        assert "farrell236/RetinaGAN" in facts["weights"] and facts["imported_from"] == source
        assert facts["authenticity"].startswith("not checked")


def test_weights_stay_float32(tiny, imported):
    from safetensors import safe_open

    with safe_open(imported / "maps.safetensors", framework="np") as file:
        assert {str(file.get_tensor(k).dtype) for k in file.keys()} == {"float32"}


def pack(source: Path, path: Path, method: int) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in source.parent.glob(source.name + ".*"):
            archive.write(file, file.name)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_give_the_same_weights_and_a_warning(tiny, imported, tmp_path, method):
    maps = pack(tiny / "gan.ckpt", tmp_path / "a.zip", method)
    photos = pack(tiny / "gau.ckpt", tmp_path / "b.zip", method)
    with pytest.warns(UserWarning, match=r"is not the published archive: its MD5 is [0-9a-f]{32}"):
        report = import_original(maps, photos, tmp_path / "model", progress=False)
    assert len(report.warnings) == 2 and hashlib.md5(photos.read_bytes()).hexdigest() in report.warnings[1]
    for network in ("maps", "photos"):
        a, facts = checkpoints.load(tmp_path / f"model/{network}.safetensors", network)
        b, _ = checkpoints.load(imported / f"{network}.safetensors", network)
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
        assert facts["authenticity"].startswith("NOT the published")


def test_the_published_archives_are_recognised(tiny, tmp_path, monkeypatch):
    maps = pack(tiny / "gan.ckpt", tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    monkeypatch.setitem(original.PUBLISHED_MD5, "maps", hashlib.md5(maps.read_bytes()).hexdigest())
    heard: list[str] = []
    import_original(maps, tiny / "gau.ckpt", tmp_path / "model", progress=False, warn=heard.append)
    assert heard == []
    facts = checkpoints.describe(tmp_path / "model/maps.safetensors")["facts"]
    assert facts["authenticity"].startswith("the published") and facts["weights"].startswith("trained and published by")


def test_a_progress_bar_runs_to_its_end(tiny, tmp_path, capsys):
    import_original(tiny / "gan.ckpt", tiny / "gau.ckpt", tmp_path / "model", progress=True)
    assert "importing: 100%" in capsys.readouterr().err


def test_the_command_imports_warns_and_refuses(tiny, tmp_path, capsys):
    maps = pack(tiny / "gan.ckpt", tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    photos, out = tiny / "gau.ckpt", tmp_path / "model"
    arguments = ["import-original", "--maps", str(maps), "--photos", str(photos), "--out", str(out)]
    assert main([*arguments, "--quiet"]) == 0
    printed = capsys.readouterr()
    assert "maps.safetensors: maps, " in printed.out and "photos.safetensors: photos, " in printed.out
    assert printed.err.startswith("retinagan: warning: ") and "a.zip is not the published archive" in printed.err
    assert main(["info", str(tmp_path / "model")]) == 0
    assert "farrell236/RetinaGAN" in capsys.readouterr().out
    assert main([*arguments, "--quiet"]) == 2
    assert "give --out a new or empty folder" in capsys.readouterr().err


# Errors, and what they leave behind


def refused(maps, photos, out: Path, match: str | None, error: type[BaseException] = BundleError) -> None:
    before = sorted(out.parent.rglob("*"))
    with pytest.raises(error, match=match):
        import_original(maps, photos, out, progress=False)
    assert sorted(out.parent.rglob("*")) == before, "something half-written was left"


def test_swapped_checkpoints_are_named(tiny, tmp_path):
    refused(tiny / "gau.ckpt", tiny / "gan.ckpt", tmp_path / "out", "no tensor embedding/embeddings.*--maps takes")
    refused(tiny / "gan.ckpt", tiny / "gan.ckpt", tmp_path / "out", "no tensor generator/layer_with_weights-0/kernel")


def test_missing_checkpoints_are_named(tiny, tmp_path):
    refused(tmp_path / "no.ckpt", tiny / "gau.ckpt", tmp_path / "out", "no.ckpt", FileNotFoundError)


def test_a_folder_in_use_is_never_touched(tiny, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for out in ("out", "file"):
        refused(tiny / "gan.ckpt", tiny / "gau.ckpt", tmp_path / out, "new or empty folder", FileExistsError)
    assert (tmp_path / "out/mine.txt").read_text() == "keep"
    (tmp_path / "empty").mkdir()
    import_original(tiny / "gan.ckpt", tiny / "gau.ckpt", tmp_path / "empty", progress=False)
    assert sorted(p.name for p in (tmp_path / "empty").iterdir()) == ["maps.safetensors", "photos.safetensors"]


def test_damage_found_while_reading_leaves_nothing(tiny, tmp_path):
    """The last tensor's last byte: the maps and most photographs' weights have been written by then."""
    source = tmp_path / "source"
    source.mkdir()
    for file in tiny.glob("gau.ckpt.*"):
        data = bytearray(file.read_bytes())
        if ".data-" in file.name:
            data[-1] ^= 1
        (source / file.name).write_bytes(data)
    refused(tiny / "gan.ckpt", source / "gau.ckpt", tmp_path / "out", "does not match its checksum")


def test_an_interruption_leaves_nothing(tiny, tmp_path, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "describe", interrupted)
    refused(tiny / "gan.ckpt", tiny / "gau.ckpt", tmp_path / "out", None, KeyboardInterrupt)


def changed(shapes, **changes):
    """``shapes`` with the shape of single tensors replaced; None removes one. Keys are parts of a name."""
    out = []
    for name, shape in shapes:
        hit = [v for k, v in changes.items() if k in name.replace("layer_with_weights-", "").replace("/", "_")]
        if not hit:
            out.append((name, shape))
        elif hit[0] is not None:
            out.append((name, hit[0]))
    return out


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"embedding": (4, 8)}, "embedding knows 4 grades"),
        ({"embedding": (5, 9)}, r"weights-0/kernel has shape \(8, 8\), which does not fit"),
        ({"mapping_0_kernel": (9, 7)}, "does not fit"),
        ({"mapping_1_bias": None}, "no tensor mapping/layer_with_weights-1/bias"),
        ({"mapping_1_kernel": None}, "has no place in"),
        ({"mapping_0_kernel": None}, "0 mapping layers"),
        ({"generator_1_0_kernel": (3, 3, 5, 6)}, "does not fit"),
        ({"generator_1_0_kernel": (5, 5, 6, 6)}, "does not fit"),
        ({"generator_2_4_kernel": (45, 5)}, "with 4 dimension"),
        ({"generator_3_2_gamma": None}, "does not fit"),
        ({"generator_0_0_kernel": None}, "no tensor generator/layer_with_weights-0/layer_with_weights-0/kernel"),
        ({"generator_5_0_kernel": (1, 1, 4, 8)}, "does not fit"),
        ({"generator_0_1_gamma": (0,)}, r"shape \(0,\)"),
        ({"generator_0_1_gamma": None}, "0 synthesis blocks"),
    ],
)
def test_other_map_generators_are_refused(tiny, tmp_path, changes, text):
    write_bundle(tmp_path / "gan.ckpt", changed(MAPS, **changes), slots=0)
    refused(tmp_path / "gan.ckpt", tiny / "gau.ckpt", tmp_path / "out", text)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"generator_0_kernel": (8, 97)}, "97 numbers make no square"),
        ({"generator_0_bias": (95,)}, "does not fit"),
        ({"generator_1_conv_1_kernel": None}, "0 residual blocks"),
        ({"generator_2_conv_1_kernel": None}, "no tensor|no place|make no square"),
        ({"generator_2_spade_2_conv_kernel": (3, 3, 7, 6)}, "does not fit"),
        ({"generator_3_spade_1_conv_kernel": (3, 3, 8, 5)}, "does not fit"),
        ({"generator_3_conv_3_bias": None}, "no tensor generator/layer_with_weights-3/conv_3/bias"),
        ({"generator_5_kernel": (4, 4, 3, 4)}, "does not fit"),
        ({"generator_5_kernel": (3, 3, 3, 3)}, "does not fit"),
    ],
)
def test_other_photo_generators_are_refused(tiny, tmp_path, changes, text):
    write_bundle(tmp_path / "gau.ckpt", changed(PHOTOS, **changes), slots=0)
    refused(tiny / "gan.ckpt", tmp_path / "gau.ckpt", tmp_path / "out", text)


def test_photographs_of_absurd_size_are_refused(tiny, tmp_path):
    shapes = list(photos_shapes(1, (1, 1, 1), hidden=1, base=600))
    write_bundle(tmp_path / "gau.ckpt", shapes, slots=0)
    refused(tiny / "gan.ckpt", tmp_path / "gau.ckpt", tmp_path / "out", "side of 4800; up to 4096")


def test_more_parameters_than_any_network_has_are_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "MAX_PARAMETERS", 1000)
    refused(tiny / "gan.ckpt", tiny / "gau.ckpt", tmp_path / "out", "at most 1,000 are imported")


def test_weights_that_are_not_finite_are_refused(tiny, tmp_path, monkeypatch):
    from tests import original_bundle

    def tensor(_rng, name, shape):
        return np.full(shape, np.nan if "conv_2/bias" in name else 1, "f4")

    monkeypatch.setattr(original_bundle, "random_tensor", tensor)
    write_bundle(tmp_path / "gau.ckpt", PHOTOS, slots=0)
    refused(tiny / "gan.ckpt", tmp_path / "gau.ckpt", tmp_path / "out", f"conv_2/bias{VALUE} holds values .*finite")
