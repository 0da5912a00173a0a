"""The photo generator: doors, errors, locality, and the original's peculiarities."""

import dataclasses
import json

import pytest
import torch
import torch.nn.functional as F

from retinagan.eye.planes import LIGHT, PLANES, pick
from retinagan.eye.statistics import EyeCorrections
from retinagan.models.photo_discriminator import PhotoDiscriminator, PhotoDiscriminatorConfig
from retinagan.models.spade import SPADE, PhotoGenerator, PhotoGeneratorConfig
from tests.helpers import TINY_ORIGINAL, tiny_photo_generator


def planes(n=2, size=64, seed=0):
    rng = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 7, (n, size, size), generator=rng)
    onehot = F.one_hot(classes, 7).permute(0, 3, 1, 2).float()
    guidance = torch.rand(n, len(PLANES), size, size, generator=rng)
    return onehot, guidance


def test_output_is_an_image_and_black_outside_the_field():
    generator = tiny_photo_generator()
    onehot, guidance = planes()
    photos = generator(onehot, torch.randn(2, 4), guidance)
    assert photos.shape == (2, 3, 64, 64) and photos.dtype == torch.float32
    assert photos.min() >= 0 and photos.max() <= 1
    background = onehot[:, :1].bool().expand_as(photos)
    assert (photos[background] == 0).all() and photos[~background].mean() > 0.05


@pytest.mark.parametrize("original", [False, True])
def test_an_image_does_not_depend_on_its_batch(original):
    if original:
        generator = PhotoGenerator(PhotoGeneratorConfig(**TINY_ORIGINAL)).eval()
        onehot, guidance = planes()[0], None
    else:
        generator = tiny_photo_generator()
        onehot, guidance = planes()
    latent = torch.randn(2, generator.config.latent_dim)
    both = generator(onehot, latent, guidance)
    for i in range(2):
        alone = generator(onehot[i : i + 1], latent[i : i + 1], None if original else guidance[i : i + 1])
        assert torch.allclose(alone[0], both[i], atol=1e-5)


def test_the_default_network_is_local_so_that_crops_agree_with_whole_images():
    generator = tiny_photo_generator()
    onehot, guidance = planes(n=1, size=128)
    latent = torch.zeros(1, 4)
    whole = generator(onehot, latent, guidance)[..., 32:96, 32:96]
    crop = generator(onehot[..., 32:96, 32:96], latent, guidance[..., 32:96, 32:96])
    assert torch.allclose(whole[..., 20:44, 20:44], crop[..., 20:44, 20:44], atol=1e-5)


def test_light_passes_through_where_the_network_adds_nothing():
    generator = tiny_photo_generator()
    torch.nn.init.zeros_(generator.output.weight)
    torch.nn.init.zeros_(generator.output.bias)
    onehot, guidance = planes(n=1)
    onehot = torch.zeros_like(onehot)
    onehot[:, 6] = 1
    assert torch.allclose(generator(onehot, torch.zeros(1, 4), guidance), guidance[:, :3])


def test_small_lesions_survive_the_coarse_levels():
    generator = tiny_photo_generator()
    onehot, guidance = planes(n=1)
    onehot = torch.zeros_like(onehot)
    onehot[:, 6] = 1
    dotted = onehot.clone()
    dotted[:, 6, 30:32, 30:32], dotted[:, 4, 30:32, 30:32] = 0, 1
    coarse = generator._boosted(generator._pyramid(dotted, guidance, 1, 8)[8], 8)
    assert coarse[0, 4].max() == pytest.approx(4 / 64)
    assert coarse[0, 7].max() == pytest.approx(8 * 4 / 64)
    difference = (generator(dotted, torch.zeros(1, 4), guidance) - generator(onehot, torch.zeros(1, 4), guidance)).abs()
    assert difference[..., 26:36, 26:36].max() > 1e-4


