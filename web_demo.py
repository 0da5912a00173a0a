"""Streamlit's entry: the list of pages. Start it with ``make demo`` or ``streamlit run web_demo.py``."""

import streamlit as st

PAGES = [
    st.Page("retinagan/app/page_random.py", title="Random", icon=":material/casino:", url_path="random", default=True),
    st.Page("retinagan/app/page_draw.py", title="Draw", icon=":material/brush:", url_path="draw"),
    st.Page("retinagan/app/page_styles.py", title="Styles", icon=":material/palette:", url_path="styles"),
    st.Page(
        "retinagan/app/page_progression.py", title="Progression", icon=":material/timeline:", url_path="progression"
    ),
    st.Page("retinagan/app/page_upload.py", title="Upload", icon=":material/upload:", url_path="upload"),
    st.Page(
        "retinagan/app/page_template.py",
        title="Template and colours",
        icon=":material/format_paint:",
        url_path="template",
    ),
    st.Page("retinagan/app/page_about.py", title="About", icon=":material/info:", url_path="about"),
]

st.set_page_config(page_title="RetinaGAN", page_icon=":material/visibility:", layout="wide")
st.navigation(PAGES, position="top").run()
