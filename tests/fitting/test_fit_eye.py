"""From training to weights whose new eyes are corrected: every command as a person types it, on drawn eyes."""

import json

import numpy as np
import pytest

from retinagan import checkpoints
from retinagan.eye.statistics import EyeCorrections
from retinagan.fitting.knobs import KNOBS
from retinagan.maps.labels import empty_map
from retinagan.pipeline import RetinaGAN
from tests.helpers import tiny_model
from tests.synthetic_eyes import write_idrid
from tests.test_recipe import PHOTOS, SIZE, config, run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit-eye")
    source = write_idrid(folder / "IDRiD", grades=(0, 0, 0, 2))
    run("prepare", source, "--out", folder / "data", "--size", SIZE, "--quiet")
    return folder / "data"


def test_a_trained_model_is_corrected_and_renders_so(data, tmp_path, capsys):
    model = tiny_model(tmp_path / "model")
    settings = config(tmp_path / "photos.yaml", {**PHOTOS, "network": {**PHOTOS["network"], "texture_skip": 0.03}})
    quick = ("--accelerator", "cpu", "--quiet")
    run("train", "photos", "--config", settings, "--run", tmp_path / "run", "--data", data, "--steps", 2, *quick)
    run("export", tmp_path / "run", "--out", model)
    path = model / "photos.safetensors"
    first = checkpoints.describe(path)
    before = RetinaGAN.from_pretrained(model, "cpu").render(empty_map(SIZE, "left")[None], [5])
    capsys.readouterr()

    fit = ("fit-eye", "--data", data, "--model", model, "--eyes", 3, "--rounds", 1, "--device", "cpu", "--quiet")
    run(*fit, "--out", tmp_path / "fit", "--dry-run")
    printed = capsys.readouterr().out
    assert checkpoints.describe(path) == first  # a dry run changes nothing
    run(*fit, "--out", tmp_path / "fit")
    assert capsys.readouterr().out == printed  # nor does it matter that all was measured before

    now = checkpoints.describe(path)
    corrections = EyeCorrections(**now["config"]["corrections"])
    told = json.loads((tmp_path / "fit" / "fit-eye.json").read_text())
    assert corrections == EyeCorrections(**told["after"]) != EyeCorrections(**told["before"])
    assert {k: v for k, v in now["config"].items() if k != "corrections"} == {
        k: v for k, v in first["config"].items() if k != "corrections"
    }
    assert now["facts"] == first["facts"]
    for knob in KNOBS:
        assert knob.name in printed
    assert "vessel density" in printed
    fitted = RetinaGAN.from_pretrained(model, "cpu")
    assert fitted.photo_generator.config.corrections == corrections
    after = fitted.render(empty_map(SIZE, "left")[None], [5])
    assert np.abs(after.astype(int) - before).max() > 0