def test_spade_has_no_one_plus_gamma_and_uses_biased_statistics_of_the_image():
    config = PhotoGeneratorConfig(**TINY_ORIGINAL)
    spade = SPADE(config, 3, 4)
    for parameter in spade.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.constant_(spade.conv_gamma.bias, 2.0)
    torch.nn.init.constant_(spade.conv_beta.bias, 0.5)
    x = torch.randn(2, 3, 6, 6) * 3 + 1
    expected = (
        2 * (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt() + 0.5
    )
    assert torch.allclose(spade(x, torch.zeros(2, config.condition_channels, 6, 6)), expected, atol=1e-5)


def test_original_config_pads_its_last_convolution_one_before_and_two_after():
    generator = PhotoGenerator(PhotoGeneratorConfig(**TINY_ORIGINAL)).eval()
    torch.nn.init.zeros_(generator.output.weight)
    torch.nn.init.zeros_(generator.output.bias)
    with torch.no_grad():
        generator.output.weight[:, :, 3, 3] = 1.0  # reads two pixels down and right
    photo = generator(planes(n=1)[0], torch.randn(1, 5))
    assert (photo[..., -2:, :] == 0.5).all() and (photo[..., :, -2:] == 0.5).all()
    assert (photo[..., :-2, :-2] != 0.5).any(dim=1).all()


def test_missing_or_wrong_inputs_are_named():
    generator = tiny_photo_generator()
    onehot, guidance = planes()
    latent = torch.zeros(2, 4)
    with pytest.raises(ValueError, match="guidance is missing.*vessels.*make_eye"):
        generator(onehot, latent)
    with pytest.raises(ValueError, match=r"latent has shape \(2, 9\); expected \(2, 4\)"):
        generator(onehot, torch.zeros(2, 9), guidance)
    with pytest.raises(ValueError, match=r"onehot has shape"):
        generator(onehot[:, :6], latent, guidance)
    with pytest.raises(ValueError, match="must divide by 2"):
        generator(onehot[..., :63], latent, guidance[..., :63])
    plain = PhotoGenerator(PhotoGeneratorConfig(**TINY_ORIGINAL))
    with pytest.raises(ValueError, match="guidance 'none'"):
        plain(onehot, torch.zeros(2, 5), guidance)
    with pytest.raises(ValueError, match="this generator makes 64×64"):
        plain(onehot[..., :32, :32], torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(norm="batch"), "norm is 'batch'; allowed are"),
        (dict(channels=(8,), spade_hidden=(4, 4)), "one a block"),
        (dict(size=33), "must divide by"),
        (dict(guidance="none"), "needs guidance 'eye'"),
        (dict(latent_dim=0), "latent_dim is 0; it must be at least 1"),
    ],
)
def test_configs_that_cannot_be_built_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        PhotoGeneratorConfig(**change)


def test_config_survives_json():
    config = PhotoGeneratorConfig(**TINY_ORIGINAL)
    assert PhotoGeneratorConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_original_config_has_the_published_number_of_parameters():
    import yaml

    with open("configs/original-photos.yaml") as file:
        config = PhotoGeneratorConfig(**yaml.safe_load(file)["network"])
    with torch.device("meta"):
        generator = PhotoGenerator(config)
    count = sum(p.numel() for p in generator.parameters())
    assert count == pytest.approx(106.5e6, rel=0.002)


def test_discriminator_sees_photo_map_and_vessels():
    discriminator = PhotoDiscriminator(PhotoDiscriminatorConfig(channels=(8, 8)))
    onehot, guidance = planes()
    photo = torch.rand(2, 3, 64, 64)
    base = discriminator(photo, onehot, guidance)
    assert [f.shape[-1] for f in base] == [32, 16, 16]
    for changed in ("photo", "map", "vessels", "texture"):
        other = guidance.clone()
        if changed in PLANES:
            pick(other, changed)[:] = 0
        logits = discriminator(
            1 - photo if changed == "photo" else photo, onehot.flip(1) if changed == "map" else onehot, other
        )[-1]
        # The texture is withheld: the discriminator shall judge the photograph's, not compare.
        assert torch.equal(logits, base[-1]) == (changed == "texture")
    with pytest.raises(ValueError, match=r"guidance_planes\[0\] is 'nerve'; allowed are"):
        PhotoDiscriminatorConfig(guidance_planes=("nerve",))


