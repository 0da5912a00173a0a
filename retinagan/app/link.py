"""What the address of a page may say: each parameter with its type and range, known in this one place.

Streamlit binds widgets to parameters, and takes over whatever a link says. So links are checked before any widget is
there; what is not allowed is left out and told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from retinagan.app import starts
from retinagan.seeds import NUM_GRADES

MAX_SEED = 2**31 - 1
"""Largest seed that the app offers; the command line and Python go to 2⁶³-1."""
MODES = ("Gallery", "Reference", "Two styles", "Two maps")
"""Of the page Styles."""
ALL, OWN = "All", "Own"
"""Beside grades: every one of them; the session's own map."""
MOST_KEPT = 7
GRADES = tuple(str(grade) for grade in range(NUM_GRADES))


class Allowed(NamedTuple):
    """What a parameter may be, as a check and in words."""

    check: Callable[[str], bool]
    words: str


def whole(low: int, high: int) -> Allowed:
    return Allowed(
        lambda text: bool(re.fullmatch(r"[0-9]{1,10}", text)) and low <= int(text) <= high,
        f"whole numbers from {low} to {high}",
    )


def share(low: float, high: float) -> Allowed:
    return Allowed(
        lambda text: bool(re.fullmatch(r"[0-9.e-]{1,20}", text)) and low <= _number(text) <= high,
        f"numbers from {low:g} to {high:g}",
    )


def one_of(*words: str) -> Allowed:
    return Allowed(words.__contains__, ", ".join(words))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _is_start(text: str) -> bool:
    try:
        starts.parse(text)
    except ValueError:
        return False
    return True


def _are_kept(text: str) -> bool:
    words = text.split("-")
    return len(words) <= MOST_KEPT and all(map(SEED.check, words))


SEED = whole(0, MAX_SEED)
PARAMETERS = {
    "grade": one_of(ALL, *GRADES),
    "seed": SEED,
    "maps": whole(1, 6),
    "photos": whole(1, 4),
    "truncation": share(0, 1),
    "mode": one_of(*MODES),
    "map_grade": one_of(*GRADES, OWN),
    "map_seed": SEED,
    "style_seed": SEED,
    "style_b": SEED,
    "grade_b": one_of(*GRADES),
    "map_b": SEED,
    "position": whole(0, 100),
    "keep": Allowed(_are_kept, f"up to {MOST_KEPT} seeds with - between them"),
    "style": SEED,
    "start": Allowed(_is_start, f"{', '.join(starts.EMPTY)}, g3-s7 (grade 3, seed 7), g3-s7-t0.8 and example-NAME"),
}


def checked(parameters: Mapping[str, str], models: tuple[str, ...] = ()) -> tuple[dict[str, str], list[str]]:
    """A link's parameters without what is not allowed, and what was left out, in words.

    Args:
        parameters: of the address; those that no page knows stay.
        models: names that ``model`` may have.
    """
    known = {**PARAMETERS, "model": one_of(*models)}
    wrong = {name: text for name, text in parameters.items() if name in known and not known[name].check(text)}
    told = [
        f"the address says {name} {_shown(text)}, which is left out; allowed are {known[name].words}"
        for name, text in wrong.items()
    ]
    return {name: text for name, text in parameters.items() if name not in wrong}, told


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
