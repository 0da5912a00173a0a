"""The contact sheet shows what the model gives."""

import numpy as np
from PIL import Image

from retinagan.cli import main
from retinagan.evaluation import sheet
from retinagan.maps import labels
from retinagan.pipeline import RetinaGAN
from tests.helpers import tiny_model


def test_rows_are_maps_and_photographs_of_each_grade(tmp_path):
    folder = tiny_model(tmp_path / "model")
    model = RetinaGAN.from_pretrained(folder)
    picture = sheet.contact_sheet(model, [4, 9], side=64)
    assert picture.shape == (640, 128, 3)
    maps = model.sample_maps(3, [4, 9])
    assert np.array_equal(picture[6 * 64 : 7 * 64, 64:], labels.colours_from_map(maps[1]))
    assert np.array_equal(picture[7 * 64 : 8 * 64, :64], model.render(maps[:1], [4])[0])
    arguments = [
        "evaluate",
        "sheet",
        "--model",
        str(folder),
        "--count",
        "2",
        "--side",
        "16",
        "--out",
        str(tmp_path / "a"),
    ]
    assert main(arguments) == 0
    assert Image.open(tmp_path / "a" / "sheet-grades.png").size == (32, 160)
