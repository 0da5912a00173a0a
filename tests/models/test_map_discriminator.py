"""The map discriminator: what it judges by, its gradients, named errors."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch.nn import functional as F

from retinagan.models.layers import minibatch_deviation
from retinagan.models.map_discriminator import MapDiscriminator, MapDiscriminatorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig

COMPACT = MapGeneratorConfig(latent_dim=8, w_dim=12, mapping_layers=3, channels=(12, 8, 8, 6))


def make_discriminator(**changes) -> MapDiscriminator:
    torch.manual_seed(1)
    return MapDiscriminator(MapDiscriminatorConfig(**{"planes": 7, "channels": (8, 12, 12), "shuffle": 2, **changes}))


def test_minibatch_deviation_is_zero_for_copies_and_grows_with_variety():
    x = torch.randn(1, 3, 4, 4).expand(4, -1, -1, -1)
    assert minibatch_deviation(x, 4)[:, 3].abs().max() < 1e-6
    varied = minibatch_deviation(torch.randn(4, 3, 4, 4), 4)
    assert varied.shape == (4, 4, 4, 4) and varied[:, 3].min() > 0.3
    assert minibatch_deviation(torch.randn(6, 3, 4, 4), 4).shape == (6, 4, 4, 4)  # groups of 3
    assert minibatch_deviation(torch.randn(1, 3, 4, 4), 4)[0, 3].abs().max() < 1e-6


def test_discriminator_judges_by_planes_and_grade():
    discriminator = make_discriminator()
    planes = torch.rand(4, 7, 32, 32)
    logits = discriminator(planes, torch.tensor([0, 1, 2, 3]))
    assert logits.shape == (4,) and logits.dtype == torch.float32 and discriminator.size == 32
    assert (logits - discriminator(planes, torch.tensor([1, 1, 2, 3])))[0].abs() > 1e-3
    assert (logits - discriminator(1 - planes, torch.tensor([0, 1, 2, 3]))).abs().min() > 1e-4


def test_discriminator_is_twice_differentiable_for_r1():
    discriminator = make_discriminator(deviation_group=2)
    planes = torch.rand(4, 7, 32, 32, requires_grad=True)
    logits = discriminator(planes, torch.tensor([0, 1, 2, 3]))
    (gradient,) = torch.autograd.grad(logits.sum(), planes, create_graph=True)
    penalty = gradient.square().sum(dim=(1, 2, 3)).mean()
    penalty.backward()
    assert penalty > 0
    for name in ("stem.weight", "blocks.0.conv1.weight", "last_conv.weight", "features.weight", "embedding.weight"):
        grad = discriminator.get_parameter(name).grad
        assert grad.isfinite().all() and grad.abs().sum() > 0, name


def test_gradients_reach_the_generator_through_the_discriminator():
    torch.manual_seed(0)
    generator, discriminator = MapGenerator(COMPACT), make_discriminator()
    z, noise = generator.random_inputs([1, 2])
    grades = torch.tensor([1, 4])
    F.softplus(-discriminator(generator(z, grades, noise).softmax(1), grades)).mean().backward()
    assert generator.map_latent.embedding.weight.grad[[1, 4]].abs().min() > 0
    assert generator.map_latent.embedding.weight.grad[[0, 2, 3]].abs().max() == 0


def test_discriminator_learns_to_tell_grades_apart():
    """A few steps suffice to call maps true with their grade and false with another."""
    discriminator = make_discriminator()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=3e-3, betas=(0.0, 0.99))
    rng = torch.Generator().manual_seed(0)
    grades = torch.arange(8) % 2
    for _ in range(40):
        planes = torch.rand(8, 7, 32, 32, generator=rng) * 0.2
        planes[torch.arange(8), 1 + grades] += 0.8
        loss = F.softplus(-discriminator(planes, grades)).mean() + F.softplus(discriminator(planes, 1 - grades)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert discriminator(planes, grades).min() > 0 > discriminator(planes, 1 - grades).max()


@pytest.mark.parametrize(
    ("planes", "grade", "error", "text"),
    [
        (torch.zeros(1, 7, 16, 16), torch.tensor([0]), ValueError, r"\(1, 7, 16, 16\).*\(7, 32, 32\)"),
        (torch.zeros(1, 6, 32, 32), torch.tensor([0]), ValueError, r"\(1, 6, 32, 32\)"),
        (torch.zeros(1, 7, 32, 32), torch.tensor([9]), ValueError, "grade is 9; allowed are 0-4"),
        (torch.zeros(1, 7, 32, 32), torch.tensor([0.0]), TypeError, "int64"),
    ],
)
def test_discriminator_names_wrong_inputs(planes, grade, error, text):
    with pytest.raises(error, match=text):
        make_discriminator()(planes, grade)


def test_discriminator_config_survives_json_and_names_errors():
    config = MapDiscriminatorConfig(planes=9, channels=(8, 8))
    assert MapDiscriminatorConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert config.size == 32 and MapDiscriminatorConfig().size == 256
    for field, value in {"shuffle": 3, "planes": 0, "channels": [], "deviation_group": "4"}.items():
        with pytest.raises(ValueError, match=field):
            MapDiscriminatorConfig(**{field: value})
