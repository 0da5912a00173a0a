"""What a drawing starts from, as a short text that fits in a link.

``left``, ``right``, ``none``: an empty eye with the disc there. ``g3-s7`` or ``g3-s7-t0.8``: the sampled map of grade
3, seed 7, truncation 0.8. ``example-moderate``: a bundled map. ``upload``: a map that this session uploaded; no link
can bring it back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from retinagan.app.examples import EXAMPLES
from retinagan.seeds import NUM_GRADES

EMPTY = {"left": "Empty eye, disc left", "right": "Empty eye, disc right", "none": "Empty eye, no disc"}
UPLOAD = "upload"
_EXAMPLE = "example-"
_SAMPLED = re.compile(r"g(\d)-s(\d{1,19})(?:-t(\d(?:\.\d{1,4})?))?")


@dataclass(frozen=True)
class Sampled:
    """A map of the generator."""

    grade: int
    seed: int
    truncation: float = 1.0


@dataclass(frozen=True)
class Bundled:
    """One of ``retinagan.app.examples.EXAMPLES``."""

    name: str


def sampled_text(grade: int, seed: int, truncation: float = 1.0) -> str:
    """The text of a sampled map; the inverse of :func:`parse`."""
    share = "" if truncation == 1 else f"-t{truncation:g}"
    return f"g{grade}-s{seed}{share}"


def example_text(name: str) -> str:
    """The text of a bundled map."""
    return _EXAMPLE + name


def parse(text: str) -> str | Sampled | Bundled:
    """``left``, ``right``, ``none``, ``upload``, a :class:`Sampled` or a :class:`Bundled`.

    Raises:
        ValueError: anything else.
    """
    if text in EMPTY or text == UPLOAD:
        return text
    if text.startswith(_EXAMPLE) and text.removeprefix(_EXAMPLE) in EXAMPLES:
        return Bundled(text.removeprefix(_EXAMPLE))
    match = _SAMPLED.fullmatch(text)
    if match:
        sampled = Sampled(int(match[1]), int(match[2]), float(match[3] or 1))
        if sampled.grade < NUM_GRADES and sampled.seed < 2**63 and sampled.truncation <= 1:
            return sampled
    raise ValueError(
        f"start is {text[:40]!r}; allowed are left, right, none, sampled maps such as g3-s7 (grade 3, seed 7) or "
        f"g3-s7-t0.8, and {', '.join(_EXAMPLE + name for name in EXAMPLES)}"
    )


def describe(text: str) -> str:
    """For people."""
    start = parse(text)
    if isinstance(start, Sampled):
        share = "" if start.truncation == 1 else f", {start.truncation:g}"
        return f"Grade {start.grade}, seed {start.seed}{share}"
    if isinstance(start, Bundled):
        return EXAMPLES[start.name].title
    return EMPTY.get(start, "Uploaded map")
