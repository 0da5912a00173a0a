"""The grader of photographs: its network, its file, and what its answers mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from retinagan import checkpoints
from retinagan.models.grader import Grader, GraderConfig, grade_of, photo_probabilities

SIZE = 64


def random_grader(seed: int = 0, size: int = SIZE) -> Grader:
    """Random weights whose batch norms know the features of noise; its answers differ from photograph to photograph."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        grader = Grader(GraderConfig(size=size)).train()
        for module in grader.modules():
            if isinstance(module, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
                module.momentum = None  # a plain mean
        with torch.no_grad():
            grader(torch.rand(8, 3, size, size))
            grader.output.weight.normal_(0, 0.05)
    return grader.eval()


@pytest.fixture(scope="module")
def grader() -> Grader:
    return random_grader()


def test_logits_do_not_depend_on_the_batch(grader):
    photos = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits, pooled = grader(photos), grader.pooled(photos)
        assert logits.shape == (3, 4) and pooled.shape == (3, 2 * (112 + 320))
        torch.testing.assert_close(logits[1:2], grader(photos[1:2]), atol=1e-4, rtol=1e-4)
    assert logits.std(0).min() > 0.01
    deep = grader.encoder(photos)[-1]
    torch.testing.assert_close(pooled[:, 224:544], deep.mean((2, 3)))
    torch.testing.assert_close(pooled[:, 544:], deep.amax((2, 3)))


def test_a_new_grader_says_a_half_to_every_question():
    with torch.inference_mode():
        assert (Grader(GraderConfig()).eval()(torch.rand(1, 3, SIZE, SIZE)) == 0).all()


def test_sides_that_do_not_divide_are_named(grader):
    with pytest.raises(ValueError, match=r"shape \(1, 3, 48, 64\); expected .* divide by 32"):
        grader(torch.zeros(1, 3, 48, 64))
    with pytest.raises(ValueError, match="size is 500; it must divide by 32"):
        GraderConfig(size=500)


def test_a_checkpoint_of_at_most_8_mb_rebuilds_the_network(grader, tmp_path):
    path = tmp_path / "grader.safetensors"
    checkpoints.save(path, "grader", grader, {})
    assert path.stat().st_size <= 8e6
    again, _ = checkpoints.load(path, "grader")
    stored = {k: v.half().float() if v.is_floating_point() else v for k, v in grader.state_dict().items()}
    expected = Grader(again.config).eval()
    expected.load_state_dict(stored)
    photo = torch.rand(1, 3, SIZE, SIZE)
    with torch.inference_mode():
        assert torch.equal(again(photo), expected(photo)) and again.config == grader.config


def test_mirror_images_are_graded_alike_at_the_size_of_training(grader):
    photo = np.random.default_rng(2).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    found = photo_probabilities(grader, photo)
    assert found.shape == (4,) and found.dtype == np.float32 and (found > 0).all() and (found < 1).all()
    np.testing.assert_allclose(photo_probabilities(grader, photo[:, ::-1]), found, atol=1e-5)
    # However many pixels there are of a picture, the network sees as many as in training.
    small, large = (np.full((side, side, 3), 90, np.uint8) for side in (SIZE, 2 * SIZE))
    small[:, :, 1] += 40
    large[:, :, 1] += 40
    np.testing.assert_allclose(photo_probabilities(grader, large), photo_probabilities(grader, small), atol=1e-3)


def test_the_grade_is_the_expected_one_rounded():
    shares = np.array([[0, 0, 0, 0], [0.9, 0.5, 0.3, 0.1], [1, 1, 0.4, 0], [0.9, 0.9, 0.9, 0.9]])
    assert grade_of(shares).tolist() == [0, 2, 2, 4] and grade_of(shares).dtype == np.int64
