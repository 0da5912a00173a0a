"""Gamma and beta once a neighbourhood: the same photographs as from the dense convolutions, and nothing twice."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from retinagan.maps.labels import one_hot
from retinagan.models import neighbourhoods
from retinagan.models.neighbourhoods import Neighbourhoods, SeenNeighbourhoods, find_neighbourhoods, labels_of
from retinagan.models.spade import EPSILON, SPADE, PhotoGeneratorConfig
from retinagan.pipeline import RetinaGAN
from tests.helpers import TINY_ORIGINAL, tiny_map_generator, tiny_original_generator

SIZE = TINY_ORIGINAL["size"]


def eye(size=SIZE):
    """A field of view with a disc and lesions of all sizes, one of them at the picture's border."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    label_map = np.where(x**2 + y**2 <= 0.25, 6, 0).astype(np.uint8)
    label_map[(x + 0.25) ** 2 + y**2 < 0.006] = 5
    label_map[(x - 0.2) ** 2 + (y - 0.1) ** 2 < 0.004] = 2
    label_map[abs(x - 0.1) + abs(y + 0.2) < 0.05] = 1
    label_map[size // 4, size // 2], label_map[size // 2 : size // 2 + 2, -2:] = 4, 3
    return label_map


def border(size=SIZE):
    """Every class at the border and in the corners."""
    label_map = np.full((size, size), 6, np.uint8)
    edge = np.arange(size) * 7 // size
    label_map[0], label_map[-2:], label_map[:, 0], label_map[:, -1] = edge, edge[::-1], edge, edge[::-1]
    return label_map


def noise(size=SIZE):
    return np.random.default_rng(0).integers(0, 7, (size, size), dtype=np.uint8)


MAPS = {
    "eye": eye(),
    "empty": np.zeros((SIZE, SIZE), np.uint8),
    "one class": np.full((SIZE, SIZE), 2, np.uint8),
    "noise": noise(),
    "border": border(),
    "two halves": np.where(np.arange(SIZE) < SIZE // 2, 3, 6).astype(np.uint8)[None].repeat(SIZE, 0),
}


def planes(label_map):
    return one_hot(label_map[None]).to(memory_format=torch.channels_last)


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture
def counted(monkeypatch):
    """How many neighbourhoods were evaluated, call by call."""
    counts, modulation_of = [], neighbourhoods.modulation_of

    def count(spade, patches):
        counts.append(len(patches))
        return modulation_of(spade, patches)

    monkeypatch.setattr(neighbourhoods, "modulation_of", count)
    return counts


@pytest.mark.parametrize("shape", [(1, 1), (5, 6), (7, 4), (40, 33)])
def test_neighbourhoods_are_the_different_ones_and_each_pixel_has_its_own(shape):
    labels = np.random.default_rng(1).integers(0, 7, shape, dtype=np.uint8)
    labels[shape[0] // 3 :, shape[1] // 3 :] = 6
    framed = np.pad(labels, 2, constant_values=neighbourhoods.OUTSIDE)
    around = np.lib.stride_tricks.sliding_window_view(framed, (5, 5)).reshape(-1, 25)
    patches, index = find_neighbourhoods(torch.from_numpy(labels), labels.size)
    assert patches.dtype == torch.uint8 and patches.shape[1:] == (5, 5)
    assert np.array_equal(patches[index].numpy().reshape(-1, 25), around)
    assert len(patches) == len(np.unique(around, axis=0))
    assert len(patches) == 1 or find_neighbourhoods(torch.from_numpy(labels), len(patches) - 1) is None


def test_no_number_stands_for_two_neighbourhoods_however_many_there_are():
    # 7 000 different rows of five: their fifth power is beyond int64
    labels = torch.from_numpy(np.random.default_rng(2).integers(0, 7, (2, 7000), dtype=np.uint8))
    assert find_neighbourhoods(labels, labels.numel()) is None


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("size", [(SIZE, SIZE), (5, SIZE), (3, 2)])
def test_a_layer_modulates_as_its_dense_convolutions_do(name, size):
    torch.manual_seed(0)
    spade = SPADE(PhotoGeneratorConfig(**TINY_ORIGINAL), 6, 4)
    for parameter in spade.parameters():
        torch.nn.init.normal_(parameter)
    condition = planes(MAPS[name])[..., : size[0], : size[1]]
    x = torch.randn(1, 6, *size) * torch.tensor([1.0, 2, 5, 0.1, 1, 0]).view(-1, 1, 1) + torch.arange(6).view(-1, 1, 1)
    patches, index = find_neighbourhoods(labels_of(condition), condition.numel())
    seen = SeenNeighbourhoods().of(condition)
    if isinstance(seen, Neighbourhoods):
        torch.testing.assert_close(seen.modulated(spade, x, EPSILON), spade(x, condition), atol=1e-4, rtol=1e-5)
    gamma, beta = neighbourhoods.modulation_of(spade, patches)[:, index].mT.view(2, 1, 6, *size)
    hidden = F.relu(spade.conv(condition))
    torch.testing.assert_close(gamma, spade.conv_gamma(hidden), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(beta, spade.conv_beta(hidden), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_photographs_are_those_of_the_dense_network(name):
    generator, latent = tiny_original_generator(), torch.randn(2, 5)
    onehot = planes(MAPS[name])
    seen = SeenNeighbourhoods()
    for style in latent.split(1):
        dense = generator(onehot, style)
        assert dense.std() > 0.02
        torch.testing.assert_close(generator(onehot, style, seen=seen), dense, atol=1e-5, rtol=0)


def test_a_larger_network_agrees_too():
    generator = tiny_original_generator(size=256, channels=(32, 32, 24, 16, 8), spade_hidden=(16,) * 5, gain=1.0)
    onehot, latent, seen = planes(eye(256)), torch.randn(1, 5), SeenNeighbourhoods()
    assert isinstance(seen.of(onehot[..., ::2, ::2]), Neighbourhoods)
    dense = generator(onehot, latent)
    assert dense.std() > 0.01
    torch.testing.assert_close(generator(onehot, latent, seen=seen), dense, atol=1e-4, rtol=0)


def test_speckled_maps_and_whatever_is_not_a_map_are_left_to_the_dense_convolutions():
    seen, onehot = SeenNeighbourhoods(), planes(eye())
    assert isinstance(seen.of(onehot), Neighbourhoods)
    soft, negative = onehot.clone(), onehot.clone()
    soft[..., 3, 3] = 1 / 7
    negative[:, 1, 0, 0], negative[:, 6, 0, 0] = 1, -1  # the original's lesion outside the field
    for other in (planes(noise()), soft, negative, torch.cat([onehot] * 2), onehot[:, :6], onehot.double()):
        assert seen.of(other) is other
    with torch.inference_mode(False), torch.enable_grad():
        assert seen.of(onehot) is onehot
    with torch.autocast("cpu", torch.bfloat16):
        assert seen.of(onehot) is onehot


def test_the_next_style_computes_nothing_and_a_stroke_only_what_it_changes(counted):
    generator, seen = tiny_original_generator(), SeenNeighbourhoods()
    label_map, latent = eye(), torch.randn(2, 5)
    generator(planes(label_map), latent[:1], seen=seen)
    whole = sum(counted)
    counted.clear()
    generator(planes(label_map), latent[1:], seen=seen)
    assert not counted and whole > 300
    label_map[40:43, 20:24] = 3
    stroke = generator(planes(label_map), latent[1:], seen=seen)
    assert 0 < sum(counted) < whole / 2
    counted.clear()
    generator(planes(eye()), latent[1:], seen=seen)
    assert not counted  # undone
    assert torch.equal(stroke, generator(planes(label_map), latent[1:], seen=SeenNeighbourhoods()))


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(neighbourhoods, "MAX_COUNT", 600)
    generator, seen, latent = tiny_original_generator(), SeenNeighbourhoods(), torch.randn(1, 5)
    generations = set()
    for shift in range(12):
        label_map = np.roll(eye(), 3 * shift, axis=1)
        label_map[shift, shift::3] = 1
        photo = generator(planes(label_map), latent, seen=seen)
        assert torch.equal(photo, generator(planes(label_map), latent, seen=SeenNeighbourhoods()))
        level = seen._levels[torch.Size([SIZE // 2, SIZE // 2])]
        assert 0 < len(level.patches) <= 1200 and len(level.rows) == (SIZE // 2) ** 2
        generations.add(id(level))
    assert len(generations) > 1


def test_threads_share_what_was_seen():
    generator, seen, latent = tiny_original_generator(), SeenNeighbourhoods(), torch.randn(1, 5)
    onehots = [planes(np.roll(eye(), shift, axis=0)) for shift in range(8)]

    def render(onehot):
        with torch.inference_mode():
            return generator(onehot, latent, seen=seen)

    with ThreadPoolExecutor(4) as threads:
        photos = list(threads.map(render, onehots * 2))
    alone = [generator(onehot, latent, seen=SeenNeighbourhoods()) for onehot in onehots]
    assert all(torch.equal(a, b) for a, b in zip(photos, alone * 2, strict=True))


def test_rendered_bytes_are_the_same_alone_in_a_batch_and_after_other_maps(counted):
    maps = np.stack([eye()] * 4 + [border()])
    photos = RetinaGAN(tiny_map_generator(), tiny_original_generator()).render(maps, range(5))
    assert sum(counted) and len({photo.tobytes() for photo in photos}) == 5
    other = RetinaGAN(tiny_map_generator(), tiny_original_generator())
    for i in (4, 2, 0, 3, 1):
        assert np.array_equal(other.render(maps[i : i + 1], [i])[0], photos[i])
