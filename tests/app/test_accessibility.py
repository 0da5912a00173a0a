"""A palette for colour-blind eyes, and the measure of contrast; names and texts of the pages are in tests/browser."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from retinagan.app import palette
from retinagan.maps.labels import BG, CLASSES, EX, HE, LESIONS, MA, OD, PALETTE, SE, VB
from tests.contrast import contrast


def test_the_contrast_is_that_of_the_standard():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG
# 15(6), 2009: severity 1.0, for linear RGB.
MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
CLEAR = 20.0
"""CIEDE2000 from which two colours side by side are plainly different; 2 to 3 can just be noticed."""


def seen(kind: str) -> np.ndarray:
    """The palette as such an eye sees it, in CIELAB ``(7, 3)``."""
    share = PALETTE / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.array(MACHADO[kind]).T).clip(0, 1)
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(back[None])[0]


@pytest.mark.parametrize(
    ("kind", "alike"), [("protanopia", {(EX, HE)}), ("deuteranopia", set()), ("tritanopia", {(HE, SE)})]
)
def test_classes_can_be_told_apart_by_colour_blind_eyes(kind, alike):
    colours = seen(kind)
    close = {
        (one, other)
        for one, other in combinations(range(len(CLASSES)), 2)
        if deltaE_ciede2000(colours[one], colours[other]) < CLEAR
    }
    # The colours are those of published maps and stay. Where two come close, letters and shapes tell them apart.
    assert close == alike
    for one, other in close:
        assert shape(one) != shape(other) and CLASSES[one].short != CLASSES[other].short


def shape(label: int) -> str:
    """The badge's outline, without its colour and letters."""
    return palette.badge(label).split("rgb")[1].split(";", 1)[1].split('"')[0].strip()


def test_every_class_has_a_shape_and_letters_of_its_own():
    labels = (BG, EX, HE, SE, MA, OD, VB)
    assert len({shape(label) for label in labels}) == len(labels)
    for label in labels:
        assert CLASSES[label].short in palette.badge(label)
    for label in LESIONS:
        assert f'"{CLASSES[label].short}: ' in palette.buttons_css(), "the palette's buttons say the class in words"
