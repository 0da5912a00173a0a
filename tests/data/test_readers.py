"""Readers: what they list from the official layouts, and what they say of broken ones."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from retinagan.data.prepare import split_of
from retinagan.data.readers import SourceEye, detect_layout, read_fgadr, read_folder, read_idrid
from retinagan.maps.labels import EX, HE, MA, OD, SE, empty_map
from tests.synthetic_eyes import DISC, FOVEA, write_fgadr, write_folder, write_idrid


def by_id(eyes) -> dict[str, SourceEye]:
    eyes = list(eyes)
    assert len({eye.source_id for eye in eyes}) == len(eyes)
    return {eye.source_id: eye for eye in eyes}


def test_idrid_pairs_are_segmentation_photos_and_grade_0(tmp_path):
    eyes = by_id(read_idrid(write_idrid(tmp_path)))
    assert list(eyes) == ["seg-01", "seg-02", "grade-001"]
    assert all(eye.has_map and eye.problem is None for eye in eyes.values())
    assert set(eyes["seg-01"].mask_paths) == {MA, HE, EX, SE, OD}
    assert set(eyes["seg-02"].mask_paths) == {MA, HE, EX, OD}  # no file: no soft exudate
    assert [eye.grade for eye in eyes.values()] == [2, None, 0]
    assert eyes["grade-001"].disc_xy == DISC[:2] and eyes["grade-001"].fovea_xy == FOVEA


def test_idrid_segmentation_photo_takes_the_centres_of_its_grading_photo(tmp_path):
    eyes = by_id(read_idrid(write_idrid(tmp_path), include_unlabelled=True))
    assert list(eyes) == ["seg-01", "seg-02", "grade-001", "grade-002", "grade-003"]
    assert eyes["seg-01"].disc_xy == DISC[:2] and eyes["seg-01"].fovea_xy == FOVEA
    assert eyes["seg-02"].fovea_xy is None
    assert not eyes["grade-002"].has_map and eyes["grade-002"].grade == 2


def test_the_same_eye_is_in_the_same_split(tmp_path):
    eyes = by_id(read_idrid(write_idrid(tmp_path), include_unlabelled=True))
    assert eyes["seg-01"].eye == eyes["grade-002"].eye
    assert len({eye.eye for eye in eyes.values()}) == 4


def test_about_one_eye_in_seven_is_held_out_and_always_the_same():
    names = [f"idrid:seg-{n}" for n in range(2000)]
    splits = [split_of(name) for name in names]
    assert splits.count("heldout") == pytest.approx(2000 / 7, rel=0.15)
    assert set(splits) == {"train", "heldout"}
    assert split_of("idrid:seg-08") == "heldout" and split_of("idrid:seg-01") == "train"


def test_idrid_without_match_list_or_with_archives_unpacked_into_their_names(tmp_path):
    root = write_idrid(tmp_path / "plain")
    (root / "segmentation_grades.csv").unlink()
    nested = tmp_path / "nested"
    for name in ("A. Segmentation", "B. Disease Grading", "C. Localization"):
        shutil.copytree(root / name, nested / name / name)
    for folder in (root, nested):
        eyes = by_id(read_idrid(folder))
        assert list(eyes) == ["seg-01", "seg-02", "grade-001"]
        assert eyes["seg-01"].grade is None and eyes["seg-01"].disc_xy is None
        assert eyes["grade-001"].disc_xy == DISC[:2]


def test_idrid_names_what_is_wrong_with_an_eye(tmp_path):
    root = write_idrid(tmp_path)
    table = next((root / "B. Disease Grading" / "2. Groundtruths").iterdir())
    table.write_text(table.read_text().replace("IDRiD_001,0", "IDRiD_001,7").replace("IDRiD_003", "IDRiD_004"))
    photos = root / "A. Segmentation" / "1. Original Images" / "a. Training Set"
    (photos / "IDRiD_02.jpg").unlink()
    shutil.copy(photos / "IDRiD_01.jpg", photos / "IDRiD_05.jpg")
    eyes = by_id(read_idrid(root, include_unlabelled=True))
    assert "grade '7' in the grading table; allowed are 0-4" in eyes["grade-001"].problem
    assert eyes["grade-003"].problem == "no row in the grading table"
    assert not eyes["grade-004"].photo_path.exists()  # listed without a photograph: left to prepare to report
    assert not eyes["seg-02"].photo_path.exists()
    assert eyes["seg-05"].problem == "none of its mask files is there"


def test_fgadr(tmp_path):
    eyes = by_id(read_fgadr(write_fgadr(tmp_path)))
    assert list(eyes) == ["fgadr-0001_1", "fgadr-0002_1"]
    assert set(eyes["fgadr-0001_1"].mask_paths) == {MA, HE, EX, SE}
    assert [eye.grade for eye in eyes.values()] == [2, 3]
    Image.fromarray(np.zeros((140, 140), np.uint8)).save(tmp_path / "Original_Images" / "0003_1.png")
    (tmp_path / "OpticDisc_Masks").mkdir()
    Image.fromarray(np.zeros((140, 140), np.uint8)).save(tmp_path / "OpticDisc_Masks" / "0001_1.png")
    eyes = by_id(read_fgadr(tmp_path))
    assert OD in eyes["fgadr-0001_1"].mask_paths and OD not in eyes["fgadr-0002_1"].mask_paths
    assert eyes["fgadr-0003_1"].grade is None


def test_folder(tmp_path):
    root = write_folder(tmp_path, empty_map(64))
    (root / "grades.csv").write_text("id,grade,eye\na,1,left\nb,,left\nc,five,\n")
    eyes = by_id(read_folder(root))
    assert eyes["a"].map_path.name == "a.png" and eyes["a"].grade == 1 and eyes["a"].has_map
    assert eyes["b"].grade is None and eyes["b"].eye == eyes["a"].eye == "left" and not eyes["b"].has_map
    assert "'five'" in eyes["c"].problem
    (root / "grades.csv").unlink()
    assert list(by_id(read_folder(root))) == ["a"]


def test_layouts_are_told_apart(tmp_path):
    assert detect_layout(write_idrid(tmp_path / "i", grades=(0,))) == "idrid"
    assert detect_layout(write_fgadr(tmp_path / "f")) == "fgadr"
    assert detect_layout(write_folder(tmp_path / "p", empty_map(32))) == "folder"
    with pytest.raises(ValueError, match="no known data set; expected .*Original_Images"):
        detect_layout(tmp_path)


@pytest.mark.parametrize("reader", [read_idrid, read_fgadr, read_folder])
def test_missing_and_empty_folders(tmp_path, reader):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        list(reader(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="holds no"):
        list(reader(tmp_path))


def test_tables_that_are_none(tmp_path):
    root = write_folder(tmp_path, empty_map(32))
    (root / "grades.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="not a CSV table"):
        list(read_folder(root))
    (root / "grades.csv").write_text("name;grade\n")
    with pytest.raises(ValueError, match="header must be 'id,grade'"):
        list(read_folder(root))
