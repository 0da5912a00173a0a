"""A drawing as a small file: what the tab keeps of it, and what *Save drawing* and *Open drawing* write and read.

The file is JSON; docs/file-formats.md says what stands in it. It comes back from a browser or from a stranger, so that
nothing in it is taken for granted.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, NamedTuple

import numpy as np

from retinagan.app import starts
from retinagan.app.drawing import Drawing, map_png
from retinagan.app.history import MAX_STEPS, History, Step
from retinagan.app.studio import Weights
from retinagan.files.maps import read_map_png

FORMAT, VERSION = "RetinaGAN drawing", 1
MAX_BYTES = 16 * 2**20
"""Of a file: two hundred steps that each change every pixel have less."""
MAX_SIDE = 1024
"""Of a drawing's map in pixels."""
MAX_NAME = 120
"""Letters of a step's name."""


class Saved(NamedTuple):
    """A drawing that was kept: what it starts from (``retinagan.app.starts``), the weights with which it was begun, and
    its history."""

    text: str
    weights: Weights
    history: History


def encode(drawing: Drawing) -> bytes:
    """The file of a drawing, with what its canvas holds."""
    history = drawing.whole_history()
    content = {
        "format": FORMAT,
        "version": VERSION,
        "notice": "Synthetic lesion map, not for diagnosis",
        "start": drawing.text,
        "weights": [list(pair) for pair in drawing.weights],
        "map": _text(map_png(history.current)),
        "first": _text(map_png(history.start)),
        "done": history.at,
        "steps": [{"name": step.name[:MAX_NAME], "change": _text(step.change)} for step in history.steps],
    }
    return (json.dumps(content) + "\n").encode()


def decode(data: bytes) -> Saved:
    """The drawing in a file.

    Raises:
        ValueError: the file is too large, damaged, or no drawing.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"the file has {len(data):,} bytes; a drawing has at most {MAX_BYTES:,}")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("the file is no drawing: it is not JSON. Choose a file that Save drawing wrote") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError("the file is no drawing. Choose a file that Save drawing wrote")
    if content.get("version") != VERSION:
        raise ValueError(f"the drawing is of version {content.get('version')!r:.20}; this program reads {VERSION}")
    text, weights, done = content.get("start"), content.get("weights"), content.get("done")
    if not isinstance(text, str) or not isinstance(done, int) or isinstance(done, bool):
        raise ValueError("the drawing is damaged: its start or its number of steps is missing")
    starts.parse(text)
    if not isinstance(weights, list) or len(weights) > 8 or not all(_is_pair(pair) for pair in weights):
        raise ValueError("the drawing is damaged: its weights are no pairs of names and hashes")
    listed = content.get("steps")
    if not isinstance(listed, list) or len(listed) > MAX_STEPS:
        raise ValueError(f"the drawing is damaged: it has no list of at most {MAX_STEPS} steps")
    first = read_map_png(_bytes(content.get("first")), None)
    if first.shape[0] != first.shape[1] or len(first) > MAX_SIDE:
        raise ValueError(f"the drawing's map has a shape of {first.shape}; allowed are squares of up to {MAX_SIDE}")
    history = History(first, [_step(step) for step in listed], done)
    if not np.array_equal(read_map_png(_bytes(content.get("map")), None), history.current):
        raise ValueError("the drawing is damaged: its steps do not lead to its map")
    return Saved(text, tuple((str(name), str(digest)) for name, digest in weights), history)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) and len(p) <= 100 for p in pair)


def _step(step: Any) -> Step:
    name = step.get("name") if isinstance(step, dict) else None
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise ValueError(f"the drawing is damaged: a step has no name of at most {MAX_NAME} letters")
    return Step(name, _bytes(step.get("change")))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError("the drawing is damaged: a part of it is no Base64") from None
