"""Do photographs of the shipped weights, with the trees and the corrections that ship, show the vessels of real eyes?

The ridge filter's answer to them beside its answer to IDRiD's training photographs, at a side of 512.
"""

from __future__ import annotations

import numpy as np
import pytest

from retinagan.evaluation.vessels import vessel_statistics
from retinagan.eye.ridges import vesselness
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import empty_map
from retinagan.pipeline import RetinaGAN

SIZE = 512
Y, X = np.mgrid[:SIZE, :SIZE] + 0.5

REAL = {
    "density": (0.080, 0.100), "disc_0": (0.040, 0.096), "disc_2": (0.076, 0.107), "macula": (0.023, 0.059),
    "calibre_25": (1.31, 1.95), "calibre_50": (2.52, 3.32), "calibre_75": (3.78, 4.82), "connected": (0.247, 0.539),
    "components": (47, 94),
}  # fmt: skip
"""Percentiles 10 and 90 of the 163 training eyes."""

REAL_LIT = (0.112, 0.101, 0.122)
"""Share of the field with guidance above 0.2: median and percentiles 10 and 90 of the 134 training eyes of grade 0."""
REAL_BRIGHT = (0.058, 0.050, 0.063)
"""Above 0.5."""
REAL_LIT_BY_FOVEA = {
    (0.00, 0.19): (0.003, 0.000, 0.029),
    (0.19, 0.40): (0.063, 0.038, 0.093),
    (0.40, 0.70): (0.113, 0.085, 0.133),
    (0.70, 1.10): (0.136, 0.113, 0.155),
}
"""Above 0.2 by distance from the fovea, in disc-fovea distances."""


@pytest.fixture(scope="module")
def label_map() -> np.ndarray:
    return empty_map(SIZE, "left")


@pytest.fixture(scope="module")
def planes(label_map) -> list[np.ndarray]:
    model = RetinaGAN.from_pretrained(device="cpu")
    return [vesselness(model.render(label_map[None], [style])[0], label_map) for style in range(10)]


def test_most_eyes_are_within_the_real_range_and_their_mean_well_within(label_map, planes):
    rows = [vessel_statistics(plane, label_map) for plane in planes]
    for name, (low, high) in REAL.items():
        values = np.array([row[name] for row in rows])
        assert low < values.mean() < high, name
        assert ((values >= 0.9 * low) & (values <= 1.1 * high)).mean() >= 0.7, (name, values)


def test_density_is_that_of_real_eyes_at_every_distance_from_the_fovea(label_map, planes):
    anatomy = find_anatomy(label_map)
    to_disc = np.hypot(anatomy.fovea_x - anatomy.disc_x, anatomy.fovea_y - anatomy.disc_y)
    distance = np.hypot(X - anatomy.fovea_x, Y - anatomy.fovea_y) / to_disc
    field = np.hypot(X - SIZE / 2, Y - SIZE / 2) < 250
    lit = np.mean([(plane > 0.2)[field].mean() for plane in planes])
    assert REAL_LIT[1] < lit < REAL_LIT[2]
    bright = np.mean([(plane > 0.5)[field].mean() for plane in planes])
    assert 0.85 * REAL_BRIGHT[1] < bright < 1.2 * REAL_BRIGHT[2]
    for (near, far), (_, low, high) in REAL_LIT_BY_FOVEA.items():
        ring = field & (distance >= near) & (distance < far)
        share = np.mean([(plane > 0.2)[ring].mean() for plane in planes])
        assert 0.8 * low <= share <= 1.25 * high, (near, far)
