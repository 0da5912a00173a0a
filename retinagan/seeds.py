"""The numbers that people give: seeds and grades, checked in one place and without torch."""

from __future__ import annotations

import numpy as np

GRADE_NAMES = (
    "No apparent retinopathy",
    "Mild NPDR",
    "Moderate NPDR",
    "Severe NPDR",
    "Proliferative DR",
)
"""The grades 0-4 of the ICDR scale."""
NUM_GRADES = len(GRADE_NAMES)

MAX_SEED = 2**63 - 1
"""Largest seed of maps and styles: the largest that ``torch.Generator`` and JSON readers take alike."""

STYLE_STEP = 1000
"""Between the style seeds of one map's photographs; see :func:`style_of`."""


def check_seed(seed: int) -> int:
    """``seed`` as an int, or ValueError/TypeError: allowed are integers 0 … 2⁶³-1."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed is {seed!r}; allowed are integers from 0 to {MAX_SEED}")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed is {seed}; allowed are integers from 0 to {MAX_SEED}")
    return int(seed)


def check_grade(grade: int) -> int:
    """``grade`` as an int, or ValueError/TypeError: allowed are the ICDR grades 0-4."""
    if isinstance(grade, bool) or not isinstance(grade, (int, np.integer)):
        raise TypeError(f"grade is {grade!r}; allowed are the integers 0-{NUM_GRADES - 1}")
    if not 0 <= grade < NUM_GRADES:
        names = ", ".join(f"{i} ({name})" for i, name in enumerate(GRADE_NAMES))
        raise ValueError(f"grade is {grade}; allowed are {names}")
    return int(grade)


def check_share(name: str, value: float) -> float:
    """``value`` as a float, or ValueError: allowed are numbers 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; allowed are 0 to 1")
    return float(value)


def style_of(map_seed: int, number: int) -> int:
    """Style seed of photograph ``number`` (0, 1, …) of a sampled map: ``map_seed + 1000 number``.

    The first has the map's own seed; maps with neighbouring seeds share no style. At the top of the range it starts
    over.
    """
    return (check_seed(map_seed) + STYLE_STEP * number) % (MAX_SEED + 1)
