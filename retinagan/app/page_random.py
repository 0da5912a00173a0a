"""Page *Random*: maps of a grade and their photographs, from visible seeds; the link repeats them."""

from __future__ import annotations

import secrets

import streamlit as st

from retinagan.app import starts
from retinagan.app.studio import STYLE_STEP, Sheet, zip_sheets
from retinagan.app.widgets import MAX_SEED, download_buttons, models, open_in_draw, page, picture_row
from retinagan.labels import GRADE_NAMES

ALL = "All"
GRADES = (ALL, *(str(grade) for grade in range(len(GRADE_NAMES))))


def show() -> None:
    grade_text, seed, maps, photos, truncation = controls()
    grades = range(len(GRADE_NAMES)) if grade_text == ALL else [int(grade_text)]
    networks = models()
    wanted = [(grade, seed + number) for grade in grades for number in range(maps)]
    total, done = len(wanted) * (1 + photos), 0
    progress = st.progress(0.0, text=f"Making {len(wanted)} maps and {len(wanted) * photos} photographs…")
    everything = st.container()
    in_a_row = 2 if photos == 1 and len(wanted) > 1 else 1
    sheets = []
    for number, (grade, map_seed) in enumerate(wanted):
        if number % in_a_row == 0:
            cells = st.columns(in_a_row, gap="medium")
        label_map = networks.sample(grade, map_seed, truncation)
        done += 1
        progress.progress(done / total, text=f"Grade {grade}, seed {map_seed}: map made, rendering…")
        photographs = []
        for k in range(photos):
            photographs.append(networks.photograph(label_map, map_seed + k * STYLE_STEP))
            done += 1
            progress.progress(done / total, text=f"Grade {grade}, seed {map_seed}: photograph {k + 1} made")
        sheets.append(Sheet(label_map, "sampled", networks, grade, map_seed, truncation, tuple(photographs)))
        with cells[number % in_a_row], st.container(border=True, key=f"card_{grade}_{map_seed}"):
            card(sheets[-1])
    progress.empty()
    if len(sheets) > 1:
        everything.download_button(
            f"All {len(sheets)} pairs as ZIP",
            lambda: zip_sheets(sheets),
            f"retinagan-g{grade_text.lower()}-s{seed}.zip",
            "application/zip",
            on_click="ignore",
            icon=":material/folder_zip:",
            key="download_everything",
        )


def controls() -> tuple[str, int, int, int, float]:
    """Grade (or ``All``), first seed, maps of each grade, photographs of each map, truncation; all in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="controls"):
        grade = st.segmented_control(
            "Grade (ICDR)",
            GRADES,
            default=ALL,
            required=True,
            key="grade",
            bind="query-params",
            help="\n".join(f"- {i}: {name}" for i, name in enumerate(GRADE_NAMES))
            + "\n\nA map's classes hold no IRMA, venous beading or new vessels: it cannot prove grade 3 or 4.",
        )
        seed = st.number_input("Seed", 0, MAX_SEED, 7, key="seed", bind="query-params", width=130)
        st.button("New seed", icon=":material/casino:", on_click=_new_seed, help="Other maps, other eyes.")
        maps = st.number_input("Maps of each grade", 1, 6, 1, key="maps", bind="query-params", width=150)
        photos = st.number_input("Photographs of each map", 1, 4, 1, key="photos", bind="query-params", width=180)
        truncation = st.slider(
            "Truncation",
            0.0,
            1.0,
            1.0,
            0.05,
            key="truncation",
            bind="query-params",
            width=170,
            help="Below 1 maps come closer to the grade's average: fewer oddities, less variety.",
        )
    return grade or ALL, int(seed), int(maps), int(photos), float(truncation)


def card(sheet: Sheet) -> None:
    st.markdown(f"**Grade {sheet.grade}** · {GRADE_NAMES[sheet.grade]}")
    picture_row(sheet, f"map, seed {sheet.map_seed}")
    key = f"{sheet.grade}_{sheet.map_seed}"
    with st.container(horizontal=True, gap="small"):
        if st.button("Open in Draw", icon=":material/brush:", key=f"draw_{key}"):
            text = starts.sampled_text(sheet.grade, sheet.map_seed, sheet.truncation)
            open_in_draw(text, sheet.photographs[0].style_seed)
        with st.popover("Download", icon=":material/download:"):
            download_buttons(sheet, key)


def _new_seed() -> None:
    st.session_state["seed"] = secrets.randbelow(1_000_000)


page(
    "Random",
    "Pick a grade: one network draws where the lesions lie, another photographs that eye. The same seeds give the same "
    "pictures.",
    show,
)
