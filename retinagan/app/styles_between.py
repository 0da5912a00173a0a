"""Parts *Two styles* and *Two maps* of the page Styles: a slider from one to the other, and the way as an animation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from retinagan.app.link import GRADES
from retinagan.app.state import session
from retinagan.app.studio import Models
from retinagan.app.widgets import download, download_buttons, same_seeds, seed_input, show_map, show_photo
from retinagan.files.animation import caption, encode_gif
from retinagan.maps.labels import colours_from_map
from retinagan.pairs import Pair

FRAMES = 9
ENDS, WAY = 900, 160
"""Milliseconds of the ends and of the frames between them."""


def between_styles(networks: Models, pair: Pair, style_a: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        style_b = seed_input("To style seed", "style_b", "New end", "Its light and texture are at the right end.", 8)
        position = position_slider()

    def at(share: float) -> Pair:
        # The end itself, not a style that says where it lies between two: it is that seed's photograph.
        style = style_a if share == 0 else networks.pipeline.style_between(style_a, style_b, share)
        return networks.photographed(pair, [style])

    with st.spinner("Rendering…"):
        made = at(position)
        captions = (f"style {style_a}", f"{position:.0%} of the way", f"light of style {style_b}")
        shown = list(zip((at(0.0), made, at(1.0)), captions, strict=True))
    for cell, (one, words) in zip(st.columns(3, gap="small"), shown, strict=True):
        with cell:
            show_photo(one.photographs[0], caption=words)
    with st.container(horizontal=True, gap="small"):
        same_seeds(made, "between")
        download_buttons(made, "between")
    key = (networks.weights, pair.origin.map_sha256, style_a, style_b)
    way(key, f"styles-{style_a}-to-{style_b}", lambda share: at(share).photographs[0].pixels)


def between_maps(networks: Models, pair: Pair, style_seed: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        grade_b = st.segmented_control(
            "To grade", GRADES, default="4", required=True, key="grade_b", bind="query-params"
        )
        seed_b = seed_input("To map seed", "map_b", "New end", "Where the way ends.", 8)
        position = position_slider()
    a, b = pair.origin.seeds, (int(grade_b or 4), seed_b)

    def at(share: float) -> Pair:
        if share in (0, 1):  # the ends are sampled maps
            grade, seed = b if share else a
            found = networks.sampled(grade, seed)
        else:
            label_map = networks.between(a, b, share)
            found = networks.pair(
                label_map, "sampled", grade=a[0], map_seed=a[1], truncation=1.0, map_between=(*b, share)
            )
        return networks.photographed(found, [style_seed])

    with st.spinner("Sampling and rendering…"):
        made = at(position)
        ends = [f"grade {grade}, seed {seed}" for grade, seed in (a, b)]
        shown = [(at(0.0), ends[0]), (made, f"{position:.0%} of the way"), (at(1.0), ends[1])]
    for cell, (one, words) in zip(st.columns(3, gap="small"), shown, strict=True):
        with cell:
            show_map(one.label_map, words, alt=f"Lesion map, {words}")
            show_photo(one.photographs[0], caption="")
    with st.container(horizontal=True, gap="small"):
        same_seeds(made, "between")
        download_buttons(made, "between")

    def frame(share: float) -> np.ndarray:
        one = at(share)
        return np.hstack([colours_from_map(one.label_map), one.photographs[0].pixels])

    name = f"maps-g{a[0]}-s{a[1]}-to-g{b[0]}-s{b[1]}"
    way((networks.weights, name, style_seed), f"{name}-y{style_seed}", frame)


def position_slider() -> float:
    return st.slider(
        "Position", 0, 100, 50, 5, format="%d%%", key="position", bind="query-params", width=260,
        help="0 % is the first end, 100 % the other.",
    ) / 100  # fmt: skip


def way(key: tuple, name: str, frame: Callable[[float], np.ndarray]) -> None:
    """There and back as a GIF, made when it is asked for."""
    if st.button("Make the animation", icon=":material/movie:", key="animate_way"):
        progress = st.progress(0.0, text="Rendering…")
        frames = []
        for number in range(FRAMES):
            share = number / (FRAMES - 1)
            frames.append(caption(frame(share), f"{share:.0%}"))
            progress.progress((number + 1) / FRAMES, text=f"Frame {number + 1} of {FRAMES}")
        progress.empty()
        durations = [ENDS, *[WAY] * (FRAMES - 2), ENDS, *[WAY] * (FRAMES - 2)]
        session().animations["way"] = (key, {"gif": encode_gif(frames + frames[-2:0:-1], durations)})
    made_of, files = session().animations.get("way", (None, {}))
    if made_of == key:
        with st.container(key="animation_box"):
            st.image(files["gif"], width="stretch", alt="Animation: from the first end to the other and back")
            download("GIF", files["gif"], f"{name}.gif", "way")
