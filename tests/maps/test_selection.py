"""Which drawn maps are kept."""

import dataclasses
import json

import numpy as np
import pytest

from retinagan.maps.descriptors import DESCRIPTORS, describe
from retinagan.maps.measure import measure
from retinagan.maps.selection import FARTHEST, JUDGED, KEEP_ALL, MapSelection, chosen, judged
from tests.evaluation.drawn_maps import scattered

COUNT = JUDGED.index("HE count")


def by_count(linear: float = 0.0, squares: float = 0.0, offset: float = 0.0, ceiling: float = 0.0) -> MapSelection:
    """Keeps maps of grade 2 by the number of haemorrhages alone: its logarithm, in steps of 0.5 from 1."""
    places = np.eye(len(JUDGED))[COUNT]
    table = np.zeros((2, 5, len(JUDGED)))
    table[:, 2] = np.outer((linear, squares), places)
    return MapSelection(
        mean=tuple(places.tolist()),
        deviation=tuple(np.where(places > 0, 0.5, 1.0).tolist()),
        offset=(0.0, 0.0, offset, 0.0, 0.0),
        linear=tuple(map(tuple, table[0].tolist())),
        squares=tuple(map(tuple, table[1].tolist())),
        ceiling=(0.0, 0.0, ceiling, 0.0, 0.0),
        highest=((9.0,) * len(JUDGED),) * 5,
    )


def test_every_map_is_kept_unless_fitted():
    described = np.random.default_rng(0).normal(0, 2, (7, len(JUDGED)))
    neutral = by_count()
    for grade in range(5):
        assert not KEEP_ALL.rejects(grade) and not neutral.rejects(grade)
        assert (neutral.kept(grade, described) == 1).all()
    assert [by_count(linear=1.0).rejects(grade) for grade in range(5)] == [False, False, True, False, False]


def test_odds_are_those_of_the_formula_and_end_where_nothing_is_known():
    selection = by_count(linear=0.7, squares=-0.2, offset=0.3)
    described = np.zeros((3, len(JUDGED)))
    described[:, COUNT] = (1.0, 2.0, 100.0)  # 0 and 2 deviations, and far beyond
    expected = [0.3, 0.3 + 0.7 * 2 - 0.2 * 4, 0.3 + 0.7 * FARTHEST - 0.2 * FARTHEST**2]
    assert selection.log_odds(2, described) == pytest.approx(expected)


def test_shares_kept_are_the_odds_below_the_ceiling():
    described = np.zeros((3, len(JUDGED)))
    described[:, COUNT] = (0.5, 1.0, 1.5)  # log odds −1, 0, 1
    assert by_count(linear=1.0).kept(2, described) == pytest.approx([np.exp(-1), 1, 1])
    assert by_count(linear=1.0, ceiling=1.0).kept(2, described) == pytest.approx([np.exp(-2), np.exp(-1), 1])


def test_what_no_real_map_exceeds_is_not_kept():
    described = np.zeros((3, len(JUDGED)))
    described[:, JUDGED.index("EX area")] = (9.0, 9.1, 0.0)
    described[2, COUNT] = 9.5
    assert by_count(linear=1.0, ceiling=-9.0).kept(2, described).tolist() == [1, 0, 0]


def test_maps_are_judged_by_their_lesions_and_the_place_of_their_disc():
    label_map = scattered(3)
    everything = dict(zip(DESCRIPTORS, describe(measure(label_map), label_map), strict=True))
    assert judged(label_map).tolist() == [everything[name] for name in JUDGED]
    assert set(DESCRIPTORS) - set(JUDGED) == {"disc roundness", "grid"}
    assert chosen(np.arange(22.0)[None]).shape == (1, len(JUDGED))


def test_a_selection_survives_the_header_of_a_checkpoint_and_wrong_ones_are_refused():
    selection = by_count(linear=0.7, squares=-0.2)
    assert MapSelection(**json.loads(json.dumps(dataclasses.asdict(selection)))) == selection
    for changed in ({"offset": (0.0, 1.0)}, {"linear": ()}, {"mean": (1.0,)}):
        with pytest.raises(ValueError, match="a selection is empty, or has 20 numbers of each descriptor"):
            dataclasses.replace(selection, **changed)
    with pytest.raises(ValueError, match=r"deviation\[0\] is 0.0; it must be above 0"):
        dataclasses.replace(selection, deviation=(0.0,) * len(JUDGED))
