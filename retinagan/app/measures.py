"""Measurements of a lesion map on a page: counts and area by class and quadrant, and the signs of the ICDR scale."""

from __future__ import annotations

from functools import lru_cache
from html import escape

import numpy as np
import streamlit as st

from retinagan.app.palette import badge
from retinagan.maps.labels import CLASSES, LESIONS
from retinagan.maps.measure import QUADRANTS, Measurements, Sign, icdr_signs, least_grade, measure
from retinagan.seeds import GRADE_NAMES

_MARKS = {True: ("✓", "met"), False: ("–", "not met"), None: ("?", "cannot be told")}


def show_measures(label_map: np.ndarray) -> None:
    """Both tables of a lesion map ``uint8 (S, S)``, side by side where there is room."""
    found = _measured(label_map.tobytes(), label_map.shape[0])
    signs = icdr_signs(found)
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(lesion_table(found))
    with right:
        st.html(sign_table(signs))
    told = least_grade(found)
    st.caption(
        f"The lesions of this map explain grade {told} ({GRADE_NAMES[told]}) at least. What a map has no class for may "
        "make it higher. Synthetic, not for diagnosis."
    )


@lru_cache(maxsize=8)
def _measured(pixels: bytes, size: int) -> Measurements:
    """A page runs again for many reasons; the map is mostly the same."""
    return measure(np.frombuffer(pixels, np.uint8).reshape(size, size))


def lesion_table(found: Measurements) -> str:
    """Counts, with the share of the field of view, by class and quadrant, as HTML."""
    heads = "".join(f'<th scope="col">{name.capitalize()}</th>' for name in QUADRANTS)
    rows = []
    for label in LESIONS:
        lesions = found.lesions[label]
        cells = "".join(f"<td>{_amount(*lesions.quadrants[name])}</td>" for name in QUADRANTS)
        name = f'<th scope="row">{badge(label)} {CLASSES[label].name}</th>'
        rows.append(f"<tr>{name}<td><b>{_amount(lesions.count, lesions.area)}</b></td>{cells}</tr>")
    total = sum(lesions.count for lesions in found.lesions.values())
    everything = f"<td><b>{_amount(total, found.burden)}</b></td>"
    rows.append(f'<tr><th scope="row">All lesions</th>{everything}<td colspan="4"></td></tr>')
    caption = "Lesions and the share of the field of view that they cover"
    return (
        f'<div class="rg-scroll" tabindex="0" role="group" aria-label="{caption}"><table class="rg-measures">'
        f'<caption>{caption}</caption><thead><tr><th scope="col">Class</th><th scope="col">All</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def sign_table(signs: list[Sign]) -> str:
    """The signs of the scale, each met, not met, or not to be told from a map, as HTML."""
    rows = []
    for sign in signs:
        mark, words = _MARKS[sign.met]
        rows.append(
            f'<tr class="rg-sign-{words.split()[0]}"><td><span class="rg-mark" aria-hidden="true">{mark}</span></td>'
            f'<th scope="row">{escape(sign.name)}<span>{words}</span></th><td>{escape(sign.explanation)}</td></tr>'
        )
    caption = "Signs of the ICDR scale"
    return (
        f'<div class="rg-scroll" tabindex="0" role="group" aria-label="{caption}"><table class="rg-measures rg-signs">'
        f"<caption>{caption}</caption><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _amount(count: int, area: float) -> str:
    return f"{count}<small>{100 * area:.2f} %</small>" if count or area else '<span class="rg-none">0</span>'
