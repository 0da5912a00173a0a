"""Vessel statistics of planes that are drawn here and known, and the report of grown against real."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from retinagan.evaluation import vessels
from retinagan.evaluation.vessels import HEADLINE, Trees, Vessels, vessel_statistics, visible_field
from retinagan.eye.tree.rasterise import grow_vessels
from retinagan.maps.labels import BG, EX, HE, VB, empty_map
from retinagan.resources import DEFAULT_MODEL
from tests.helpers import SHIPPED

SIZE = 512
Y, X = np.mgrid[:SIZE, :SIZE]


def lines(*rows: tuple[int, int, int]) -> np.ndarray:
    """Horizontal vessels (row, left, right), each 5 pixels wide."""
    plane = np.zeros((SIZE, SIZE), dtype=np.uint8)
    for row, left, right in rows:
        plane[row - 2 : row + 3, left:right] = 255
    return plane


def test_density_width_and_components_of_known_vessels():
    label_map = empty_map(SIZE, "left")
    plane = lines((130, 150, 350), (400, 200, 300))
    measured = vessel_statistics(plane, label_map)
    assert measured["density"] == pytest.approx(1500 / visible_field(label_map).sum(), rel=1e-6)
    assert measured["components"] == 2
    assert measured["connected"] == pytest.approx(2 / 3)
    for name in ("calibre_25", "calibre_50", "calibre_75"):
        assert measured[name] == pytest.approx(5, abs=0.35)
    assert measured["tortuosity"] == pytest.approx(0, abs=0.02)
    assert measured["superior"] > 0 and measured["inferior"] > 0
    assert measured["macula"] == measured["fovea"] == measured["nasal"] == 0


def test_a_wavy_vessel_is_tortuous():
    plane = np.zeros((SIZE, SIZE), dtype=np.float32)
    plane[np.abs(Y - 256 - 20 * np.sin(X / 20)) < 3] = 1
    plane[:, :150] = plane[:, 400:] = 0
    arc = np.sqrt(1 + np.cos(np.arange(150, 400) / 20) ** 2).mean()
    assert vessel_statistics(plane, empty_map(SIZE, None))["tortuosity"] == pytest.approx(arc - 1, abs=0.06)


@pytest.mark.parametrize("degrees", [40, 70])
def test_the_angle_between_daughters_is_found(degrees: int):
    plane = np.zeros((SIZE, SIZE), dtype=np.float32)
    plane[254:259, 120:256] = 1
    for sign in (-1, 1):
        half = np.deg2rad(degrees / 2) * sign
        along = (X - 256) * np.cos(half) + (Y - 256) * np.sin(half)
        across = -(X - 256) * np.sin(half) + (Y - 256) * np.cos(half)
        plane[(along >= 0) & (along < 100) & (np.abs(across) < 2.5)] = 1
    assert vessel_statistics(plane, empty_map(SIZE, None))["angle"] == pytest.approx(degrees, abs=12)


def test_figures_do_not_depend_on_the_size_of_the_picture():
    small, large = empty_map(512, "right"), empty_map(1024, "right")
    plane = grow_vessels(small, 1)
    doubled = plane.repeat(2, 0).repeat(2, 1)
    a, b = vessel_statistics(plane, small), vessel_statistics(doubled, large)
    for name in ("density", "disc_2", "macula", "calibre_50", "calibre_75", "connected"):
        assert b[name] == pytest.approx(a[name], rel=0.12, abs=0.004), name


def test_mirrored_maps_have_mirrored_statistics():
    left = empty_map(SIZE, "left")
    plane = grow_vessels(left, 2)
    a = vessel_statistics(plane, left)
    b = vessel_statistics(plane[:, ::-1], np.ascontiguousarray(left[:, ::-1]))
    for name in a:
        # Skeletons are not quite mirrored: pixels of even vessels lie on one side.
        assert b[name] == pytest.approx(a[name], rel=0.1, abs=10 if name == "angle" else 0.01), name


def test_what_lesions_cover_is_not_counted():
    label_map = empty_map(SIZE, "left")
    plane = lines((150, 150, 350))
    covered = label_map.copy()
    covered[130:170, 150:250][covered[130:170, 150:250] == VB] = HE
    measured = vessel_statistics(plane, covered)
    assert measured["density"] == pytest.approx(97 * 5 / visible_field(covered).sum(), rel=0.02)


def test_nothing_to_measure():
    label_map = empty_map(SIZE, "left")
    measured = vessel_statistics(np.zeros((SIZE, SIZE), dtype=np.uint8), label_map)
    assert measured["density"] == measured["components"] == 0
    assert np.isnan(measured["connected"]) and np.isnan(measured["calibre_50"]) and np.isnan(measured["angle"])
    assert np.isnan(vessel_statistics(np.ones((64, 64)), np.full((64, 64), BG, dtype=np.uint8))["density"])
    with pytest.raises(ValueError, match=r"\(64, 64\)"):
        vessel_statistics(np.zeros((64, 64)), label_map)


def test_shares_within_the_real_range():
    row = vessel_statistics(lines((150, 150, 350)), empty_map(SIZE, "left"))
    real = [{**row, "density": value} for value in np.linspace(0, 1, 11)]
    grown = [{**row, "density": value} for value in (0.05, 0.5, 0.6, 0.95)]
    figures = Vessels.of(real, grown).statistics
    assert figures["density"].real == pytest.approx([0.1, 0.25, 0.5, 0.75, 0.9]) and figures["density"].share == 0.5
    assert set(HEADLINE) < set(figures)
    assert set(Trees.of(real, grown, [True] * 4).statistics) == set(row)


def test_report_writes_figures_and_a_picture(tmp_path, monkeypatch):
    maps = np.stack([empty_map(128, side) for side in ("left", "right", "left")])
    maps[0, 60:64, 80:90] = EX
    planes = np.stack([(grow_vessels(m, i) * 255).astype(np.uint8) for i, m in enumerate(maps)])
    dataset = type("Data", (SimpleNamespace,), {"__len__": lambda self: 3})(maps=maps, vessels=planes)
    monkeypatch.setattr(vessels, "load_prepared", lambda folder, split: dataset)
    where, shown = (Path("anywhere"), DEFAULT_MODEL), []
    draw = vessels.visible_vessels
    monkeypatch.setattr(vessels, "visible_vessels", lambda *given: shown.append(given[2]) or draw(*given))
    report = vessels.evaluate(*where, tmp_path / "out", progress=False)
    assert json.loads((tmp_path / "out" / "vessels.json").read_text()) == report.figures()
    assert (tmp_path / "out" / "vessels-planes.png").is_file() and report.figures()["eyes"] == 3
    assert "density" in report.text() and "left and right" in report.text()
    assert shown == [SHIPPED] * 3, "the trees are those that ship"
    assert vessels.evaluate(*where, tmp_path, count=2, progress=False).figures()["eyes"] == 2
