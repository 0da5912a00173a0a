"""Agreement of predictions with maps: by hand, and good and bad photographs told apart."""

import numpy as np
import pytest

from retinagan.evaluation.fidelity import SEGMENTED, Agreement, Fidelity
from retinagan.maps.labels import EX, HE, MA, OD, VB, empty_map
from retinagan.models import segmenter


def lesion_map(seed=0):
    rng = np.random.default_rng(seed)
    label_map = empty_map(64, "left")
    for index, side in ((EX, 6), (HE, 8), (MA, 3)):
        y, x = rng.integers(20, 40, 2)
        label_map[y : y + side, x : x + side] = index
    return label_map


def logits_of(label_map, noise, seed=0):
    truth = np.stack([label_map == index for index in SEGMENTED])
    return np.where(truth, 3.0, -3.0) + noise * np.random.default_rng(seed).normal(size=truth.shape)


def classes(real, generated):
    return Fidelity.of(real, generated, 4, 1).classes


def gathered(noise, count=4, shift=0.0):
    agreement = Agreement()
    for seed in range(count):
        label_map = lesion_map(seed)
        agreement.add(logits_of(label_map, noise, seed) + shift, label_map)
    return agreement


def test_classes_are_the_segmenters():
    assert SEGMENTED == segmenter.SEGMENTED


def test_dice_and_aupr_by_hand():
    label_map = np.full((2, 4), VB, dtype=np.uint8)
    label_map[0, :3] = EX
    logits = np.full((5, 2, 4), -9.0)
    logits[0] = [[3, 1, -2, 2], [-5, -5, -5, -5]]  # right, right, missed at 0.5, a false one
    agreement = Agreement()
    agreement.add(logits, label_map)
    assert agreement.dice(EX, 0.5) == pytest.approx(2 * 2 / (3 + 3))
    assert agreement.aupr(EX) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert agreement.dice(EX, agreement.best_threshold(EX)) == pytest.approx(2 * 3 / (4 + 3))
    assert agreement.photographs(EX) == 1 and agreement.photographs(HE) == 0
    assert np.isnan(agreement.aupr(HE))


def test_pixels_outside_the_field_do_not_count():
    label_map = lesion_map()
    logits = logits_of(label_map, 0)
    logits[:, label_map == 0] = 9
    agreement = Agreement()
    agreement.add(logits, label_map)
    assert agreement.dice(EX, 0.5) == 1 and agreement.aupr(OD) == 1


def test_photographs_as_good_as_real_have_ratio_one_and_worse_ones_less():
    real = gathered(2.0)
    same, worse = classes(real, gathered(2.0, count=8)), classes(real, gathered(4.0, count=8))
    assert set(same) == {"EX", "HE", "MA", "OD"}  # no soft exudates: left out
    assert same["OD"].dice.ratio == pytest.approx(1, abs=0.1)
    assert worse["OD"].dice.ratio < 0.7 and worse["OD"].aupr.ratio < 0.9
    assert same["EX"].n_real == 4 and same["EX"].n_generated == 8


def test_the_threshold_is_the_best_on_real_photographs_for_both():
    """Paler lesions: a threshold chosen for the generated ones would forgive them."""
    figures = classes(gathered(1.0), gathered(1.0, shift=-4.0))
    assert figures["OD"].aupr.ratio == pytest.approx(1, abs=0.05)
    assert figures["OD"].dice.ratio < 0.6


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="logits have shape"):
        Agreement().add(np.zeros((4, 64, 64)), lesion_map())
    with pytest.raises(TypeError, match="uint8"):
        Agreement().add(np.zeros((5, 64, 64)), lesion_map().astype(int))
