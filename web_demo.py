"""Streamlit's entry. Start it with ``make demo`` or ``streamlit run web_demo.py``.

Streamlit imports it once, for the server, and runs it in each session, for the list of pages.
"""

import os

import streamlit as st

from retinagan.app.server import networks_ahead
from retinagan.resources import ASSETS, app_page

# The browser often runs on the same cores. Threads of torch that wait for each other awake, as they do by default, lose
# a time slice to it at every step: a stroke's photograph then takes several times as long. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if __name__ == "__main__":
    PAGES = [
        st.Page(app_page("random"), title="Random", icon=":material/casino:", url_path="random", default=True),
        st.Page(app_page("draw"), title="Draw", icon=":material/brush:", url_path="draw"),
        st.Page(app_page("styles"), title="Styles", icon=":material/palette:", url_path="styles"),
        st.Page(app_page("progression"), title="Progression", icon=":material/timeline:", url_path="progression"),
        st.Page(app_page("upload"), title="Upload", icon=":material/upload:", url_path="upload"),
        st.Page(
            app_page("template"),
            title="Template and colours",
            icon=":material/format_paint:",
            url_path="template",
        ),
        st.Page(app_page("about"), title="About", icon=":material/info:", url_path="about"),
    ]

    st.set_page_config(page_title="RetinaGAN", page_icon=str(ASSETS / "logo.svg"), layout="wide")
    st.navigation(PAGES, position="top").run()
else:
    app = st.App(__file__, lifespan=networks_ahead)
