"""What maps hold: summaries of drawn maps, corrected shares, and the published ones."""

from dataclasses import replace

import pytest

from retinagan.evaluation.distances import percentiles
from retinagan.evaluation.summary import FGADR_SHARES, GradeContents, Summary, place_differences
from retinagan.maps.descriptors import Measured
from retinagan.maps.labels import EX, HE, LESIONS, MA, SE, empty_map
from retinagan.maps.measure import measure
from retinagan.maps.parts import field_of_view


def test_summary_counts_shares_and_quartiles():
    with_two, with_one, none = empty_map(512), empty_map(512, "right"), empty_map(512)
    with_two[100:102, 300:302] = HE
    with_two[130:134, 300:302] = HE
    with_one[100:103, 200:202] = HE
    found = Summary.of(Measured.of([with_two, with_one, none], 512))
    lesion = found.lesions["HE"]
    assert found.n == 3 and lesion.share == pytest.approx(2 / 3) and lesion.number == [0.5, 1, 1.5]
    assert lesion.size == percentiles([4, 8, 6])
    assert found.burden[1] == pytest.approx(6 / field_of_view(512).sum())
    assert sum(lesion.quadrants.values()) == pytest.approx(1)
    assert found.disc.left == pytest.approx(2 / 3) and found.disc.share == 1
    assert found.lesions["EX"].size is None and found.lesions["EX"].quadrants["superior nasal"] is None
    nothing = Summary.of(Measured.of([], 512))
    assert nothing.n == 0 and nothing.burden is None and nothing.lesions["MA"].share is None


def test_shares_of_predicted_maps_are_corrected_among_the_annotated_ones():
    rates = {
        "EX": {"with": 9, "sensitivity": 1.0, "without": 9, "specificity": 0.5},
        "SE": {"with": 0, "sensitivity": None, "without": 9, "specificity": 1.0},
    }
    nothing = Summary.of(Measured.of([], 512))

    def having(n, **shares):
        lesions = {
            kind: replace(nothing.lesions[kind], share=share, interval=[0.5, 0.9]) for kind, share in shares.items()
        }
        return replace(nothing, n=n, lesions=lesions)

    summary = having(10, EX=0.8, SE=0.4).corrected(having(5, EX=0.7, SE=0.4), rates)
    # (0.7 - 0.5) / 0.5 = 0.4 of the five predicted ones, 0.9 of the five annotated ones.
    assert summary.lesions["EX"].corrected == pytest.approx((5 * 0.4 + 5 * 0.9) / 10)
    assert summary.lesions["SE"].corrected is None
    row = GradeContents(2, {}, summary, nothing, having(3, EX=0.9), {})
    difference, text = row.share_difference("EX")
    assert difference == pytest.approx(0.25) and "corrected 0.65" in text


def test_medians_are_compared_where_the_median_real_map_has_the_lesion():
    few, many, none = empty_map(512), empty_map(512), empty_map(512)
    for count, label_map in ((2, few), (3, many)):
        for place in range(count):
            label_map[100 + 10 * place, 300:304] = HE
    many[200:202, 300] = EX

    def summary(*maps):
        return Summary.of(Measured.of(maps, 512))

    row = GradeContents(3, {}, summary(few, few, none), summary(), summary(many, many, none), {})
    found = {told.split(",")[0]: ratio for ratio, told in row.medians()}
    assert found == {
        "HE number of grade 3 3": pytest.approx(1.5),
        "HE area of grade 3 5.83e-05": pytest.approx(1.5),
        "HE size of grade 3 4": pytest.approx(1),
    }


def test_places_differ_by_the_largest_share_of_lesions_up_to_a_distance():
    def with_lesions(*xs):
        label_map = empty_map(512)
        for x in xs:
            label_map[256:258, x : x + 2] = EX
        return measure(label_map)

    near, far = with_lesions(300, 310, 320, 330), with_lesions(300, 310, 320, 460)
    assert place_differences([near], [near]) == {"EX to the fovea": 0, "EX to the disc": 0}
    assert place_differences([near], [far])["EX to the disc"] == pytest.approx(0.25)
    assert place_differences([near], [with_lesions()]) == {}
    assert place_differences([near, with_lesions()], [far, far]) == place_differences([near], [far])


def test_published_shares_are_those_of_all_lesions_and_grades():
    assert set(FGADR_SHARES) == {"EX", "HE", "SE", "MA"}
    assert all(len(shares) == 5 for shares in FGADR_SHARES.values())
    assert {EX, HE, SE, MA} == set(LESIONS)
