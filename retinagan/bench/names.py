"""The rows of the bench, by the names that ``--only`` takes. Without torch, so that help is instant."""

from __future__ import annotations

MODEL_ROWS = {
    "map": "a map",
    "photo": "a photograph with its eye",
    "eye": "its eye alone",
    "styles": "four styles of one map",
    "large": "a photograph at twice the side",
    "page": "page Random: 5 maps × 4 photographs",
    "stroke": "stroke → photograph, full render",
    "redraw": "stroke → photograph, redraw",
    "train": "a training step of photos, with its batch",
    "cold": "new process → first photograph",
    "pairs-1": "a pair and its files, 1 worker process",
    "pairs-2": "a pair and its files, 2 worker processes",
}
"""Of the model: name → title."""

ORIGINAL_ROWS = {
    "original-map": "original: a map",
    "original-photo": "original: a photograph, dense",
    "original-sparse": "original: a photograph, sparse",
    "original-styles": "original: each of four styles, sparse",
    "original-stroke": "original: stroke → photograph, sparse",
}
"""Of the original's architecture with random weights."""

RATES = ("pairs-1", "pairs-2")
"""Of these it matters how many are made in a second."""

TITLES = MODEL_ROWS | ORIGINAL_ROWS


def chosen_rows(only: str | None, original: bool) -> list[str]:
    """The rows that ``--only NAME,…`` and ``--original`` ask for; what ``--only`` names needs no ``--original``.

    Raises:
        ValueError: a name that no row has.
    """
    if only is None:
        return list(TITLES if original else MODEL_ROWS)
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in TITLES:
            raise ValueError(f"--only names {name!r}; allowed are {', '.join(TITLES)}")
    return [name for name in TITLES if name in names]
