"""The README's recipe, from a data set to exported weights, at tiny widths: every command as a person types it."""

import json

import yaml

from retinagan.cli import main
from retinagan.data.prepare import read_manifest
from retinagan.files.maps import read_map_png
from retinagan.maps.labels import OD
from tests.synthetic_eyes import write_idrid

SIZE = 64
SEGMENTER = {
    "task": "segmenter",
    "network": {"channels": [8, 12], "size": SIZE},
    "training": {"batch_size": 4, "crop": 32, "seed": 1, "ema_decay": 0.9, "learning_rate": 1e-2},
}
MAPS = {
    "task": "maps",
    "network": {"latent_dim": 8, "w_dim": 8, "mapping_layers": 2, "channels": [8, 8, 8, 8, 8]},
    "discriminator": {"channels": [8, 8, 8]},
    "training": {"batch": 5, "seed": 1},
}
PHOTOS = {
    "task": "photos",
    "network": {"size": SIZE, "channels": [8, 8], "spade_hidden": [4, 4], "latent_dim": 4},
    "discriminator": {"channels": [8, 8], "guidance_planes": ["vessels"]},
    "training": {"batch_size": 2, "crop": 32, "seed": 1, "varied_copies": 0},
}


def run(*arguments: object) -> None:
    assert main([str(a) for a in arguments]) == 0


def config(path, values):
    path.write_text(yaml.safe_dump(values))
    return path


def test_from_a_data_set_to_weights_that_make_maps(tmp_path):
    source = write_idrid(tmp_path / "IDRiD", grades=(0, 2, 3, 4, 1, 2, 3, 4, 0, 2, 3, 4))
    data, model = tmp_path / "data", tmp_path / "model"
    quick = ("--accelerator", "cpu", "--quiet")
    # A segmenter first, as no shipped one is of this size.
    run("prepare", source, "--out", data, "--size", SIZE, "--include-unlabelled", "--quiet")
    settings = config(tmp_path / "segmenter.yaml", SEGMENTER)
    run("train", "segmenter", "--config", settings, "--run", tmp_path / "seg", "--data", data, "--steps", 120, *quick)
    run("export", tmp_path / "seg", "--out", model)

    run("prepare", source, "--out", data, "--size", SIZE, "--pseudo-label", model, "--quiet")
    settings = config(tmp_path / "maps.yaml", MAPS)
    run("train", "maps", "--config", settings, "--run", tmp_path / "maps", "--data", data, "--steps", 20, *quick)
    run("export", tmp_path / "maps", "--out", model)

    settings = config(tmp_path / "photos.yaml", PHOTOS)
    run("train", "photos", "--config", settings, "--run", tmp_path / "photos", "--data", data, "--steps", 2, *quick)
    run("export", tmp_path / "photos", "--out", model)

    rows = read_manifest(data).values()
    assert {row["label"] for row in rows} == {"masks", "pseudo", "disc"}
    assert all(row["has_map"] == "1" for row in rows)
    assert json.loads((data / "pseudo.json").read_text())["presence"].keys() == {"EX", "HE", "SE", "MA"}
    run(
        "sample",
        "--model",
        model,
        "--grade",
        3,
        "--seeds",
        "0,1",
        "--photos",
        1,
        "--out",
        tmp_path / "pairs",
        "--quiet",
    )
    maps = sorted((tmp_path / "pairs").rglob("*map*.png"))
    assert len(maps) == 2
    assert all((read_map_png(path.read_bytes(), SIZE) == OD).any() for path in maps)
