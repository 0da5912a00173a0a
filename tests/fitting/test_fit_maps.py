"""From maps that a model draws to maps that it keeps: the command as a person types it."""

import numpy as np
import pytest
from PIL import Image

from retinagan import checkpoints
from retinagan.cli import main
from retinagan.data.prepare import MANIFEST_COLUMNS
from retinagan.fitting.maps import KEPT, ceiling_of
from retinagan.maps.descriptors import DESCRIPTORS, describe
from retinagan.maps.measure import measure
from retinagan.maps.selection import JUDGED, KEEP_ALL, MapSelection
from retinagan.pipeline import RetinaGAN
from tests.helpers import tiny_model
from tests.test_recipe import run

REAL = 30
SEEDS = range(80)
AREA = DESCRIPTORS.index("EX area")


def exudates(maps: np.ndarray) -> np.ndarray:
    return np.array([describe(measure(label_map), label_map)[AREA] for label_map in maps])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def data(model, tmp_path_factory):
    """Real maps of grade 2 are those of 120 drawn ones that hold the most hard exudates; there are three of grade 3."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "maps").mkdir()
    drawn = RetinaGAN.from_pretrained(model, "cpu").sample_maps(2, range(4 * REAL))
    most = drawn[np.argsort(-exudates(drawn))[: REAL + 3]]
    lines = [",".join(MANIFEST_COLUMNS)]
    for number, label_map in enumerate(most):
        Image.fromarray(label_map, mode="P").save(folder / "maps" / f"e{number:02}.png")
        row = dict.fromkeys(MANIFEST_COLUMNS, "") | {
            "id": f"e{number:02}", "eye": f"e{number}", "split": "train", "label": "pseudo", "has_map": "1",
            "grade": "3" if number >= REAL else "2", "size": "64",
        }  # fmt: skip
        lines.append(",".join(row[name] for name in MANIFEST_COLUMNS))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_kept_maps_are_more_like_the_real_ones(model, data, capsys):
    path = model / "maps.safetensors"
    first = checkpoints.describe(path)
    before = RetinaGAN.from_pretrained(model, "cpu").sample_maps(2, SEEDS)
    command = ("fit-maps", "--data", data, "--model", model, "--count", 60, "--device", "cpu", "--quiet")
    run(*command, "--dry-run")
    printed = capsys.readouterr().out
    assert checkpoints.describe(path) == first
    run(*command)
    assert capsys.readouterr().out == printed
    assert all(text in printed for text in (f"grade 2, real ({REAL})", "grade 2, drawn", "grade 2, kept", "EX area"))

    now = checkpoints.describe(path)
    selection = MapSelection(**now["config"].pop("selection"))
    assert MapSelection(**first["config"].pop("selection")) == KEEP_ALL
    bias = now["config"].pop("lesion_bias")
    assert first["config"].pop("lesion_bias") == [0.0] * 4 and bias[0] > 0.1
    assert (now["config"], now["facts"]) == (first["config"], first["facts"])
    assert [selection.rejects(grade) for grade in range(5)] == [False, False, True, False, False]
    after = RetinaGAN.from_pretrained(model, "cpu")
    real = exudates(np.stack([np.asarray(Image.open(path)) for path in sorted((data / "maps").iterdir())[:REAL]]))
    drawn, kept = exudates(before), exudates(after.sample_maps(2, SEEDS))
    assert kept.mean() > drawn.mean() + 0.3 and (kept < 8).sum() < (drawn < 8).sum()  # no real one lies below 9
    assert selection.highest[2][JUDGED.index("EX area")] == pytest.approx(real.max())
    # It is fitted to what the network draws, not to what an earlier selection kept.
    run(*command)
    assert MapSelection(**checkpoints.describe(path)["config"]["selection"]) == selection


def test_data_without_enough_maps_are_refused(model, data, tmp_path, capsys):
    (tmp_path / "maps").symlink_to(data / "maps")
    lines = (data / "manifest.csv").read_text().splitlines()
    (tmp_path / "manifest.csv").write_text("\n".join(lines[:12]) + "\n")
    assert main(["fit-maps", "--data", str(tmp_path), "--model", str(model), "--quiet"]) == 2
    assert "no grade above 0 has 20 training maps" in capsys.readouterr().err


def test_the_ceiling_keeps_the_share_that_is_asked_for():
    odds = np.random.default_rng(0).normal(0, 3, 500)
    assert np.exp(np.minimum(odds - ceiling_of(odds), 0)).mean() == pytest.approx(KEPT, abs=1e-6)
    assert np.exp(np.minimum(np.zeros(9) - ceiling_of(np.zeros(9)), 0)).mean() == pytest.approx(KEPT)
