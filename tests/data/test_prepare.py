"""Preparation: the field is found, masks stay exact, failures are named, a second run keeps what is right."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from retinagan.data.dataset import load_prepared
from retinagan.data.prepare import MANIFEST_COLUMNS, prepare, read_manifest
from retinagan.data.readers import SourceEye, read_fgadr, read_folder, read_idrid
from retinagan.maps.labels import BG, EX, HE, MA, OD, SE, VB, empty_map
from retinagan.maps.parts import DISC_RADIUS, field_of_view
from tests.synthetic_eyes import (
    CENTRE,
    HEIGHT,
    LESIONS,
    WIDTH,
    write_fgadr,
    write_folder,
    write_idrid,
)

SIZE = 64


def pictures(folder, name) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.asarray(Image.open(folder / kind / f"{name}.png")) for kind in ("images", "maps", "vessels"))


@pytest.fixture(scope="module")
def idrid(tmp_path_factory):
    root = write_idrid(tmp_path_factory.mktemp("idrid"))
    out = tmp_path_factory.mktemp("prepared")
    report = prepare(read_idrid(root, include_unlabelled=True), out, SIZE, progress=False)
    return root, out, report


def test_idrid_is_prepared_whole(idrid):
    root, out, report = idrid
    assert report.failed == [] and report.kept == []
    assert report.written == ["grade-001", "grade-002", "grade-003", "seg-01", "seg-02"]
    photo, label_map, vessels = pictures(out, "seg-01")
    assert photo.shape == (SIZE, SIZE, 3) and label_map.shape == vessels.shape == (SIZE, SIZE)
    assert set(np.unique(label_map)) == {BG, EX, HE, SE, MA, OD, VB}
    assert np.array_equal(label_map == BG, ~field_of_view(SIZE))
    assert SE not in pictures(out, "seg-02")[1]
    assert not (out / "maps" / "grade-002.png").exists()
    assert (out / "vessels" / "grade-002.png").exists()


def test_lesions_lie_where_the_masks_have_them(idrid):
    _, out, _ = idrid
    label_map = pictures(out, "seg-01")[1]
    scale, left = SIZE / HEIGHT, CENTRE[0] - HEIGHT / 2
    for index, mask in LESIONS.items():
        rows, columns = np.nonzero(mask)
        row, column = (rows.mean() + 0.5) * scale, (columns.mean() + 0.5 - left) * scale
        found = np.argwhere(label_map == index).mean(axis=0) + 0.5
        assert found == pytest.approx((row, column), abs=1.0), index


def test_manifest_says_what_each_pair_is(idrid):
    root, out, _ = idrid
    rows = read_manifest(out)
    assert list(rows) == sorted(rows) and set(next(iter(rows.values()))) == set(MANIFEST_COLUMNS)
    row = rows["seg-01"]
    photo = root / "A. Segmentation" / "1. Original Images" / "a. Training Set" / "IDRiD_01.jpg"
    assert row["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert (row["source"], row["grade"], row["has_masks"], row["has_map"], row["size"]) == (
        "idrid",
        "2",
        "1",
        "1",
        "64",
    )
    assert (rows["grade-001"]["has_masks"], rows["grade-001"]["has_map"]) == ("0", "1")
    assert (rows["grade-002"]["has_masks"], rows["grade-002"]["has_map"]) == ("0", "0")
    assert rows["seg-02"]["grade"] == "" and rows["seg-02"]["fovea_x"] == ""
    assert row["split"] == rows["grade-002"]["split"] and row["eye"] == rows["grade-002"]["eye"]
    left = CENTRE[0] - HEIGHT / 2
    assert float(rows["grade-001"]["fovea_x"]) == pytest.approx((100 - left) * SIZE / HEIGHT, abs=0.5)
    assert float(rows["grade-001"]["disc_y"]) == pytest.approx(60 * SIZE / HEIGHT, abs=1)
    with (out / "grades.csv").open() as file:
        assert {r["id"]: r["grade"] for r in csv.DictReader(file)}["grade-003"] == "3"


def test_disc_of_a_healthy_photo_comes_from_its_centre(idrid):
    _, out, _ = idrid
    label_map = pictures(out, "grade-001")[1]
    assert set(np.unique(label_map)) == {BG, OD, VB}
    disc = label_map == OD
    assert np.argwhere(disc).mean(axis=0) + 0.5 == pytest.approx((30, (40 - CENTRE[0] + 64) / 2), abs=1)
    assert disc.sum() == pytest.approx(np.pi * (DISC_RADIUS * SIZE) ** 2, rel=0.12)


def test_prepared_folder_loads_by_split(idrid):
    _, out, _ = idrid
    rows = read_manifest(out)
    for split in ("train", "heldout"):
        expected = tuple(n for n, r in rows.items() if r["split"] == split and r["has_map"] == "1")
        if not expected:
            continue
        data = load_prepared(out, split)
        assert data.ids == expected and len(data) == len(expected)
        assert data.photos.shape == (len(data), SIZE, SIZE, 3) and data.photos.dtype == np.uint8
        for number, name in enumerate(data.ids):
            photo, label_map, vessels = pictures(out, name)
            assert np.array_equal(data.photos[number], photo) and np.array_equal(data.vessels[number], vessels)
            assert np.array_equal(data.maps[number], label_map)
            assert data.grades[number] == (int(rows[name]["grade"]) if rows[name]["grade"] else -1)
            assert np.isnan(data.fovea[number]).all() == (rows[name]["fovea_x"] == "")
    everything = [load_prepared(out, s, include_unlabelled=True) for s in {r["split"] for r in rows.values()}]
    assert sorted(i for d in everything for i in d.ids) == list(rows)
    unlabelled = [d.maps[n] for d in everything for n in range(len(d)) if not d.has_map[n]]
    assert len(unlabelled) == 2 and not np.any(unlabelled)


def test_prepared_folder_is_a_plain_folder_again(idrid, tmp_path):
    _, out, _ = idrid
    eyes = {eye.source_id: eye for eye in read_folder(out)}
    assert {n: e.eye for n, e in eyes.items()} == {n: r["eye"] for n, r in read_manifest(out).items()}
    again = [eyes["seg-01"]]
    assert prepare(again, tmp_path, SIZE, progress=False).failed == []
    for first, second in zip(pictures(out, "seg-01"), pictures(tmp_path, "seg-01"), strict=True):
        assert np.array_equal(first, second)


def test_a_second_run_keeps_what_is_right_and_makes_the_rest(tmp_path):
    root, out = write_idrid(tmp_path / "idrid"), tmp_path / "out"
    prepare(read_idrid(root), out, SIZE, progress=False)
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/*.png")}
    report = prepare(read_idrid(root), out, SIZE, progress=False)
    assert report.written == [] and len(report.kept) == 3
    assert before == {p: p.stat().st_mtime_ns for p in out.glob("*/*.png")}

    (out / "vessels" / "seg-02.png").unlink()  # lost
    table = next((root / "C. Localization" / "2. Groundtruths" / "1. Optic Disc Center Location").iterdir())
    table.write_text(table.read_text().replace("IDRiD_001,40.0", "IDRiD_001,50.0"))  # corrected
    report = prepare(read_idrid(root), out, SIZE, progress=False)
    assert report.written == ["grade-001", "seg-02"] and report.kept == ["seg-01"]


class PicklingThreads(ThreadPoolExecutor):
    """Stands in for the pool of processes, whose start takes seconds: what crosses to a worker and back is pickled."""

    def __init__(self, workers, mp_context):
        assert mp_context.get_start_method() == "spawn"
        super().__init__(workers)

    def submit(self, function, job):
        function, job = pickle.loads(pickle.dumps((function, job)))
        return super().submit(lambda: pickle.loads(pickle.dumps(function(job))))


def test_workers_write_the_same_files(idrid, tmp_path, monkeypatch):
    root, out, _ = idrid
    monkeypatch.setattr("retinagan.data.prepare.ProcessPoolExecutor", PicklingThreads)
    eyes = [*read_idrid(root), SourceEye("none", tmp_path / "none.png")]
    report = prepare(eyes, tmp_path, SIZE, workers=2, progress=False)
    assert report.written == ["grade-001", "seg-01", "seg-02"] and [name for name, _ in report.failed] == ["none"]
    for kind in ("images", "maps", "vessels"):
        assert (tmp_path / kind / "seg-01.png").read_bytes() == (out / kind / "seg-01.png").read_bytes()
    assert read_manifest(tmp_path)["seg-02"] == read_manifest(out)["seg-02"]


def test_broken_and_missing_files_are_named_and_the_rest_goes_on(tmp_path):
    root, out = write_idrid(tmp_path / "idrid", grades=(0, 0, 0, 9)), tmp_path / "out"
    graded = root / "B. Disease Grading" / "1. Original Images" / "a. Training Set"
    (graded / "IDRiD_001.jpg").write_bytes((graded / "IDRiD_001.jpg").read_bytes()[:900])
    (graded / "IDRiD_002.jpg").unlink()
    masks = root / "A. Segmentation" / "2. All Segmentation Groundtruths" / "a. Training Set"
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(masks / "2. Haemorrhages" / "IDRiD_01_HE.tif")
    (masks / "5. Optic Disc" / "IDRiD_02_OD.tif").write_bytes(b"nothing")
    report = prepare(read_idrid(root), out, SIZE, progress=False)
    assert report.written == ["grade-003"]
    reasons = dict(report.failed)
    assert set(reasons) == {"grade-001", "grade-002", "grade-004", "seg-01", "seg-02"}
    assert "IDRiD_001.jpg is no readable picture" in reasons["grade-001"]
    assert "IDRiD_002.jpg does not exist" in reasons["grade-002"]
    assert "grade '9'" in reasons["grade-004"]
    assert f"IDRiD_01_HE.tif is 7 × 5, its photograph {WIDTH} × {HEIGHT}" in reasons["seg-01"]
    assert "IDRiD_02_OD.tif is no readable picture" in reasons["seg-02"]
    assert report.summary().startswith("1 prepared, 0 already there, 5 failed\nfailed: grade-001: ")
    assert list(read_manifest(out)) == ["grade-003"]


def test_fgadr_masks_are_thresholded_and_there_is_no_disc(tmp_path):
    report = prepare(read_fgadr(write_fgadr(tmp_path / "in")), tmp_path / "out", SIZE, progress=False)
    assert report.written == ["fgadr-0001_1", "fgadr-0002_1"]
    label_map = pictures(tmp_path / "out", "fgadr-0001_1")[1]
    assert set(np.unique(label_map)) == {BG, HE, VB}
    scale = SIZE / (2 * 64 * 0.99)
    assert (label_map == HE).sum() == pytest.approx(100 * scale**2, abs=8)  # 10 × 10, not the 127s beside it


@pytest.mark.parametrize("index_png", [False, True])
def test_plain_folder_in_colours_or_indices(tmp_path, index_png):
    label_map = empty_map(SIZE)
    label_map[40, 30] = MA
    report = prepare(
        read_folder(write_folder(tmp_path / "in", label_map, index_png)), tmp_path / "out", SIZE, progress=False
    )
    assert report.failed == []
    assert np.array_equal(pictures(tmp_path / "out", "a")[1], label_map)
    row = read_manifest(tmp_path / "out")["a"]
    assert (row["source"], row["grade"], row["has_masks"]) == ("folder", "1", "1")


@pytest.mark.parametrize(
    "value, mode, message",
    [(9, "L", "class indices 0-6, found 9"), (200, "RGB", r"colour \(200, 200, 200\) at row 0, column 0")],
)
def test_maps_with_other_values_fail_by_name(tmp_path, value, mode, message):
    root = write_folder(tmp_path / "in", empty_map(SIZE))
    Image.new(mode, (SIZE, SIZE), (value,) * 3 if mode == "RGB" else value).save(root / "maps" / "a.png")
    report = prepare(read_folder(root), tmp_path / "out", SIZE, progress=False)
    with pytest.raises(ValueError, match=message):
        raise ValueError(report.failed[0][1])


def test_two_data_sets_share_a_folder_but_not_two_sizes(tmp_path):
    out = tmp_path / "out"
    prepare(read_folder(write_folder(tmp_path / "a", empty_map(SIZE))), out, SIZE, progress=False)
    prepare(read_fgadr(write_fgadr(tmp_path / "b")), out, SIZE, progress=False)
    assert list(read_manifest(out)) == ["a", "fgadr-0001_1", "fgadr-0002_1"]
    with pytest.raises(ValueError, match="prepared at size 64, not 32"):
        prepare(read_fgadr(tmp_path / "b"), out, 32, progress=False)


def test_wrong_arguments_are_named(tmp_path):
    eye = SourceEye("a", tmp_path / "a.png")
    for arguments, message in (
        (([], tmp_path), "no eyes to prepare"),
        (([eye], tmp_path, 7), "size is 7; allowed are 32-2048"),
        (([eye], tmp_path, 64, 0), "workers is 0"),
        (([eye, eye], tmp_path), "two eyes have the id 'a'"),
        (([dataclasses.replace(eye, source_id="../a")], tmp_path), "cannot be a file name"),
    ):
        with pytest.raises(ValueError, match=message):
            prepare(*arguments)


def test_loading_refuses_what_is_not_whole(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m retinagan prepare"):
        load_prepared(tmp_path, "train")
    (tmp_path / "manifest.csv").write_text("id,split\n")
    with pytest.raises(ValueError, match="lacks the columns"):
        load_prepared(tmp_path, "train")
    out = tmp_path / "out"
    prepare(read_folder(write_folder(tmp_path / "in", empty_map(SIZE))), out, SIZE, progress=False)
    split = read_manifest(out)["a"]["split"]
    other = {"train": "heldout", "heldout": "train"}[split]
    with pytest.raises(ValueError, match=f"no pair of the split '{other}'"):
        load_prepared(out, other)
    with pytest.raises(ValueError, match="split is 'test'"):
        load_prepared(out, "test")
    Image.new("L", (9, 9)).save(out / "vessels" / "a.png")
    with pytest.raises(ValueError, match="a.png is damaged or was changed"):
        load_prepared(out, split)
    (out / "vessels" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match="listed in the manifest but missing"):
        load_prepared(out, split)
