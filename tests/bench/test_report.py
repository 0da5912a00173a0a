"""Table and JSON of given times."""

from __future__ import annotations

import json

import pytest

from retinagan.bench.report import Compared, Report, Row
from retinagan.bench.timing import Seconds

UNIT = "convolution float32"


@pytest.fixture
def report() -> Report:
    rows = {
        UNIT: Row(UNIT, Seconds.of([0.1]), 10_000_000_000, UNIT),  # 100 GMAC/s
        "photo": Row("photo", Seconds.of([0.3, 0.2, 0.4]), 8_000_000_000, UNIT),
        "eye": Row("eye", Seconds.of([0.06]), 0, UNIT),
        "pairs-2": Row("pairs-2", Seconds.of([0.25]), 9_000_000_000, UNIT),
    }
    compared = [Compared("eye against photograph", ("photo", "eye"), 0.5, "/255")]
    facts = {"model": "tiny", "rounds": 3, "load": None}
    return Report(facts, rows, {"large": "no last stage"}, compared, {"a map": 512.4}, {"cold start": 4.321})


def test_times_are_told_as_multiples_of_their_multiply_adds(report):
    assert report.rate(report.rows["photo"]) == pytest.approx(100e9)
    assert report.multiple(report.rows["photo"]) == pytest.approx(0.3 / 0.08)
    assert report.multiple(report.rows[UNIT]) == pytest.approx(1)
    assert report.multiple(report.rows["eye"]) is None
    assert report.speed_up(report.compared[0]) == pytest.approx(5)


def test_a_row_is_measured_by_the_yardstick_of_its_precision(report):
    half = "convolution bfloat16"
    rows = {**report.rows, half: Row(half, Seconds.of([0.01]), 10_000_000_000, half)}
    rows["photo"] = Row("photo", Seconds.of([0.04]), 8_000_000_000, half)
    report = Report({}, rows, {}, [], {})
    assert report.multiple(report.rows["photo"]) == pytest.approx(0.04 / 0.008)
    assert "convolution float32 200 GFLOP/s, convolution bfloat16 2,000 GFLOP/s" in report.text()


def test_the_table_has_a_line_a_row(report):
    lines = report.text().splitlines()
    assert lines[0] == "model tiny, rounds 3"
    line = {name: next(line for line in lines if line.startswith(row.title)) for name, row in report.rows.items()}
    assert line["photo"].split()[-6:] == ["0.300", "0.250", "–", "0.350", "8.00", "3.8"]
    assert line["eye"].split()[-4:] == ["0.060", "0.060", "–", "0.060"]
    assert line["pairs-2"].endswith("4.00 a second")
    assert "eye against photograph: 5.0 × as fast, largest difference 0.5/255" in lines
    assert "memory, a map: 512 MiB at most" in lines
    assert "in a browser, cold start: 4.32" in lines
    assert "not measured: a photograph at twice the side: no last stage" in lines
    assert max(map(len, lines)) <= 120


def test_the_figures_are_json_with_every_time(report):
    figures = json.loads(json.dumps(report.figures()))
    assert figures.keys() == {"model", "rounds", "load", "rows", "skipped", "compared", "memory_mib", "browser"}
    assert figures["rows"]["photo"] == {
        "title": "a photograph with its eye",
        "seconds": {"median": 0.3, "lower_quartile": 0.25, "upper_quartile": 0.35, "times": [0.3, 0.2, 0.4]},
        "multiply_adds": 8_000_000_000,
        "yardstick": UNIT,
        "multiple": pytest.approx(3.75),
    }
    assert figures["rows"]["eye"]["multiple"] is None
    assert figures["compared"][0]["speed_up"] == pytest.approx(5)
    assert figures["skipped"] == {"large": "no last stage"}
    assert figures["memory_mib"] == {"a map": 512.4}