@pytest.mark.parametrize("blocks, reach", [(1, 6), (2, 18)])
def test_a_lesion_changes_the_photograph_near_itself_alone(blocks, reach):
    config = PhotoGeneratorConfig(
        size=64, channels=(8, 8, 8), spade_hidden=(4, 4, 4), latent_dim=4, lesion_blocks=blocks
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = PhotoGenerator(config).eval()
    healthy = F.one_hot(torch.full((1, 64, 64), 6), 7).permute(0, 3, 1, 2).float()
    diseased = healthy.clone()
    diseased[:, :, 30:34, 30:34] = 0
    diseased[:, 2, 30:34, 30:34] = 1
    guidance, latent = planes(1)[1], torch.randn(1, 4)
    changed = (generator(diseased, latent, guidance) - generator(healthy, latent, guidance)).abs().amax(dim=(0, 1)) > 0
    ys, xs = changed.nonzero(as_tuple=True)
    assert changed[30:34, 30:34].any()
    assert min(ys.min(), xs.min()) >= 30 - reach and max(ys.max(), xs.max()) <= 33 + reach


def test_lesion_blocks_beyond_the_blocks_are_refused():
    with pytest.raises(ValueError, match="lesion_blocks is 6; allowed are 0 to 5"):
        PhotoGeneratorConfig(lesion_blocks=6)


def test_discriminator_sees_detail_apart_from_the_light():
    discriminator = PhotoDiscriminator(PhotoDiscriminatorConfig(channels=(8, 8), detail_gain=5, norm="none"))
    onehot, guidance = planes(1)
    photo = torch.rand(1, 3, 64, 64)
    lighter = guidance.clone()
    lighter[:, :3] += 0.1
    assert not torch.equal(discriminator(photo, onehot, guidance)[-1], discriminator(photo, onehot, lighter)[-1])
    assert not any(isinstance(module, torch.nn.InstanceNorm2d) for module in discriminator.modules())
    with pytest.raises(ValueError, match="norm is 'batch'"):
        PhotoDiscriminatorConfig(norm="batch")


def test_texture_is_laid_over_the_light_and_not_seen():
    colours = EyeCorrections(grain_colour=(1.15, 1.03, 0.51), mottle_colour=(0.78, 1.17, 2.0))
    config = PhotoGeneratorConfig(
        size=64, channels=(8, 8), spade_hidden=(4, 4), latent_dim=4, texture_skip=0.03, corrections=colours
    )
    generator = PhotoGenerator(config).train()
    torch.nn.init.zeros_(generator.output.weight)
    torch.nn.init.zeros_(generator.output.bias)
    onehot, guidance = planes(1)
    light, texture = pick(guidance, LIGHT), pick(guidance, ("texture",))
    inside = 1 - onehot[:, :1]
    torch.testing.assert_close(
        generator(onehot, torch.zeros(1, 4), guidance), (light + generator.mottle(light, texture)) * inside
    )
    even = torch.ones_like(texture)
    mottle = generator.mottle(light, even)
    colour = mottle / light  # in units of the light's own
    torch.testing.assert_close(
        colour / colour[:, :1], (torch.tensor(colours.mottle_colour) / 0.78)[:, None, None].expand_as(colour)
    )
    luminance = (mottle * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1)
    lit = light.mean(1) > 0.2
    assert lit.any()
    torch.testing.assert_close(luminance[lit], torch.full_like(luminance[lit], 0.03))
    grain = even * torch.tensor([1.0, -1.0, 0.0, 1.0, -1.0])[torch.arange(64) % 5]  # nothing over any five pixels
    swing = generator.mottle(light, grain)[..., 5:-4].abs().mean((0, 2, 3)) / 0.03
    torch.testing.assert_close(swing, 0.8 * torch.tensor(colours.grain_colour))  # the camera's
    torch.nn.init.normal_(generator.output.weight)
    flat = guidance.clone()
    pick(flat, "texture")[:] = 0
    seen, unseen = (generator(onehot, torch.zeros(1, 4), g) for g in (guidance, flat))
    torch.testing.assert_close(seen - unseen, generator.mottle(light, texture) * inside, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="texture_skip adds to the eye's light"):
        PhotoGeneratorConfig(texture_skip=0.03, guidance="none", output="sigmoid")


def test_planes_mean_what_the_config_says():
    network = {"size": 64, "channels": (8, 8), "spade_hidden": (4, 4), "latent_dim": 4, "texture_skip": 0.03}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = PhotoGenerator(PhotoGeneratorConfig(**network)).eval()
    names = PLANES[::-1]
    turned = PhotoGenerator(PhotoGeneratorConfig(**network, planes=names)).eval()
    state = generator.state_dict()
    for key, value in state.items():  # the inputs of a convolution follow the order of the planes
        if value.ndim == 4 and value.shape[1] == 13:
            state[key] = torch.cat([value[:, :8], value[:, 8:].flip(1)], 1)
    turned.load_state_dict(state)
    onehot, guidance = planes(1)
    torch.testing.assert_close(
        turned(onehot, torch.ones(1, 4), pick(guidance, names)), generator(onehot, torch.ones(1, 4), guidance)
    )
    with pytest.raises(ValueError, match="each of light_red, light_green.* is needed once"):
        PhotoGeneratorConfig(**network, planes=("vessels", *PLANES[1:]))
    with pytest.raises(ValueError, match=r"guidance has shape \(1, 5, 64, 64\); expected \(1, 6, 64, 64\)"):
        generator(onehot, torch.zeros(1, 4), guidance[:, :5])
    veins, arteries = guidance.clone(), guidance.clone()
    pick(veins, "tone")[:], pick(arteries, "tone")[:] = 0.5, -0.5
    assert not torch.equal(generator(onehot, torch.zeros(1, 4), veins), generator(onehot, torch.zeros(1, 4), arteries))


def test_corrections_are_part_of_the_config():
    config = PhotoGeneratorConfig(corrections={"blur": 0.7, "texture_left": [1.1, 0.9, 1, 1, 1]})
    assert config.corrections == EyeCorrections(blur=0.7, texture_left=(1.1, 0.9, 1.0, 1.0, 1.0))
    assert PhotoGeneratorConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config
    with pytest.raises(ValueError, match="corrections: gaps is 2.0; it must be at most 1"):
        PhotoGeneratorConfig(corrections={"gaps": 2.0})
