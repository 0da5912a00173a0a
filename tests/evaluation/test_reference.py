"""The figures of references: exact on a drawn folder, readable, and better for the reference's own style than for
seeds."""

import json

import numpy as np
from PIL import Image

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset
from retinagan.evaluation import reference
from tests.reference_eyes import BLUE_RED, eye_model, reference_eye


def test_measures():
    field = np.ones((32, 32), dtype=bool)
    a = np.zeros((32, 32, 3), dtype=np.uint8)
    b = a.copy()
    b[::2, ::2] = 40  # a quarter of the pixels, the same in each 2 × 2 cell
    assert reference._colour(a, b, field) == {"colour": 10.0, "low_pass": 10.0}
    b[:, 1::2], b[:, ::2] = 10, 0
    assert reference._colour(b, b[:, ::-1], field) == {"colour": 10.0, "low_pass": 0.0}
    left, right = np.zeros((2, 8, 8), dtype=np.float32)
    left[:, :4], right[:, 2:6] = 1, 1
    overlap = reference._overlap(left, right, field[:8, :8])
    assert overlap == {"dice": 0.5, "correlation": 0.0}
    assert reference._overlap(left, 1 - left, field[:8, :8])["correlation"] == -1


def test_a_small_evaluation(tmp_path, monkeypatch):
    model = eye_model()
    for network in ("map", "photo"):
        module = getattr(model, f"{network}_generator")
        checkpoints.save(tmp_path / "model" / f"{network}s.safetensors", f"{network}s", module, {})
    photo, label_map = reference_eye(64, colour=BLUE_RED)
    marks = np.array([[np.nan, np.nan]])
    data = PreparedDataset(photo[None], label_map[None], label_map[None], np.array([0]), marks, ("a",))
    monkeypatch.setattr(reference, "load_prepared", lambda folder, split: {"heldout": data}[split])
    figures = reference.evaluate(tmp_path / "data", tmp_path / "model", tmp_path / "out", 3, progress=False)
    assert figures["eyes"] == 1 and figures == json.loads((tmp_path / "out" / "reference.json").read_text())
    styles = figures["styles"]
    assert styles["light"]["low_pass"] < 0.5 * styles["seeds"]["low_pass"]
    assert figures["landmarks"]["disc_found"] == 1.0
    text = reference.table(figures)
    assert f"{styles['whole eye']['dice']:.3f}" in text and "disc found on 100%" in text and "fovea" in text
    assert np.asarray(Image.open(tmp_path / "out" / "reference.png")).shape == (32, 128, 3)
