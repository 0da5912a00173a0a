"""The map generator and its discriminator: shapes, named errors, and what each input is there for."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch.nn import functional as F

from retinagan.maps.labels import LESIONS
from retinagan.models.layers import EqualLinear
from retinagan.models.stylegan import NO_CLASS, MapGenerator, MapGeneratorConfig, logits_to_maps, original_classes

COMPACT = MapGeneratorConfig(latent_dim=8, w_dim=12, mapping_layers=3, channels=(12, 8, 8, 6))
ORIGINAL = MapGeneratorConfig.original(dim=8, channels=(12, 8, 8, 6), mapping_layers=3)
CONFIGS = pytest.mark.parametrize("config", [COMPACT, ORIGINAL, dataclasses.replace(COMPACT, skip="none")])


def make(config: MapGeneratorConfig, seed: int = 0) -> MapGenerator:
    """A generator with nothing left at its neutral starting value, so that every part shows in the output."""
    torch.manual_seed(seed)
    generator = MapGenerator(config)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith(("noise_weight", "gamma", "beta", "bias")):
                parameter.add_(0.3 * torch.randn(parameter.shape))
    return generator


@CONFIGS
def test_logits_have_the_configs_shape(config):
    generator = make(config)
    z, noise = generator.random_inputs([3, 4])
    logits = generator(z, torch.tensor([0, 4]), noise)
    assert logits.shape == (2, 7, 32, 32) and logits.dtype == torch.float32 and logits.isfinite().all()
    assert generator.size == config.size == 32 and config.resolutions == (4, 8, 16, 32)


@CONFIGS
def test_an_image_of_a_batch_equals_itself_alone(config):
    generator = make(config).eval()
    z, noise = generator.random_inputs([1, 2, 3])
    grades = torch.tensor([0, 2, 4])
    together = generator(z, grades, noise)
    for i in range(3):
        alone = generator(z[i : i + 1], grades[i : i + 1], [n[i : i + 1] for n in noise])
        assert torch.equal(together[i : i + 1], alone)
    # Training computes the batch at once; that differs by rounding alone.
    torch.testing.assert_close(generator.train()(z, grades, noise), together, rtol=0, atol=1e-3)


def test_channels_last_computes_the_same():
    generator = make(COMPACT)
    z, noise = generator.random_inputs([1, 2])
    grades = torch.tensor([1, 3])
    expected = generator(z, grades, noise)
    generator.to(memory_format=torch.channels_last)
    torch.testing.assert_close(generator(z, grades, noise), expected, atol=1e-4, rtol=0)


def test_autocast_returns_float32_close_to_full_precision():
    generator = make(COMPACT)
    z, noise = generator.random_inputs([1, 2])
    grades = torch.tensor([1, 3])
    exact = generator(z, grades, noise)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = generator(z, grades, noise)
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() / exact.norm() < 0.05


@CONFIGS
def test_latent_grade_and_noise_all_matter(config):
    generator = make(config)
    z, noise = generator.random_inputs([1])
    grade = torch.tensor([1])
    base = generator(z, grade, noise)
    assert (generator(-z, grade, noise) - base).abs().max() > 0.05
    assert (generator(z, torch.tensor([2]), noise) - base).abs().max() > 0.05
    for i in range(len(noise)):
        changed = [-n if i == j else n for j, n in enumerate(noise)]
        assert (generator(z, grade, changed) - base).abs().max() > 1e-3, f"noise {i} is ignored"


def test_random_inputs_are_a_seeds_own():
    generator = make(COMPACT)
    z, noise = generator.random_inputs([7, 8])
    z_alone, noise_alone = generator.random_inputs([8])
    assert torch.equal(z[1:], z_alone) and all(torch.equal(a[1:], b) for a, b in zip(noise, noise_alone, strict=True))
    assert not torch.equal(z[0], z[1])
    assert [tuple(n.shape) for n in noise] == [(2, 1, r, r) for r in (4, 8, 16, 32)]


def test_mapping_follows_its_formula():
    """Pixel norm, then layers of ``(x @ (sqrt(2 / in) W) + b) · multiplier`` + the grade's embedding, LeakyReLU."""
    generator = make(ORIGINAL)
    z, _ = generator.random_inputs([1, 2])
    grades = torch.tensor([4, 0])
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for layer in generator.map_latent.layers:
        x = (x @ (layer.weight.T * (2 / 8) ** 0.5) + layer.bias) * 0.01 + generator.map_latent.embedding.weight[grades]
        x = torch.where(x > 0, x, 0.2 * x)
    torch.testing.assert_close(generator.mapping(z, grades), x, rtol=1e-4, atol=1e-5)


