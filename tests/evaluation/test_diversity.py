"""Diversity: photographs of known differences."""

import numpy as np
import pytest

from retinagan.evaluation.criteria import DIVERSITY
from retinagan.evaluation.diversity import Diversity, distances, low_pass
from retinagan.maps.parts import field_of_view

SIZE = 64


def photo(level, left_half=0):
    picture = np.full((SIZE, SIZE, 3), level, dtype=np.uint8)
    picture[:, : SIZE // 2] += np.uint8(left_half)
    return picture * field_of_view(SIZE)[..., None].astype(np.uint8)


def test_distance_is_that_of_the_levels_inside_the_field():
    low = low_pass([photo(100), photo(110), photo(130)], [True] * 3)
    assert distances(low) == pytest.approx([10, 30, 20])


def test_detail_does_not_count_and_right_eyes_are_mirrored():
    noisy = photo(100) + (np.indices((SIZE, SIZE)).sum(0) % 2 * 20 - 10)[..., None] * field_of_view(SIZE)[..., None]
    assert distances(low_pass([photo(100), noisy.astype(np.uint8)], [True, True])) == pytest.approx([0], abs=1e-4)
    left, right = photo(100, 40), photo(100, 40)[:, ::-1]
    assert distances(low_pass([left, right], [True, False])) == pytest.approx([0], abs=3)
    assert distances(low_pass([left, right], [True, True]))[0] > 30


@pytest.mark.parametrize(("spread", "passes"), [(20, True), (5, False)])
def test_ratio_of_styles_to_real(spread, passes):
    rng = np.random.default_rng(0)
    real = low_pass([photo(int(v)) for v in rng.normal(120, 20, 40)], [True] * 40)
    styles = rng.normal(120, spread, 12)
    grid = np.stack([low_pass([photo(int(v + m)) for v in styles], [True] * 12) for m in (0, 3)])
    figures = Diversity.of(real, grid)
    assert (DIVERSITY.met(figures.ratio)) == passes
    assert figures.maps == pytest.approx(3, abs=0.1)
    assert (figures.n_real, figures.n_maps, figures.n_styles) == (40, 2, 12)


def test_too_few_and_odd_sizes_are_refused():
    low = low_pass([photo(100)], [True])
    with pytest.raises(ValueError, match="pairs need 2"):
        Diversity.of(low, np.stack([low, low]))
    with pytest.raises(ValueError, match="divide by 32"):
        low_pass([np.zeros((50, 50, 3), dtype=np.uint8)], [True])
