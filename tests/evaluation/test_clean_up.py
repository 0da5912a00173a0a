"""Maps before clean-up are judged."""

from retinagan.evaluation.clean_up import Judged
from retinagan.maps.labels import MA, OD, empty_map


def test_raw_maps_are_judged():
    good = empty_map(512)
    assert Judged.of(good) == Judged(
        one_disc=True, plausible_disc=True, no_speck=True, lesions_inside=True, lesions_outside=0
    )
    speck = good.copy()
    speck[300, 300] = OD
    assert Judged.of(speck).one_disc and not Judged.of(speck).no_speck
    two = good.copy()
    two[300:320, 300:320] = OD
    assert not Judged.of(two).one_disc and not Judged.of(two).plausible_disc
    assert not Judged.of(empty_map(512, None)).one_disc
    small = empty_map(512, None)
    small[300:320, 300:320] = OD
    assert Judged.of(small).one_disc and not Judged.of(small).plausible_disc
    small[5, 5] = small[300, 200] = MA
    assert Judged.of(small).lesions_outside == 0.5 and not Judged.of(small).lesions_inside
