"""A drawing does not depend on the weights that photograph it."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from retinagan import checkpoints
from retinagan.files.maps import fit_map
from retinagan.maps.labels import EX, HE, empty_map
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig
from tests.app.test_draw import apart, button, circle, drawn, rendered, send
from tests.app_pages import errors, on
from tests.helpers import TINY_SIZE, tiny_model


def photo_weights(folder, **changed):
    """New weights of the photo generator in a model folder."""
    config = PhotoGeneratorConfig(**{"size": TINY_SIZE, "channels": (8, 8), "spade_hidden": (4, 4), **changed})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        network = PhotoGenerator(config).eval()
    checkpoints.save(folder / "photos.safetensors", "photos", network, {"data": "none (random weights for tests)"})


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A model folder that a test may change."""
    folder = tiny_model(tmp_path / "tiny")
    monkeypatch.setenv("RETINAGAN_MODEL", str(folder))
    return folder


@pytest.mark.parametrize("start", ["left", "g3-s7"])
def test_a_drawing_outlives_its_weights(app, own_folder, start):
    """Touched or exchanged weights are loaded anew, and nothing that is drawn is lost: neither strokes nor undo."""
    on(app, "draw", start=start, style="12")
    button(app, "To right eye").click().run()
    button(app, "Undo").click().run()
    send(app, circle(HE))
    send(app, circle(HE), circle(EX, 0.05))
    button(app, "Undo").click().run()
    before, sampled = rendered(app).pair, app.session_state["session"].drawing.start
    os.utime(own_folder / "photos.safetensors", ns=(1, 1))
    app.run()
    assert np.array_equal(drawn(app), before.label_map)
    photo_weights(own_folder)
    app.run()
    after = rendered(app).pair
    assert np.array_equal(after.label_map, before.label_map) and np.array_equal(drawn(app), before.label_map)
    assert after.origin.checkpoints != before.origin.checkpoints and after.origin.source == "drawn"
    assert after.origin.grade is None, "the new weights sample another map from these seeds"
    assert after.photographs[0].style.seed == 12
    assert apart(after.photographs[0].pixels, before.photographs[0].pixels) > 1, "the new weights made it"
    button(app, "Redo").click().run()
    assert (drawn(app) == EX).sum() > (before.label_map == EX).sum()
    button(app, "Undo").click().run()
    button(app, "Undo").click().run()
    assert np.array_equal(drawn(app), sampled) and button(app, "Undo").disabled and errors(app) == []
    assert rendered(app).pair.origin.source == ("template" if start == "left" else "drawn")


def test_a_drawing_goes_on_with_a_model_of_another_size(app, own_folder):
    on(app, "draw")
    send(app, circle(HE))
    small = drawn(app)
    photo_weights(own_folder, size=2 * TINY_SIZE)
    checkpoints.save(
        own_folder / "maps.safetensors",
        "maps",
        MapGenerator(MapGeneratorConfig(latent_dim=8, w_dim=8, mapping_layers=2, channels=(8,) * 5)).eval(),
        {"data": "none (random weights for tests)"},
    )
    app.run()
    assert errors(app) == [] and np.array_equal(drawn(app), fit_map(small, 2 * TINY_SIZE))
    button(app, "Undo").click().run()
    assert np.array_equal(drawn(app), empty_map(2 * TINY_SIZE, "left")), "the same start"
