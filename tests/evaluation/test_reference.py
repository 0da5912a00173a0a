"""The figures of references: exact on a drawn folder, readable, and better for the reference's own style than for
seeds."""

import json

import numpy as np
from PIL import Image

from retinagan import checkpoints
from retinagan.data.dataset import PreparedDataset
from retinagan.evaluation import reference
from retinagan.maps.labels import VB
from tests.reference_eyes import BLUE_RED, eye_model, reference_eye


def colours(a, b):
    found = reference.Likeness.of(a, b, np.zeros(a.shape[:2], np.float32), np.full(a.shape[:2], VB, np.uint8))
    return found.colour, found.low_pass


def test_measures():
    field = np.ones((32, 32), dtype=bool)
    a = np.zeros((32, 32, 3), dtype=np.uint8)
    b = a.copy()
    b[::2, ::2] = 40  # a quarter of the pixels, the same in each 2 × 2 cell
    assert colours(a, b) == (10.0, 10.0)
    b[:, 1::2], b[:, ::2] = 10, 0
    assert colours(b, b[:, ::-1]) == (10.0, 0.0)
    left, right = np.zeros((2, 8, 8), dtype=np.float32)
    left[:, :4], right[:, 2:6] = 1, 1
    assert reference.overlap(left, right, field[:8, :8]) == (0.5, 0.0)
    assert reference.overlap(left, 1 - left, field[:8, :8])[1] == -1


def test_a_small_evaluation(tmp_path, monkeypatch):
    model = eye_model()
    for network in ("map", "photo"):
        module = getattr(model, f"{network}_generator")
        checkpoints.save(tmp_path / "model" / f"{network}s.safetensors", f"{network}s", module, {})
    photo, label_map = reference_eye(64, colour=BLUE_RED)
    marks = np.array([[np.nan, np.nan]])
    data = PreparedDataset(photo[None], label_map[None], label_map[None], np.array([0]), marks, ("a",))
    monkeypatch.setattr(reference, "load_prepared", lambda folder, split: {"heldout": data}[split])
    report = reference.evaluate(tmp_path / "data", tmp_path / "model", tmp_path / "out", 3, progress=False)
    figures = report.figures()
    assert figures["eyes"] == 1 and figures == json.loads((tmp_path / "out" / "reference.json").read_text())
    styles = figures["reference"]["styles"]
    assert styles["light"]["low_pass"] < 0.5 * styles["seeds"]["low_pass"]
    assert figures["reference"]["disc_found"] == 1.0
    text = report.text()
    assert f"{styles['seeds']['colour']:.3g}" in text and "disc found 1, " in text and "fovea" in text
    assert np.asarray(Image.open(tmp_path / "out" / "reference-sheet.png")).shape == (32, 128, 3)