def test_noise_and_style_follow_their_formula():
    style = make(ORIGINAL).blocks[1].style1
    x, noise, w = torch.randn(2, 8, 8, 8), torch.randn(2, 1, 8, 8), torch.randn(2, 8)
    y = F.leaky_relu(x + noise * style.noise_weight.view(1, -1, 1, 1), 0.2)
    y = F.instance_norm(y, weight=style.gamma, bias=style.beta, eps=1e-3)
    expected = style.style_scale(w)[:, :, None, None] * y + style.style_shift(w)[:, :, None, None]
    torch.testing.assert_close(style(x, noise, w), expected, atol=1e-5, rtol=1e-5)


def test_style_mixing_takes_each_blocks_own_style():
    generator = make(COMPACT)
    z, noise = generator.random_inputs([1, 2])
    w = generator.mapping(z, torch.tensor([0, 4]))
    coarse, fine = w[:1], w[1:]
    noise = [n[:1] for n in noise]
    assert torch.equal(generator.synthesis([coarse] * 4, noise), generator.synthesis(coarse, noise))
    mixed = generator.synthesis([coarse, coarse, fine, fine], noise)
    for pure in (coarse, fine):
        assert (mixed - generator.synthesis(pure, noise)).abs().max() > 0.01


def test_alpha_blends_with_the_previous_blocks_output():
    generator = make(ORIGINAL)
    z, noise = generator.random_inputs([1])
    w = generator.mapping(z, torch.tensor([2]))
    new, old = generator.synthesis(w, noise), generator.synthesis(w, noise, alpha=0.0)
    assert torch.equal(old[..., ::2, ::2], old[..., 1::2, 1::2]), "alpha 0 is the coarser block's, upsampled"
    torch.testing.assert_close(generator.synthesis(w, noise, alpha=0.25), 0.25 * new + 0.75 * old, atol=1e-5, rtol=0)


