"""From a seed to the map that is kept."""

import dataclasses

import numpy as np
import pytest
import torch

from retinagan.maps.labels import LESIONS
from retinagan.maps.selection import JUDGED, KEEP_ALL, MapSelection, judged
from retinagan.models.stylegan import MapGenerator
from retinagan.pipeline import RetinaGAN
from retinagan.sampling import DRAWS
from tests.helpers import tiny_map_generator, tiny_photo_generator


def model(selection: MapSelection = KEEP_ALL) -> RetinaGAN:
    source = tiny_map_generator()
    generator = MapGenerator(dataclasses.replace(source.config, selection=selection))
    generator.load_state_dict(source.state_dict())
    return RetinaGAN(generator, tiny_photo_generator())


def by_area(weight: float, ceiling: float = 0.0) -> MapSelection:
    """Grade 3 keeps maps by how far the logarithm of the area of their hard exudates lies above 10, about its mean."""
    place = np.eye(len(JUDGED))[JUDGED.index("EX area")]
    weights = np.zeros((5, len(JUDGED)))
    weights[3] = weight * place
    return MapSelection(
        mean=tuple((10 * place).tolist()),
        deviation=(1.0,) * len(JUDGED),
        offset=(0.0,) * 5,
        linear=tuple(map(tuple, weights.tolist())),
        squares=((0.0,) * len(JUDGED),) * 5,
        ceiling=(0.0, 0.0, 0.0, ceiling, 0.0),
        highest=((1e9,) * len(JUDGED),) * 5,
    )


def areas(maps: np.ndarray) -> np.ndarray:
    return np.array([judged(label_map)[JUDGED.index("EX area")] for label_map in maps])


def test_grades_without_odds_draw_as_without_a_selection():
    seeds = range(6)
    plain, selecting = model(), model(by_area(2.0))
    for grade in (0, 2, 4):
        assert (plain.sample_maps(grade, seeds) == selecting.sample_maps(grade, seeds)).all()


def test_kept_maps_follow_the_odds():
    seeds = range(60)
    drawn = areas(model().sample_maps(3, seeds))
    assert drawn.std() > 0.02
    up, down = (areas(model(by_area(weight, ceiling)).sample_maps(3, seeds)) for weight, ceiling in ((5, 3), (-5, 3)))
    assert down.mean() < drawn.mean() < up.mean()


def test_a_seed_keeps_its_first_draw_where_that_passes_and_its_best_where_none_does():
    plain, never = model(), model(by_area(1.0, ceiling=50.0))
    always = model(by_area(1.0, ceiling=-50.0))
    seeds = range(4)
    assert (always.sample_maps(3, seeds) == plain.sample_maps(3, seeds)).all()
    best = areas(never.sample_maps(3, seeds))
    assert (best >= areas(plain.sample_maps(3, seeds)) - 1e-9).all() and DRAWS > 1


def test_the_kept_draw_does_not_depend_on_truncation_batch_or_way():
    gan = model(by_area(5.0, 5.0))
    together = gan.sample_maps(3, range(5))
    alone = np.stack([gan.sample_maps(3, [seed])[0] for seed in range(5)])
    assert (together == alone).all() and np.isin(together, LESIONS).any()
    between = gan.maps_between(3, 1, 3, 4, (0.0, 1.0))
    assert (between == together[[1, 4]]).all()
    # The seed's draw is chosen at truncation 1, so that truncation moves one map and does not jump between several.
    seed = next(s for s in range(40) if (gan.sample_maps(3, [s]) != model().sample_maps(3, [s])).any())
    with torch.inference_mode():
        _, w, noise = gan.sampler.chosen(3, seed, 0.5)
        _, whole, same_noise = gan.sampler.chosen(3, seed, 1.0)
    assert all((a == b).all() for a, b in zip(noise, same_noise, strict=True))
    mean = gan.map_generator.w_mean[3]
    assert w.numpy() == pytest.approx((mean + 0.5 * (whole - mean)).numpy(), abs=1e-6)


def test_a_lesion_bias_makes_its_lesion_win_where_it_was_nearly_the_largest():
    plain = model()
    source = plain.map_generator
    for place, label in enumerate(LESIONS):
        generator = MapGenerator(dataclasses.replace(source.config, lesion_bias=tuple(np.eye(4)[place].tolist())))
        generator.load_state_dict(source.state_dict())
        biased = RetinaGAN(generator, tiny_photo_generator())
        before, after = (gan.sample_maps(2, range(8), clean=False) for gan in (plain, biased))
        assert (after == label).sum() > (before == label).sum()
        assert (after[before != after] == label).mean() > 0.9  # shares are interpolated, so neighbours give way, too
