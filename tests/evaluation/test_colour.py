"""Colours: means and histograms of painted photographs, and the comparison that acceptance rests on."""

import numpy as np
import pytest
from skimage.color import rgb2lab

from retinagan.evaluation.colour import channel_distance, mean_distance, measure_colours
from retinagan.evaluation.criteria import COLOUR
from retinagan.evaluation.distances import compare
from retinagan.maps.parts import field_of_view

SIZE = 64


def painted(rgb):
    return np.where(field_of_view(SIZE)[..., None], np.array(rgb), 0).clip(0, 255).astype(np.uint8)


def fundi(count, seed, shift=(0, 0, 0), spread=12.0):
    rng = np.random.default_rng(seed)
    return measure_colours([painted((160, 80, 40) + np.array(shift) + rng.normal(0, spread, 3)) for _ in range(count)])


def test_means_are_those_of_the_field_alone():
    colours = measure_colours([painted((160, 80, 40))])
    assert colours.means[0] == pytest.approx(rgb2lab(np.array([[[160, 80, 40]]]) / 255)[0, 0])
    assert colours.histograms[0, 0, 160] == colours.histograms[0, 2, 40] == 1


def test_distances_of_a_shift():
    a, b = (measure_colours([painted(rgb)] * 2) for rgb in ((160, 80, 40), (160, 90, 40)))
    assert channel_distance(1)(a, b) == pytest.approx(10)
    assert channel_distance(0)(a, b) == pytest.approx(0)
    assert mean_distance(0)(a, b) == pytest.approx(abs(a.means[0, 0] - b.means[0, 0]))


@pytest.mark.parametrize("component", [0, 1, 2])
def test_the_same_fundi_pass_and_others_fail(component):
    real, eyes = fundi(60, 2), np.arange(300) % 60
    assert compare(mean_distance(component), real, fundi(300, 1), eyes).ratio < COLOUR.most
    shift = ((25, 25, 25), (25, -10, 0), (0, 0, 25))[component]
    assert compare(mean_distance(component), real, fundi(300, 1, shift), eyes).ratio > COLOUR.most
    assert (
        compare(mean_distance(component), real, fundi(300, 1, spread=1.0), eyes).ratio > COLOUR.most
    )  # too little variety


def test_compare_pairs_by_eye_so_that_the_mix_is_the_same():
    """Two kinds of eyes; generated ones follow their own eye's kind, though most were made for the first kind."""
    real = np.repeat([0.0, 10.0], [10, 10]) + np.linspace(0, 1, 20)
    eyes = np.repeat(np.arange(20), [5] * 10 + [1] * 10)

    def distance(a, b):
        return abs(a.mean() - b.mean())

    figures = compare(distance, real, real[eyes], eyes)
    assert figures.ratio == pytest.approx(1) and figures.n == 10
    assert compare(distance, real, real[eyes] + 20, eyes).ratio > 5


def test_compare_leaves_out_eyes_without_a_generated_photograph_and_needs_four():
    real = np.arange(10.0)
    assert compare(lambda a, b: 1.0, real, real[:5], np.arange(5)).n == 2
    with pytest.raises(ValueError, match="raise the count"):
        compare(lambda a, b: 1.0, real, real[:3], np.arange(3))