def test_truncation_pulls_towards_the_grades_mean():
    generator = make(COMPACT)
    generator.estimate_w_mean(samples=64, seed=3)
    z, noise = generator.random_inputs(range(6))
    grades = torch.tensor([0, 0, 0, 3, 3, 3])
    w = generator.mapping(z, grades)
    assert torch.equal(generator.truncate(w, grades, 1.0), w)
    torch.testing.assert_close(generator.truncate(w, grades, 0.0), generator.w_mean[grades])
    half = generator.truncate(w, grades, 0.5)
    torch.testing.assert_close(half, (w + generator.w_mean[grades]) / 2)
    torch.testing.assert_close(generator(z, grades, noise, truncation=0.5), generator.synthesis(half, noise))
    drawn = torch.randn(64, 8, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(generator.w_mean[3], generator.mapping(drawn, torch.full((64,), 3)).mean(0).detach())
    assert not torch.allclose(generator.w_mean[0], generator.w_mean[3])


@CONFIGS
def test_config_survives_json_and_the_state_dict_is_its_own(config):
    again = MapGeneratorConfig(**json.loads(json.dumps(dataclasses.asdict(config))))
    assert again == config and hash(again) == hash(config)
    generator, copy = make(config).eval(), make(again, seed=9).eval()
    generator.estimate_w_mean(samples=8)
    copy.load_state_dict(generator.state_dict(), strict=True)
    z, noise = generator.random_inputs([5])
    args = (z, torch.tensor([1]), noise)
    assert torch.equal(generator(*args, truncation=0.7), copy(*args, truncation=0.7))


def test_the_original_has_its_published_size():
    """26.1 million parameters, counted without allocating them."""
    with torch.device("meta"):
        generator = MapGenerator(MapGeneratorConfig.original())
    assert round(sum(p.numel() for p in generator.parameters()) / 1e6, 1) == 26.1
    assert generator.size == 256 and generator.config.latent_dim == 512


@CONFIGS
def test_every_parameter_gets_a_gradient(config):
    generator = make(config)
    z, noise = generator.random_inputs([1, 2])
    alpha = 0.5 if config.skip == "blend" else 1.0
    generator(z, torch.tensor([0, 1]), noise, alpha=alpha).square().mean().backward()
    assert not [n for n, p in generator.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"z": torch.zeros(2, 9)}, ValueError, r"z has shape \(2, 9\).*\(N, 8\)"),
        ({"z": torch.zeros(0, 8)}, ValueError, "N ≥ 1"),
        ({"grade": torch.tensor([0, 5])}, ValueError, "grade is 5; allowed are 0-4"),
        ({"grade": torch.tensor([-1, 0])}, ValueError, "grade is -1; allowed are 0-4"),
        ({"grade": torch.tensor([1])}, ValueError, r"grade has shape \(1,\).*\(2,\)"),
        ({"grade": torch.tensor([0.0, 1.0])}, TypeError, "float32; allowed is torch.int64"),
        ({"noise": []}, ValueError, r"noise has shapes \[\]; this generator takes \[\(2, 1, 4, 4\)"),
        ({"truncation": 1.5}, ValueError, "truncation is 1.5; allowed are 0 to 1"),
        ({"alpha": 0.5}, ValueError, "alpha is 0.5; a generator with skip 'sum'"),
    ],
)
def test_wrong_inputs_are_named(change, error, text):
    generator = make(COMPACT)
    z, noise = generator.random_inputs([1, 2])
    with pytest.raises(error, match=text):
        generator(**{"z": z, "grade": torch.tensor([0, 1]), "noise": noise, **change})


def test_wrong_styles_are_named():
    generator = make(COMPACT)
    _, noise = generator.random_inputs([1])
    with pytest.raises(ValueError, match="w holds 2 styles; this generator has 4 blocks"):
        generator.synthesis([torch.zeros(1, 12)] * 2, noise)
    with pytest.raises(ValueError, match=r"w has shape \(1, 8\); this generator takes \(N, 12\)"):
        generator.synthesis(torch.zeros(1, 8), noise)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("latent_dim", 0),
        ("latent_dim", 10**12),
        ("w_dim", 3.5),
        ("mapping_layers", True),
        ("channels", ()),
        ("channels", [8] * 10),
        ("channels", [8, -1]),
        ("channels", "888"),
        ("padding", "same"),
        ("skip", None),
        ("output", "softmax"),
        ("learned_constant", 1),
        ("norm_epsilon", float("nan")),
        ("mapping_lr_multiplier", "0.01"),
    ],
)
def test_wrong_configs_are_named(field, value):
    with pytest.raises(ValueError, match=field):
        MapGeneratorConfig(**{field: value})


def test_blend_needs_two_blocks():
    with pytest.raises(ValueError, match="blend"):
        MapGeneratorConfig(channels=(8,), skip="blend")


def test_argmax_classes():
    logits = torch.zeros(1, 7, 2, 2)
    logits[0, 3, 0, 0] = logits[0, 6, 1, 1] = 1.0
    classes = logits_to_maps(logits, COMPACT)
    assert classes.dtype == torch.uint8 and classes[0, 0, 0] == 3 and classes[0, 1, 1] == 6


