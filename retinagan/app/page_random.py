"""Page *Random*: maps of a grade and their photographs, from visible seeds; the link repeats them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from retinagan.app.enlarge import clickable, enlarge, title_of
from retinagan.app.link import ALL, GRADES
from retinagan.app.widgets import (
    download,
    download_buttons,
    models,
    page,
    same_seeds,
    seed_input,
    show_map,
    show_photo,
)
from retinagan.pairs import Pair, zip_pairs
from retinagan.seeds import GRADE_NAMES, style_of


def show() -> None:
    grade_text, seed, maps, photos, truncation = controls()
    grades = list(range(len(GRADE_NAMES))) if grade_text == ALL else [int(grade_text)]
    networks = models()
    wanted = [(grade, seed + number) for grade in grades for number in range(maps)]
    total, done = len(wanted) * (1 + photos), 0
    everything = st.container(horizontal=True, vertical_alignment="center", key="everything")
    progress = st.progress(0.0, text=f"Making {len(wanted)} maps and {len(wanted) * photos} photographs…")
    pairs = []
    for cell, (grade, map_seed) in zip(grid(grades, maps, photos), wanted, strict=True):
        pair = networks.sampled(grade, map_seed, truncation)
        done += 1
        progress.progress(done / total, text=f"Grade {grade}, seed {map_seed}: map made, rendering…")
        photographs = []
        for number in range(photos):
            photographs.append(networks.photograph(pair.label_map, style_of(map_seed, number)))
            done += 1
            progress.progress(done / total, text=f"Grade {grade}, seed {map_seed}: photograph {number + 1} made")
        pairs.append(replace(pair, photographs=tuple(photographs)))
        with cell, st.container(border=True, key=f"card_{grade}_{map_seed}"):
            card(pairs[-1], narrow=maps == photos == 1 and len(grades) > 1)
    progress.empty()
    with everything:
        if len(pairs) > 1:
            name = f"retinagan-g{grade_text.lower()}-s{seed}.zip"
            download(f"All {len(pairs)} pairs as ZIP", lambda: zip_pairs(pairs), name, "everything")
        st.caption(f"The address of this page repeats it. {networks.speed}")


def grid(grades: list[int], maps: int, photos: int) -> Iterator[DeltaGenerator]:
    """A place for each card: a row for each grade, or one for all where each has a single map."""
    kind = "grid_row" if photos > 1 else "grid_wide" if maps > 1 or len(grades) == 1 else "grid_five"
    if maps == 1:
        with st.container(key=kind):
            yield from st.columns(len(grades), gap="small")
        return
    for grade in grades:
        st.subheader(f"Grade {grade} · {GRADE_NAMES[grade]}", anchor=False)
        with st.container(key=f"{kind}_{grade}"):
            yield from st.columns(maps, gap="small")


def controls() -> tuple[str, int, int, int, float]:
    """Grade (or ``All``), first seed, maps of each grade, photographs of each map, truncation; all in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="controls"):
        grade = st.segmented_control(
            "Grade (ICDR)", (ALL, *GRADES), default=ALL, required=True, key="grade", bind="query-params",
            help="\n".join(f"- {i}: {name}" for i, name in enumerate(GRADE_NAMES))
            + "\n\nA map's classes hold no IRMA, venous beading or new vessels: it cannot prove grade 3 or 4.",
        )  # fmt: skip
        seed = seed_input("Seed", "seed", "New seed", "Other maps, other eyes. The same seed gives the same pictures.")
        maps = st.number_input("Maps of each grade", 1, 6, 1, key="maps", bind="query-params", width=130)
        photos = st.number_input("Photographs of each map", 1, 4, 1, key="photos", bind="query-params", width=152)
        truncation = st.slider(
            "Truncation", 0.0, 1.0, 1.0, 0.05, key="truncation", bind="query-params", width=112,
            help="Below 1 maps come closer to the grade's average: fewer oddities, less variety.",
        )  # fmt: skip
    return grade or ALL, seed, int(maps), int(photos), float(truncation)


def card(pair: Pair, narrow: bool) -> None:
    """A map and its photographs, side by side or (``narrow``) one below the other; each opens when it is clicked."""
    grade, seed = pair.origin.seeds
    key = f"{grade}_{seed}"
    st.html(f'<p class="rg-card-title">Grade {grade} <span>{GRADE_NAMES[grade]}</span></p>')
    clicked = False
    cells: Sequence[AbstractContextManager] = (
        [nullcontext()] * 2 if narrow else st.columns(1 + len(pair.photographs), gap="small")
    )
    order = [*pair.photographs, None] if narrow else [None, *pair.photographs]
    for number, (cell, photograph) in enumerate(zip(cells, order, strict=True)):
        what = "map" if photograph is None else f"photograph {photograph.style.seed}"
        name = f"Enlarge grade {grade}, seed {seed}: {what}"
        show = partial(show_map, pair.label_map, f"map, seed {seed}")
        with cell:
            shown = show if photograph is None else partial(show_photo, photograph)
            clicked |= clickable(f"{key}_{number}", name, shown)
    if clicked:
        enlarge(pair, title_of(pair))
    with st.container(horizontal=True, gap="small"):
        same_seeds(pair, key, brief=True)
        with st.popover("Download", icon=":material/download:"):
            download_buttons(pair, key)


page(
    "Random",
    "Pick a grade: one network draws where the lesions lie, another photographs that eye. The same seeds give the same "
    "pictures. Click one to see it large, with its measurements.",
    show,
)
