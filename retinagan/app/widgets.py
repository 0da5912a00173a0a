"""What the pages share: the frame of a page, readable errors, the model, rows of pictures, downloads."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial, wraps
from itertools import count
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit import runtime

from retinagan import resources
from retinagan.app import starts
from retinagan.app.link import MAX_SEED, checked
from retinagan.app.state import begin, session
from retinagan.app.studio import Models, as_jpeg, cached_models, data_url
from retinagan.eye.style import Style, as_style
from retinagan.files.maps import encode_map_png
from retinagan.maps.labels import CLASSES
from retinagan.pairs import Pair, Photograph, zip_pairs

LOG = logging.getLogger("retinagan.app")
NOTICE = "Synthetic images · not for diagnosis"


def page(title: str, lead: str, body: Callable[[], None]) -> None:
    """Show a page: its head with the notice, then ``body`` with its errors made readable."""
    begin()
    st.html(f"<style>{_css()}</style>")
    st.logo(_asset("logo.svg"), size="large", icon_image=_asset("logo.svg"))
    st.html(
        f'<div class="rg-head"><h1>{title}</h1><span class="rg-notice">{NOTICE}</span></div><p '
        f'class="rg-lead">{lead}</p>'
    )
    with readable_errors():
        with st.container(key="link"):
            _check_link(title.partition(" ")[0].lower())
        body()


def _check_link(name: str) -> None:
    """Before any widget reads the address: what it must not say is left out, and told on the page ``name``."""
    state = session()
    allowed, told = checked(st.query_params.to_dict(), tuple(_model_names()))
    if told and told != state.left_out:
        state.left_out = told
        go(name, **allowed)
    for text in state.left_out:
        st.warning(plain(text))
    state.left_out = []


@contextmanager
def readable_errors() -> Iterator[None]:
    """Show an exception as a message instead of a traceback, which goes to the server's log.

    Messages of this project's own errors (ValueError, TypeError, FileNotFoundError) are written for users; of any other
    only the kind is shown. Streamlit's own control flow is no ``Exception`` and passes through.
    """
    try:
        yield
    except (ValueError, TypeError, FileNotFoundError) as error:
        LOG.warning("shown to the user: %s", error, exc_info=True)
        st.error(plain(str(error)), icon=":material/error:")
    except Exception as error:
        LOG.exception("unexpected error")
        st.error(
            f"Something went wrong ({type(error).__name__}); the server's log has the details. Reload the page to go "
            f"on.",
            icon=":material/error:",
        )


def fragment(function: Callable[[], None]) -> Callable[[], None]:
    """``st.fragment`` whose reruns have readable errors too."""

    @wraps(function)
    def guarded() -> None:
        with readable_errors():
            function()

    return st.fragment(guarded)


def plain(text: str) -> str:
    """``text`` as a sentence in Streamlit's Markdown, letter by letter: it may quote what a stranger uploaded."""
    text = text[:1].upper() + text[1:]
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-!|~$:" else " " if c in "\r\n" else c for c in text[:600])


# --- the model ---


def default_folder() -> Path:
    """The folder of weights that ``RETINAGAN_MODEL`` names, or ``checkpoints/default``."""
    return resources.model_folder(os.environ.get("RETINAGAN_MODEL") or "checkpoints/default")


def model_folder() -> Path:
    """The default folder of weights, or the choice of those beside it."""
    names = _model_names()
    if len(names) < 2:
        return default_folder()
    chosen = st.sidebar.selectbox(
        "Model", list(names), key="model", bind="query-params", help="Folders of weights, as they lie on the server."
    )
    return names.get(chosen, default_folder())


def _model_names() -> dict[str, Path]:
    """The folders of weights that may be chosen, by name, the default one first."""
    folder = default_folder()
    beside = [path.parent for path in sorted(folder.parent.glob("*/photos.safetensors"))]
    names = {path.name: path for path in beside if (path / "maps.safetensors").is_file()}
    return {folder.name: folder} | (names if folder.name in names else {})


def models() -> Models:
    """The loaded networks of the chosen folder."""
    return load(model_folder())


def load(folder: Path) -> Models:
    """The networks of a folder, shared by all sessions; loading them shows a spinner."""
    return cached_models(str(folder), _stamp(folder))


def _stamp(folder: Path) -> tuple[tuple[int, int], ...]:
    """Changes when the weights do, so that a new export is loaded without a restart."""
    found = (path.stat() for path in sorted(folder.glob("*.safetensors")))
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in found)


# --- pictures and downloads ---


def show_map(label_map: np.ndarray, caption: str | None = None, alt: str = "Lesion map") -> None:
    st.image(encode_map_png(label_map), caption=caption, width="stretch", alt=alt)


def show_photo(
    photograph: Photograph, overlay: np.ndarray | None = None, caption: str | None = None, at_once: bool = False
) -> None:
    """A photograph, or ``overlay`` in its place. The screen gets a JPEG of high quality, downloads are lossless.

    ``at_once``: the page itself carries the picture, and the browser need not ask for it.
    """
    jpeg = as_jpeg(photograph.pixels if overlay is None else overlay)
    caption = f"style {photograph.style.seed}" if caption is None else caption
    alt = f"Synthetic fundus photograph, {caption or f'style {photograph.style.seed}'}"
    picture = data_url(jpeg, "image/jpeg") if at_once else jpeg
    st.image(picture, caption=caption or None, width="stretch", alt=alt)


