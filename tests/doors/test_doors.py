"""Whatever comes through a door, from a file, a browser or an address, is taken or refused in words.

Some seconds in ``make test``; ``make fuzz`` runs the same with many more cases.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retinagan import checkpoints
from retinagan.app import saved
from retinagan.app.board import Board
from retinagan.app.drawing import Drawing
from retinagan.app.link import PARAMETERS, checked
from retinagan.files.maps import encode_map_png, read_map_png
from retinagan.files.provenance import Provenance, map_digest, read_png
from retinagan.maps.canvas import rasterise
from retinagan.maps.labels import NUM_CLASSES, empty_map
from retinagan.maps.strokes import hex_colour
from tests.helpers import tiny_model

MOST_WORDS = 2_000
"""Letters of an error's message: what is quoted of a stranger's file is cut."""

SIZE = 32
EYE = empty_map(SIZE, "left")

numbers = st.one_of(
    st.integers(-600, 600),
    st.floats(-600, 600),
    st.sampled_from([float("nan"), float("inf"), -1e5, 1e5, 1e300, 2**63, 10**400, True]),
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


# --- the canvas ---

ARGUMENTS = {"M": 2, "L": 2, "Q": 4, "C": 6, "Z": 0}
colours = st.one_of(
    st.sampled_from([hex_colour(label) + end for label in range(NUM_CLASSES) for end in ("", "33")]),
    st.sampled_from([None, "transparent", "rgba(0, 0, 0, 0)", "#123456"]),
)
commands = st.sampled_from([*ARGUMENTS]).flatmap(
    lambda letter: st.lists(numbers, min_size=ARGUMENTS[letter], max_size=ARGUMENTS[letter]).map(
        lambda given_numbers: [letter, *given_numbers]
    )
)
shapes = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("Path"), "path": st.lists(commands, max_size=8).map(lambda c: [["M", 9, 9], *c])}
    ),
    st.fixed_dictionaries({"type": st.just("Line"), "x1": numbers, "y1": numbers, "x2": numbers, "y2": numbers}),
    st.fixed_dictionaries({"type": st.just("Rect"), "width": numbers, "height": numbers}),
    st.fixed_dictionaries({"type": st.just("Circle"), "radius": numbers}),
    st.fixed_dictionaries(
        {
            "type": st.just("Polygon"),
            "points": st.lists(st.fixed_dictionaries({"x": numbers, "y": numbers}), max_size=6),
        }
    ),
)
MORE = {
    "fill": colours,
    "stroke": colours,
    "strokeWidth": numbers,
    "strokeUniform": st.booleans(),
    "strokeLineCap": st.sampled_from(["butt", "round"]),
    "originX": st.sampled_from(["left", "center", "right", "middle"]),
    "originY": st.sampled_from(["top", "center", "bottom", 0]),
    **dict.fromkeys(("left", "top", "angle", "scaleX", "scaleY", "skewX", "skewY"), numbers),
    "visible": st.booleans(),
    "flipX": st.booleans(),
}
objects = st.builds(dict.__or__, shapes, st.fixed_dictionaries({}, optional=MORE))
strokes = st.one_of(
    objects,
    objects,
    objects,
    st.builds(dict.__or__, objects, st.dictionaries(st.sampled_from([*MORE, "path", "type"]), anything)),
    anything,
)


@settings(deadline=None)
@given(st.lists(strokes, max_size=4))
def test_a_drawing_is_a_map_or_refused(found):
    try:
        painted = rasterise({"objects": found}, EYE)
    except (ValueError, TypeError) as error:
        assert len(str(error)) < MOST_WORDS
        return
    assert painted.shape == EYE.shape and painted.dtype == np.uint8 and painted.max() < NUM_CLASSES


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.lists(strokes, max_size=3), anything), max_size=3),
    st.lists(st.sampled_from("urcb"), max_size=3),
)
def test_a_board_takes_any_messages_and_goes_on(messages, presses):
    board = Board(EYE)
    buttons = {"u": board.undo, "r": board.redo, "c": board.clear, "b": board.bake}
    for number, message in enumerate(messages):
        board.receive({"drawing": {"raw": {"objects": message}}})
        if number < len(presses):
            buttons[presses[number]]()
        assert board.map.shape == EYE.shape and board.map.max() < NUM_CLASSES
        assert all(len(text) < MOST_WORDS for text in board.troubles)


# --- a saved drawing ---


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["start", "weights", "map", "first", "done", "version", "name", "change"]), max_size=2),
    st.one_of(anything, st.binary(max_size=40).map(zlib.compress).map(base64.b64encode).map(bytes.decode)),
)
def test_a_changed_drawing_is_a_drawing_or_refused(fields, value):
    drawing = Drawing("left", (), EYE)
    drawing.change(lambda label_map: label_map.T.copy(), "Mirror")
    content = json.loads(saved.encode(drawing))
    for name in fields:
        (content if name in content else content["steps"][0])[name] = value
    try:
        history = saved.decode(json.dumps(content).encode()).history
    except ValueError as error:
        assert len(str(error)) < MOST_WORDS
        return
    assert history.current.max() < NUM_CLASSES and len(saved.encode(drawing)) < saved.MAX_BYTES


# --- the address ---


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*PARAMETERS, "model", "other"]), st.one_of(st.text(max_size=60), numbers.map(str)))
)
def test_an_address_is_parted_into_what_is_allowed_and_what_is_told(link):
    allowed, told = checked(link, ("default",))
    assert checked(allowed, ("default",)) == (allowed, [])
    assert len(told) == len(link) - len(allowed) and all(len(text) < MOST_WORDS for text in told)


# --- maps as PNG ---

INFO = Provenance(kind="map", source="sampled", grade=3, map_seed=7, map_sha256=map_digest(EYE)).chunks()
GOOD = encode_map_png(EYE, INFO)


def cut_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def joined(chunks) -> bytes:
    whole = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return GOOD[:8] + b"".join(whole)


@settings(deadline=None)
@given(st.data())
def test_a_changed_png_is_a_map_or_refused(data):
    """Bytes changed in chunks whose checksums are right again, so that what lies behind them is reached."""
    chunks = cut_chunks(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(chunks) - 1))
        kind, body = chunks[at]
        what = data.draw(st.sampled_from(["byte", "cut", "twice", "gone", "text"]))
        if what == "byte" and body:
            place = data.draw(st.integers(0, len(body) - 1))
            body = body[:place] + data.draw(st.binary(min_size=1, max_size=4)) + body[place + 1 :]
        elif what == "cut":
            body = body[: data.draw(st.integers(0, len(body)))]
        elif what == "text":
            told = json.dumps(data.draw(anything)).encode()
            kind, body = b"iTXt", b"retinagan\0\0\0\0\0" + told
        chunks[at : at + 1] = [] if what == "gone" and len(chunks) > 1 else [(kind, body)] * (1 + (what == "twice"))
    png = joined(chunks)
    for read in (lambda: read_map_png(png, SIZE), lambda: read_png(png)):
        try:
            read()
        except ValueError as error:
            assert len(str(error)) < MOST_WORDS


# --- checkpoints ---


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file to be written anew for each case, its header and what comes after."""
    path = tiny_model(tmp_path_factory.mktemp("door")) / "maps.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return path, json.loads(data[8 : 8 + length]), data[8 + length :]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_checkpoint_is_a_network_or_refused(checkpoint, data):
    path, header, body = checkpoint
    header = json.loads(json.dumps(header))
    meta = header["__metadata__"]
    what = data.draw(st.sampled_from(["config", "facts", "meta", "tensor", "bytes", "body"]))
    if what in ("config", "facts"):
        found = json.loads(meta[what])
        keys = st.one_of(st.sampled_from([*found, "other"]), st.text(max_size=6))
        found |= data.draw(st.dictionaries(keys, st.one_of(anything, st.lists(numbers, max_size=12)), max_size=3))
        meta[what] = data.draw(st.sampled_from([json.dumps(found), "[" * 100_000, json.dumps(found)[:-1]]))
    elif what == "meta":
        meta |= data.draw(st.dictionaries(st.sampled_from([*meta, "x"]), st.text(max_size=20), max_size=3))
    elif what == "tensor":
        name = data.draw(st.sampled_from([key for key in header if key != "__metadata__"]))
        field = data.draw(st.sampled_from(["dtype", "shape", "data_offsets"]))
        header[name][field] = data.draw(
            st.one_of(
                anything, st.lists(st.integers(0, 2**63), max_size=3), st.sampled_from(["F64", "I64", "F32", "BOOL"])
            )
        )
    raw = json.dumps(header).encode()
    raw = struct.pack("<Q", len(raw)) + raw + body
    if what == "bytes":
        place = data.draw(st.integers(0, len(raw) - 1 - len(body)))
        raw = raw[:place] + data.draw(st.binary(min_size=1, max_size=4)) + raw[place + 1 :]
    elif what == "body":
        raw = raw[: data.draw(st.integers(0, len(raw)))]
    path.write_bytes(raw)
    try:
        network, facts = checkpoints.load(path, "maps")
        assert network.config.channels and isinstance(facts, dict)
    except checkpoints.CheckpointError as error:
        assert len(str(error)) < MOST_WORDS
