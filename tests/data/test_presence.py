"""How often predicted maps are right about a lesion's being there, and shares corrected for it."""

import json

import numpy as np
import pytest

from retinagan.data.presence import FILE, corrected, presence, read_presence
from retinagan.maps.labels import EX, HE, MA, SE, VB


def label_map(*kinds):
    result = np.full((16, 16), VB, dtype=np.uint8)
    result[0, : len(kinds)] = kinds
    return result


def test_sensitivity_and_specificity_are_counted_by_eye():
    true = [label_map(EX, HE), label_map(EX), label_map(HE), label_map()]
    found = [label_map(EX), label_map(), label_map(HE, EX), label_map(MA)]
    figures = presence(zip(true, found, strict=True))
    assert figures["EX"] == {"with": 2, "sensitivity": 0.5, "without": 2, "specificity": 0.5}
    assert figures["HE"] == {"with": 2, "sensitivity": 0.5, "without": 2, "specificity": 1.0}
    assert figures["MA"] == {"with": 0, "sensitivity": None, "without": 4, "specificity": 0.75}
    assert presence([])["SE"] == {"with": 0, "sensitivity": None, "without": 0, "specificity": None}


def rates(sensitivity, specificity):
    return {"with": 5, "sensitivity": sensitivity, "without": 5, "specificity": specificity}


@pytest.mark.parametrize("truth", [0.0, 0.3, 1.0])
def test_the_correction_finds_the_true_share(truth):
    sensitivity, specificity = 0.9, 0.6
    seen = truth * sensitivity + (1 - truth) * (1 - specificity)
    assert corrected(seen, rates(sensitivity, specificity)) == pytest.approx(truth)


def test_the_correction_stays_a_share_and_says_when_it_cannot_tell():
    assert corrected(0.1, rates(1.0, 0.5)) == 0
    assert corrected(1.0, rates(0.9, 0.9)) == 1
    assert corrected(0.5, rates(0.5, 0.6)) is None
    assert corrected(0.5, rates(1.0, 1.0) | {"with": 4}) is None
    assert corrected(0.5, {"with": 9, "sensitivity": 1.0, "without": 0, "specificity": None}) is None


def test_the_note_is_read_back_or_named_as_damaged(tmp_path):
    assert read_presence(tmp_path) is None
    figures = presence([(label_map(SE), label_map(SE))])
    (tmp_path / FILE).write_text(json.dumps({"segmenter": "0" * 64, "presence": figures}))
    assert read_presence(tmp_path) == figures
    for damaged in ("{", "[]", '{"presence": {"EX": {}}}'):
        (tmp_path / FILE).write_text(damaged)
        with pytest.raises(ValueError, match=f"{FILE} is damaged .*--pseudo-label"):
            read_presence(tmp_path)