def picture_row(pair: Pair, caption: str) -> None:
    """A map and its photographs side by side."""
    cells = st.columns(1 + len(pair.photographs), gap="small")
    with cells[0]:
        show_map(pair.label_map, caption)
    for cell, photograph in zip(cells[1:], pair.photographs, strict=True):
        with cell:
            show_photo(photograph)


def download_buttons(pair: Pair, key: str) -> None:
    """Buttons for the map, each photograph and all of it; files are made when a button is pressed."""
    with st.container(horizontal=True, gap="small", key=f"downloads_{key}"):
        download("Map", pair.map_file, pair.map_name, f"{key}_map")
        many = len(pair.photographs) > 1
        for number, photograph in enumerate(pair.photographs):
            label = f"Photograph {photograph.style.seed}" if many else "Photograph"
            download(label, partial(pair.photo_file, photograph), pair.photo_name(photograph), f"{key}_photo{number}")
        if pair.photographs:
            label = "All as ZIP" if many else "Pair as ZIP"
            download(label, partial(zip_pairs, [pair]), f"{pair.name('pair')}.zip", f"{key}_pair")


def download(label: str, data: Callable[[], bytes] | bytes, name: str, key: str, disabled: bool = False) -> None:
    """A download button whose kind and icon follow from the file's name."""
    mime, icon = _KINDS[name.rpartition(".")[2]]
    data = partial(_made, data, name, mime) if callable(data) else data
    st.download_button(
        label, data, name, mime, key=f"download_{key}", on_click="ignore", icon=f":material/{icon}:", disabled=disabled
    )


def _made(data: Callable[[], bytes], name: str, mime: str) -> bytes:
    """What a press makes. Streamlit drops it when the runs of any two sessions end, be it before the browser has
    fetched it: the last few are held for longer."""
    content = data()
    place = f"download {next(_PRESSES) % HELD_DOWNLOADS}"
    runtime.get_instance().media_file_mgr.add(content, mime, place, name, is_for_static_download=True)
    return content


HELD_DOWNLOADS = 16
_PRESSES = count()


_KINDS = {
    "png": ("image/png", "download"),
    "gif": ("image/gif", "animated_images"),
    "webp": ("image/webp", "animated_images"),
    "json": ("application/json", "save"),
    "zip": ("application/zip", "folder_zip"),
}


def seed_input(label: str, key: str, fresh: str, help: str, default: int = 7) -> int:
    """A seed in the URL, with a button beside it for a fresh one."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="bottom", gap="small", width="content"):
        seed = st.number_input(label, 0, MAX_SEED, default, key=key, bind="query-params", width=130, help=help)
        st.button(fresh, icon=":material/casino:", key=f"fresh_{key}", on_click=_fresh_seed, args=(key,))
    return int(seed)


def _fresh_seed(key: str) -> None:
    st.session_state[key] = secrets.randbelow(1_000_000)


def open_in_draw(start: str, style: int | Style, label_map: np.ndarray | None = None) -> None:
    """Go to the page Draw with a start (see ``retinagan.app.starts``), anew even when it has the same one.

    A style that is more than its seed goes along as the session's ``reference``.
    """
    state, style = session(), as_style(style)
    state.uploaded, state.anew = label_map, True
    state.reference = None if style.is_seed else style
    go("draw", start=start, style=style.seed)


def go(name: str, **state: object) -> None:
    """To another page, with what its controls are to show."""
    st.switch_page(resources.app_page(name), query_params={key: str(value) for key, value in state.items()})


def draw_pair(pair: Pair) -> None:
    """Open a pair's map in Draw, in the style of its first photograph."""
    made = pair.origin
    style = pair.photographs[0].style if pair.photographs else 7
    if made.of_seeds:
        open_in_draw(starts.sampled_text(*made.seeds, 1.0 if made.truncation is None else made.truncation), style)
    else:
        open_in_draw(starts.UPLOAD, style, pair.label_map)


def same_seeds(pair: Pair, key: str, brief: bool = False) -> None:
    """Buttons that carry a map and its first photograph's style to other pages; only Draw's if ``brief``."""
    made = pair.origin
    if st.button("Open in Draw", icon=":material/brush:", key=f"to_draw_{key}"):
        draw_pair(pair)
    if made.of_seeds and not brief and made.truncation == 1.0:
        seed = pair.photographs[0].style.seed if pair.photographs else 7
        if st.button("Other styles", icon=":material/palette:", key=f"to_styles_{key}"):
            go("styles", map_grade=made.grade, map_seed=made.map_seed, style_seed=seed)
        if st.button("Other grades", icon=":material/timeline:", key=f"to_grades_{key}"):
            go("progression", map_seed=made.map_seed, style_seed=seed)


def swatch(index: int) -> str:
    """HTML of a class' colour."""
    return f'<span class="rg-swatch" style="background:rgb{CLASSES[index].colour}"></span>'


@cache
def _css() -> str:
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text("utf-8") for name in ("style.css", "pages.css"))


def _asset(name: str) -> str:
    return str(resources.ASSETS / name)
