"""Page *Progression*: one eye at grades 0 to 4, side by side and as an animation."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from retinagan.app.enlarge import clickable, enlarge, title_of
from retinagan.app.state import session
from retinagan.app.studio import Models
from retinagan.app.widgets import download, models, page, seed_input, show_map, show_photo
from retinagan.files.animation import caption, encode_gif, encode_webp
from retinagan.maps.labels import colours_from_map
from retinagan.maps.progression import frames_between
from retinagan.pairs import Pair, zip_pairs
from retinagan.seeds import GRADE_NAMES, NUM_GRADES

STEPS = 4
"""Frames from one grade to the next."""

HOLD, MOVE = 1400, 450
"""Milliseconds that a whole grade, and a frame on the way to it, are shown."""


def show() -> None:
    map_seed, style_seed = controls()
    networks = models()
    with st.spinner("Sampling five maps and bringing them onto one eye…"):
        stages = networks.progression(map_seed)
    pairs = []
    progress = st.progress(0.0, text="Rendering…")
    with st.container(key="grid_five"):
        cells = st.columns(NUM_GRADES, gap="small")
    for grade, cell in enumerate(cells):
        pair = networks.pair(stages[grade], "progression", grade=grade, map_seed=map_seed, truncation=1.0)
        pair = networks.photographed(pair, [style_seed])
        pairs.append(pair)
        with cell, st.container(border=True, key=f"stage_{grade}"):
            stage(pair)
        progress.progress((grade + 1) / NUM_GRADES, text=f"Grade {grade} rendered")
    progress.empty()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        name = f"progression-s{map_seed}-y{style_seed}.zip"
        download("All five pairs as ZIP", lambda: zip_pairs(pairs), name, "five")
        st.caption(
            "Each grade keeps the lesions of the one before and gets lesions of its own sampled map, moved to this "
            f"eye's disc. A plausible story, not a forecast. {networks.speed}"
        )
    animation(networks, stages, map_seed, style_seed)


def controls() -> tuple[int, int]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="controls"):
        map_seed = seed_input(
            "Map seed", "map_seed", "New lesions", "Which lesions, and where the disc lies: of all five maps."
        )
        style_seed = seed_input("Style seed", "style_seed", "New eye", "Whose eye: vessels, pigment and light.")
    return map_seed, style_seed


def stage(pair: Pair) -> None:
    (grade, _), (photograph,) = pair.origin.seeds, pair.photographs
    st.html(f'<p class="rg-card-title">Grade {grade} <span>{GRADE_NAMES[grade]}</span></p>')
    shown = partial(show_photo, photograph, caption="")
    clicked = clickable(f"photo{grade}", f"Enlarge the photograph of grade {grade}", shown)
    shown = partial(show_map, pair.label_map, alt=f"Lesion map of grade {grade}")
    if clickable(f"map{grade}", f"Enlarge the map of grade {grade}", shown) or clicked:
        enlarge(pair, title_of(pair))


def animation(networks: Models, stages: np.ndarray, map_seed: int, style_seed: int) -> None:
    """Made when it is asked for: about seventeen photographs; kept in the session for these seeds."""
    st.subheader("As an animation", anchor=False)
    key = (networks.weights, map_seed, style_seed)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        asked = st.button("Make the animation", icon=":material/movie:", type="primary", key="animate")
        st.caption("Lesions appear one after another in the same eye. GIF plays everywhere, WebP has finer colours.")
    if asked:
        frames, milliseconds = render_frames(networks, stages, map_seed, style_seed)
        files = {"gif": encode_gif(frames, milliseconds), "webp": encode_webp(frames, milliseconds)}
        session().animations["progression"] = (key, files)
    made_of, files = session().animations.get("progression", (None, {}))
    if made_of != key:
        return
    with st.container(key="animation_box"):
        st.image(files["gif"], width="stretch", alt="Animation: lesions gather in one eye from grade 0 to grade 4")
        with st.container(horizontal=True, gap="small"):
            name = f"progression-s{map_seed}-y{style_seed}"
            download("GIF", files["gif"], f"{name}.gif", "gif")
            download("WebP", files["webp"], f"{name}.webp", "webp")


def render_frames(
    networks: Models, stages: np.ndarray, map_seed: int, style_seed: int
) -> tuple[list[np.ndarray], list[int]]:
    """Frames with the map beside the photograph, and for how many milliseconds each is shown."""
    wanted = frames_between(stages, STEPS, map_seed)
    frames, milliseconds = [], []
    progress = st.progress(0.0, text=f"Rendering {len(wanted)} frames…")
    for number, (grade, label_map) in enumerate(wanted, 1):
        photograph = networks.photograph(label_map, style_seed)
        both = np.hstack([colours_from_map(label_map), photograph.pixels])
        frames.append(caption(both, f"Grade {grade}"))
        milliseconds.append(HOLD if np.array_equal(label_map, stages[grade]) else MOVE)
        progress.progress(number / len(wanted), text=f"Frame {number} of {len(wanted)}")
    progress.empty()
    return frames, milliseconds


page(
    "Progression",
    "The same eye, another disease: vessels, pigment and light stay while the lesions of grades 0 to 4 gather.",
    show,
)
