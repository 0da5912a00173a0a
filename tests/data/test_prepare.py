"""Preparation: the field is found, masks stay exact, failures are named, a second run keeps what is right."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from retinagan.data.dataset import load_prepared
from retinagan.data.prepare import MANIFEST_COLUMNS, prepare, read_manifest
from retinagan.data.readers import SourceEye, read_fgadr, read_folder, read_idrid
from retinagan.eye.ridges import _without_specks, vesselness
from retinagan.maps.field import Circle, Square, cut_map, cut_mask, cut_photo, field_square, find_field, paint_map
from retinagan.maps.labels import BG, EX, HE, MA, OD, SE, VB, empty_map
from retinagan.maps.parts import DISC_RADIUS, field_of_view
from tests.synthetic_eyes import (
    CENTRE,
    HEIGHT,
    LESIONS,
    RADIUS,
    WIDTH,
    draw_photo,
    vessel,
    write_fgadr,
    write_folder,
    write_idrid,
)

SIZE = 64


# --- the field of view ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "width, height, centre, radius",
    [
        (WIDTH, HEIGHT, CENTRE, RADIUS),  # cut off at the top and bottom
        (200, 200, (98.0, 103.0), 90.0),  # a whole circle
        (1200, 800, (590.0, 395.0), 480.0),  # found on a reduced copy
        (150, 200, (75.0, 100.0), 90.0),  # cut off at both sides
        (220, 180, (110.0, 60.0), 80.0),  # cut off at the top alone
    ],
)
def test_field_is_found(width, height, centre, radius):
    circle = find_field(draw_photo(width, height, centre, radius))
    tolerance = max(1.0, 0.01 * radius)
    assert circle == pytest.approx((*centre, radius), abs=tolerance)


def test_field_is_found_in_spite_of_a_dark_crescent_and_a_label():
    photo = draw_photo(300, 240, (150, 120), 140)
    y, x = np.mgrid[:240, :300]
    photo[(x < 60) & (y > 150)] = 3
    photo[5:15, 270:295] = 255
    assert find_field(photo) == pytest.approx((150, 120, 140), abs=2.5)


@pytest.mark.parametrize(
    "photo, message",
    [
        (np.full((100, 150, 3), 90, np.uint8), "evenly dark"),
        (np.tile(np.linspace(60, 255, 150).astype(np.uint8)[None, :, None], (100, 1, 3)), "on black"),
        (np.pad(np.full((20, 300, 3), 180, np.uint8), ((90, 90), (20, 20), (0, 0))), "no field of view"),
        (np.pad(np.full((200, 150, 3), 180, np.uint8), ((0, 0), (0, 150), (0, 0))), "no field of view"),
    ],
)
def test_pictures_without_a_field_are_refused(photo, message):
    with pytest.raises(ValueError, match=message):
        find_field(photo)


@pytest.mark.parametrize(
    "circle, width, height, expected",
    [
        (Circle(100, 66, 80), 200, 128, Square(36, 0, 128)),  # cut off: the photograph's height, centred on the field
        (Circle(100, 110, 90), 220, 220, Square(10.9, 20.9, 178.2)),  # whole: its bounding square less the rim
        (Circle(50.4, 49.8, 50.3), 100, 100, Square(0, 0, 100)),  # prepared already: as it is
    ],
)
def test_square_of_the_field(circle, width, height, expected):
    assert field_square(circle, width, height) == pytest.approx(expected)


@pytest.mark.parametrize("circle", [Circle(20, 60, 70), Circle(180, 10, 80), Circle(100, 64, 150)])
def test_square_lies_within_picture_and_its_circle_within_the_field(circle):
    square = field_square(circle, 200, 128)
    assert square.left >= -1e-6 and square.top >= -1e-6 and square.side > 30
    assert square.left + square.side <= 200 + 1e-6 and square.top + square.side <= 128 + 1e-6
    half = square.side / 2
    distance = np.hypot(square.left + half - circle.x, square.top + half - circle.y)
    assert distance + half <= circle.radius + 1e-3


def test_photo_is_black_outside_the_circle_and_bright_inside():
    photo = draw_photo()
    cut = cut_photo(photo, field_square(find_field(photo), WIDTH, HEIGHT), SIZE)
    field = field_of_view(SIZE)
    assert cut.shape == (SIZE, SIZE, 3) and not cut[~field].any()
    assert cut[field].max(axis=1).min() > 60  # nothing of the dark surround came in


# --- masks and maps -------------------------------------------------------------------------------------------------


def test_masks_are_cut_by_area_and_no_lesion_is_lost():
    mask = np.zeros((400, 400), dtype=bool)
    mask[100:140, 200:240] = True
    mask[300, 50] = True
    mask[350:352, 351:359] = True
    cut = cut_mask(mask, Square(0, 0, 400), 50)
    expected = np.zeros((50, 50), dtype=bool)
    expected[12:17, 25:30] = True  # rows 100-140 are pixels 12.5-17.5: half covered ones are in, at both ends
    expected[17, 25:30] = True
    expected[37, 6] = expected[43, 44] = True  # of the bar's two pixels the one that holds more of it
    assert np.array_equal(cut, expected)
    assert cut_mask(mask, Square(0, 0, 400), 50, keep_components=False).sum() == 30


def test_lesions_outside_the_square_do_not_come_in():
    mask = np.zeros((100, 160), dtype=bool)
    mask[50, 5] = mask[50, 155] = mask[99, 80] = True
    assert cut_mask(mask, Square(30, 0, 100), 20).sum() == 1


def test_map_is_painted_in_order_of_size_within_the_field():
    everywhere = np.ones((SIZE, SIZE), dtype=bool)
    order = [OD, SE, EX, HE, MA]
    for below, above in itertools.pairwise(order):
        label_map = paint_map({above: everywhere, below: everywhere}, SIZE)
        assert set(np.unique(label_map)) == {BG, above}
    label_map = paint_map({}, SIZE, (20.0, 30.0, 5.0))
    assert (label_map == OD).sum() == pytest.approx(np.pi * 25, rel=0.1)
    assert np.array_equal(label_map == BG, ~field_of_view(SIZE))
    with pytest.raises(ValueError, match=r"\[6\]"):
        paint_map({VB: everywhere}, SIZE)


def test_finished_maps_keep_classes_and_lesions():
    label_map = empty_map(256)
    label_map[100, 100] = MA
    cut = cut_map(label_map, Square(0, 0, 256), 64)
    assert set(np.unique(cut)) == {BG, MA, OD, VB} and (cut == MA).sum() == 1
    assert np.array_equal(cut_map(label_map, Square(0, 0, 256), 256), label_map)


# --- vessels --------------------------------------------------------------------------------------------------------


def prepared_photo(size: int) -> tuple[np.ndarray, np.ndarray]:
    half = size / 2
    return draw_photo(size, size, (half, half), half - 0.5), vessel(size, size) & field_of_view(size)


def test_vessels_are_found_where_they_are():
    photo, truth = prepared_photo(256)
    response = vesselness(photo)
    assert response.dtype == np.float32 and response.min() == 0 and response.max() == 1
    d = np.hypot(*(np.mgrid[:256, :256] - 128))
    inner = d < 115
    assert (response[truth & inner] > 0.3).mean() > 0.9
    far = inner & (np.hypot(*(np.mgrid[:256, :256] - np.array([60, 40])[:, None, None])) > 25) & ~vessel(256, 256)
    assert (response[far] > 0.3).mean() < 0.12
    assert not response[d > 128].any()


def test_vessels_leave_out_dark_lesions():
    photo, _ = prepared_photo(256)
    photo[150:154, 100:180] //= 2
    label_map = np.where(field_of_view(256), VB, BG).astype(np.uint8)
    unmasked = vesselness(photo, label_map)
    label_map[150:154, 100:180] = HE
    masked = vesselness(photo, label_map)
    assert unmasked[150:154, 110:170].mean() > 0.5
    assert not masked[149:155, 99:181].any()


def test_an_even_field_has_no_vessels_and_lines_on_it_are_some():
    photo = np.where(field_of_view(256)[..., None], np.uint8([150, 80, 40]), np.uint8(0))
    assert not vesselness(photo).any()
    rows = np.array([80, 110, 140, 170])
    for row in rows:
        photo[row : row + 3, 60:200] = (90, 30, 20)
    assert vesselness(photo)[rows + 1, 80:180].min() > 0.5


def test_specks_are_removed():
    response = np.zeros((60, 60), dtype=np.float32)
    response[5:9, 5:9] = 1.0  # 16 pixels
    response[30:32, 5:45] = 0.5
    response[32, 5:45] = 0.05  # a vessel's faint edge stays
    response[50, 50] = 0.05
    kept = _without_specks(response, 25)
    expected = np.where(np.arange(60)[:, None] < 20, 0, response)
    expected[50, 50] = 0
    assert np.array_equal(kept, expected)


def test_vesselness_refuses_other_pictures():
    with pytest.raises(ValueError, match="prepared photograph"):
        vesselness(np.zeros((10, 12, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"map has shape \(16, 16\)"):
        vesselness(np.zeros((32, 32, 3), dtype=np.uint8), empty_map(16))


# --- whole data sets ------------------------------------------------------------------------------------------------


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
