"""Pictures that open when they are clicked: large, with measurements, the way to other pages and the files."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from retinagan.app.measures import show_measures
from retinagan.app.studio import overlaid
from retinagan.app.widgets import download_buttons, readable_errors, same_seeds, show_map, show_photo
from retinagan.pairs import Pair
from retinagan.seeds import GRADE_NAMES


def clickable(key: str, name: str, show: Callable[[], None]) -> bool:
    """A picture under a button of its size, which keyboards and screen readers find by its name."""
    with st.container(key=f"zoom_{key}", gap=None):
        show()
        return st.button(name, icon=":material/zoom_in:", key=f"enlarge_{key}")


def enlarge(pair: Pair, title: str) -> None:
    """The window over the page: call it in the run in which the picture was clicked."""

    @st.dialog(title, width="large")
    def window() -> None:
        with readable_errors():
            _content(pair)

    window()


def title_of(pair: Pair) -> str:
    """For people: what the pair shows."""
    made = pair.origin
    if made.grade is None:
        return "Your map"
    return f"Grade {made.grade} · {GRADE_NAMES[made.grade]} · map seed {made.map_seed}"


def _content(pair: Pair) -> None:
    on_top = st.slider(
        "Lesions on top of the photograph", 0, 100, 0, 10, format="%d%%", key="enlarged_overlay", width=260
    )
    cells = st.columns(2, gap="small")
    with cells[0]:
        show_map(pair.label_map, "lesion map")
    for number, photograph in enumerate(pair.photographs, 1):
        with cells[number % 2]:
            overlay = overlaid(photograph.pixels, pair.label_map, on_top / 100) if on_top else None
            show_photo(photograph, overlay)
    with st.container(horizontal=True, gap="small"):
        same_seeds(pair, "enlarged")
    download_buttons(pair, "enlarged")
    show_measures(pair.label_map)
