"""The server's start: the networks are loaded while the browser is still loading the page."""

from __future__ import annotations

import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import streamlit as st


@asynccontextmanager
async def networks_ahead(app: st.App) -> AsyncIterator[None]:
    """The life of the server: the default model's networks are loaded beside it, for the first session."""
    threading.Thread(target=_load, name="networks", daemon=True).start()
    yield


@st.cache_resource(show_spinner=False)  # nor does what it calls show one: there is no page yet
def _load() -> None:
    gc.disable()  # it would look through torch's modules again and again while they come: a sixth of the time
    try:
        with suppress(Exception):  # whatever it is, the first session meets it again and says it
            from retinagan.app.widgets import default_folder, load

            load(default_folder())
    finally:
        gc.enable()