def test_original_classes_tie_where_two_channels_saturate():
    logits = torch.full((1, 7, 1, 4), -1.0)
    logits[0, 2, 0, 0] = 0.5  # one clear winner
    logits[0, [1, 4], 0, 1] = torch.tensor([3.0, 9.0])  # both clip at 255: a tie, no class
    logits[0, 5, 0, 2], logits[0, 1, 0, 2] = 9.0, 0.99  # 255 against 253.7: the disc wins
    assert original_classes(logits)[0, 0].tolist() == [2, NO_CLASS, 5, NO_CLASS]
    assert logits_to_maps(logits, ORIGINAL)[0, 0].tolist() == [2, 6, 5, 6]
    assert logits_to_maps(logits, ORIGINAL).dtype == torch.uint8


def test_equalised_dense_keeps_the_variance():
    torch.manual_seed(0)
    x = torch.randn(400, 64)
    assert EqualLinear(64, 256, gain=1.0)(x).var().item() == pytest.approx(1.0, rel=0.1)
    assert EqualLinear(64, 256, gain=1.0, multiplier=0.01)(x).var().item() == pytest.approx(1.0, rel=0.1)
    assert EqualLinear(4, 3, multiplier=0.01, bias=1.0)(torch.zeros(1, 4)).tolist()[0] == pytest.approx([1.0] * 3)


def test_bilinear_upsampling_leaves_no_blocks():
    seen = {}
    for mode in ("nearest", "bilinear"):
        config = MapGeneratorConfig(latent_dim=8, w_dim=8, mapping_layers=2, channels=(4, 4), upsampling=mode)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            block = MapGenerator(config).blocks[1]
        entering = []
        block.conv1.register_forward_pre_hook(lambda module, inputs, entering=entering: entering.append(inputs[0]))
        x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
        block(x, torch.zeros(1, 1, 8, 8), torch.zeros(1, 8))
        seen[mode] = entering[0]
    assert torch.equal(seen["nearest"][..., ::2], seen["nearest"][..., 1::2])
    inner = seen["bilinear"][..., 1:-1]
    assert (inner[..., ::2] - inner[..., 1::2]).abs().min() > 1e-6
    with pytest.raises(ValueError, match="upsampling is 'cubic'"):
        MapGeneratorConfig(upsampling="cubic")


def test_fine_blocks_may_speak_of_lesions_alone():
    config = {"latent_dim": 8, "w_dim": 8, "mapping_layers": 2, "channels": (8, 8, 8, 8)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = MapGenerator(MapGeneratorConfig(**config, lesion_blocks=2, noise_start=0.5)).eval()
    z, noise = generator.random_inputs([3])
    grade = torch.tensor([2])
    other = [*noise[:2], *(torch.randn_like(plane) for plane in noise[2:])]
    logits, changed = generator(z, grade, noise), generator(z, grade, other)
    lesions = list(LESIONS)
    rest = [kind for kind in range(7) if kind not in lesions]
    assert torch.equal(logits[:, rest], changed[:, rest]) and not torch.equal(logits[:, lesions], changed[:, lesions])
    for wrong, message in (
        ({"lesion_blocks": 4}, "lesion_blocks"),
        ({"lesion_blocks": 1, "skip": "none"}, "needs skip 'sum'"),
    ):
        with pytest.raises(ValueError, match=message):
            MapGeneratorConfig(**config, **wrong)


def test_noise_counts_from_the_start_where_it_is_asked_to():
    config = {"latent_dim": 8, "w_dim": 8, "mapping_layers": 2, "channels": (64, 64)}
    silent, noisy = (MapGenerator(MapGeneratorConfig(**config, noise_start=start)) for start in (0.0, 0.5))
    assert not silent.blocks[1].style1.noise_weight.any()
    assert noisy.blocks[1].style1.noise_weight.std().item() == pytest.approx(0.5, rel=0.4)
