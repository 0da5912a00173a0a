"""From what a PNG says of itself back to the page and the state that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from retinagan.app.link import MAX_SEED
from retinagan.app.studio import Models
from retinagan.eye.style import Style
from retinagan.files.provenance import Provenance, map_digest
from retinagan.pairs import Pair
from retinagan.seeds import STYLE_STEP

MOST_PHOTOS = 4
"""As many photographs of a map as the page Random shows."""


class Place(NamedTuple):
    """A page, what its controls are to show, and the button's words."""

    label: str
    page: str
    state: Mapping[str, object]


def places(origin: Provenance) -> list[Place]:
    """Pages that show the same again from seeds alone; Draw, which takes any map, is not among them."""
    if origin.grade is None or origin.map_seed is None or origin.source not in ("sampled", "progression"):
        return []
    style, between = origin.style_seed or 0, origin.style_between
    seeds = {"map_seed": origin.map_seed, "style_seed": style}
    if max(origin.map_seed, style) > MAX_SEED or (origin.style_reference and not between):
        return []
    if origin.source == "progression":
        return [Place("Open in Progression", "progression", seeds)]
    seeds["map_grade"] = origin.grade
    truncated = origin.truncation not in (None, 1.0)
    if origin.map_between and not between:
        grade, seed, position = origin.map_between
        end = {"mode": "Two maps", "grade_b": grade, "map_b": seed, "position": round(100 * position)}
        return [Place("Open in Styles", "styles", seeds | end)]
    if between and not truncated and not origin.style_reference:
        end = {"mode": "Two styles", "style_b": between[1], "position": round(100 * between[2])}
        return [Place("Open in Styles", "styles", seeds | end)]
    if origin.style_light is not None:
        return []
    found = []
    number, rest = divmod(style - origin.map_seed, STYLE_STEP) if origin.style_seed is not None else (0, 0)
    if rest == 0 and 0 <= number < MOST_PHOTOS:
        state: dict[str, float | None] = {"grade": origin.grade, "seed": origin.map_seed, "photos": number + 1}
        state["truncation"] = _truncation(origin)
        found.append(Place("Open in Random", "random", state))
    if not truncated and origin.kind == "photograph":
        found.append(Place("Open in Styles", "styles", seeds))
    return found


@dataclass(frozen=True)
class Remade:
    """What was made again (with a photograph if there was one), and what the comparison found, in words."""

    pair: Pair | None
    good: list[str]
    bad: list[str]


def remake(origin: Provenance, carried: np.ndarray | None, pixels: np.ndarray | None, networks: Models) -> Remade:
    """Make a file's map and photograph again and compare them with what it holds and says.

    Args:
        carried: the lesion map in the file, in its own size, or None.
        pixels: the photograph's ``uint8 (S, S, 3)``, or None for a map's file.
    """
    good, bad = [], []
    same_weights = tuple(sorted(origin.checkpoints.items())) == networks.weights
    by_weights = origin.kind == "photograph" or origin.source in ("sampled", "progression")  # a drawn map needed none
    if by_weights and not same_weights:
        bad.append("Other weights made it than those loaded here: the same seeds give another picture.")
    label_map = None
    if carried is not None and map_digest(carried) == origin.map_sha256:
        good.append("The map in the file has the hash that the file names.")
        label_map = carried if carried.shape == (networks.size, networks.size) else None
    elif carried is not None:
        bad.append("The map in the file is not the one it names (its hash differs): it was changed afterwards.")
    if same_weights and origin.source in ("sampled", "progression"):
        label_map = _from_seeds(origin, networks)
        if map_digest(label_map) == origin.map_sha256:
            good.append("The seeds give that map again, pixel for pixel.")
        else:
            bad.append("The seeds give another map here than the one it names.")
    if label_map is None:
        return Remade(None, good, bad)
    truncation = _truncation(origin) if origin.grade is not None else None
    pair = networks.pair(
        label_map, origin.source, grade=origin.grade, map_seed=origin.map_seed, truncation=truncation,
        map_between=origin.map_between,
    )  # fmt: skip
    style = _style(origin, bad)
    if pixels is not None and style is not None:
        pair = networks.photographed(pair, [style], _size(pixels, networks))
        if np.array_equal(pair.photographs[0].pixels, pixels):
            good.append("Made again, the photograph is the same, pixel for pixel.")
        else:
            bad.append("Made again, the photograph differs from the file's.")
    return Remade(pair, good, bad)


def _truncation(origin: Provenance) -> float:
    return 1.0 if origin.truncation is None else origin.truncation


def _size(pixels: np.ndarray, networks: Models) -> int | None:
    """The photograph's own size, if the model renders it."""
    try:
        return networks.pipeline.check_size(len(pixels))
    except ValueError:
        return None


def _style(origin: Provenance, bad: list[str]) -> Style | None:
    try:
        return origin.style
    except ValueError as error:
        bad.append(f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return None


def _from_seeds(origin: Provenance, networks: Models) -> np.ndarray:
    (grade, seed), truncation = origin.seeds, _truncation(origin)
    if origin.source == "progression":
        return networks.progression(seed, truncation)[grade]
    if origin.map_between is not None:
        grade_b, seed_b, position = origin.map_between
        return networks.between((grade, seed), (grade_b, seed_b), position)
    return networks.sample(grade, seed, truncation)
