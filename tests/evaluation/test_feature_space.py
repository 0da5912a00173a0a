"""Distances in a feature space: equal mixes are drawn, near and far sets told apart."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from retinagan.evaluation.criteria import FEATURES
from retinagan.evaluation.feature_space import (
    Features,
    Photographs,
    draw,
    inception_features,
    quotas,
    segmenter_features,
    segmenter_logits,
)
from retinagan.models.segmenter import Segmenter, SegmenterConfig


def test_quotas_keep_the_mix_and_take_what_there_is():
    wanted = np.repeat([0, 2, 3], [10, 6, 2])
    train, generated = np.repeat([0, 2, 3], [100, 30, 6]), np.repeat([0, 2, 3], [200, 120, 40])
    assert quotas(wanted, train, generated) == {0: 30, 2: 18, 3: 6}
    assert quotas(wanted, train[train < 3], generated) == {0: 50, 2: 30}  # a grade that training lacks
    assert quotas(wanted, train, np.repeat([0, 2, 3], [4, 3, 1])) == {0: 4, 2: 3, 3: 1}
    assert quotas(wanted, np.array([4]), generated) == {}


def test_a_draw_has_the_quota_without_repetition():
    grades = np.repeat([0, 1], [5, 9])
    places = draw(grades, {0: 3, 1: 9}, np.random.default_rng(0))
    assert len(set(places.tolist())) == 12 and (grades[places] == 0).sum() == 3


def features(grades, seed, shift=0.0):
    """Features that depend on the grade: an unequal mix alone would make two sets differ."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(grades), 8)) + 4.0 * np.asarray(grades)[:, None] + shift


@pytest.mark.parametrize(("shift", "passes"), [(0.0, True), (1.5, False)])
def test_the_ratio_tells_photographs_of_the_same_kind_from_others(shift, passes):
    grades = np.repeat([0, 2], [20, 10])
    train_grades = np.repeat([0, 2], [30, 170])  # another mix
    eyes = np.arange(180) % 30
    near, far = features(grades[eyes], 2, shift), features(grades[eyes], 2, 1.5)
    photographs = Photographs(features(grades, 0), grades, features(train_grades, 1), train_grades, near, eyes)
    figures = Features.of(photographs)
    assert (FEATURES.met(figures.frechet.ratio)) == passes
    assert figures.n == 45 and figures.n_heldout == 30
    assert (figures.frechet.halves.ratio < 1.5) == passes
    if passes:
        worse = Features.of(replace(photographs, generated=far))
        assert abs(figures.kernel.generated) < 0.5 * abs(worse.kernel.generated)
        assert figures.coverage > 0.8 and 0.7 < figures.density < 1.3
    else:
        assert figures.coverage < 0.7
        assert figures.nearest["generated"][1] > figures.nearest["real"][1]


def test_copies_of_training_photographs_are_nearer_to_them_than_new_ones():
    grades, eyes = np.zeros(30, dtype=int), np.arange(60) % 30
    train = features(np.zeros(60), 1)
    photographs = Photographs(features(grades, 0), grades, train, np.zeros(60, dtype=int), train + 1e-3, eyes)
    figures = Features.of(photographs)
    assert figures.nearest["generated"][2] < 0.1 < figures.nearest["real"][0]


def test_no_photograph_of_the_grades_is_told():
    grades = np.zeros(6, dtype=int)
    of_another = Photographs(
        features(grades, 0), grades, features(grades + 1, 1), grades + 1, features(grades, 2), grades
    )
    with pytest.raises(ValueError, match="raise the count"):
        Features.of(of_another)


def test_features_and_logits_of_the_segmenter():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Segmenter(SegmenterConfig(channels=(8, 16), size=64)).eval()
    photo = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert segmenter_features(network, photo).shape == (48,)
    logits = segmenter_logits(network, photo)
    assert logits.shape == (5, 64, 64)
    assert segmenter_logits(network, photo[:, ::-1]) == pytest.approx(logits[..., ::-1], abs=1e-5)


def test_inception_needs_safetensors_and_its_packages(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="inception_features"):
        inception_features([], tmp_path / "none.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="not a safetensors file"):
        inception_features([], tmp_path / "weights.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "weights.safetensors")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.setitem(sys.modules, "torchmetrics.image.fid", None)
    with pytest.raises(ImportError, match="pip install torchmetrics torch-fidelity"):
        inception_features([], tmp_path / "weights.safetensors")
