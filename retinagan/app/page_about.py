"""Page *About*: the pipeline, how it works, the model card, attribution."""

from __future__ import annotations

import json
import re
from pathlib import Path

import streamlit as st

from retinagan import __version__
from retinagan.app.widgets import model_folder, page
from retinagan.resources import ASSETS, ROOT

HOW = """
- **The map** says what is diseased: each pixel is retina, optic disc, background or one of four lesions. A conditional
  StyleGAN draws one from an ICDR grade and a seed; you can edit it, draw your own or upload one.
- **The eye** says whose eye it is. The style seed grows a vascular tree from the map's disc, places the fovea, and
  lays a field of pigment and light. So the same eye can be shown with any disease, and no eye of the training data is
  copied.
- **The photograph**: a SPADE network renders map and eye together.
- **Seeds**: everything random comes from a seed that is shown. The same seeds and weights give the same pictures, here,
  on the command line and in Python. Downloaded PNGs carry their seeds, the map's hash and the weights' hashes.
"""

LIMITS = """
- All images are **synthetic** and **not for diagnosis**. No patient was photographed.
- A map's seven classes hold no IRMA, venous beading or new vessels. A map therefore cannot prove grade 3 or 4; the
  grade is what the generator was asked for.
- The networks learned from few eyes of one hospital and one camera; expect that look and no other.
"""

SOURCES = """
- Training data:
  [IDRiD](https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid), Indian Diabetic
  Retinopathy Image Dataset by P. Porwal, S. Pachade and M. Kokare, licensed
  [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) (Data 3(3):25, 2018, doi:10.3390/data3030025). Images were
  cropped and scaled for training.
- System: a PyTorch re-implementation of *High-Fidelity Diabetic Retina Fundus Image Synthesis from Freestyle Lesion
  Maps* ([farrell236/RetinaGAN](https://github.com/farrell236/RetinaGAN), MIT).
"""

# A picture in Markdown whose address is no link: a file beside the text, which the browser could not reach.
_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!\w+:)([^)\s]+)\)")


def show() -> None:
    st.image(
        (ASSETS / "pipeline.svg").read_text("utf-8"),
        width="stretch",
        alt="From grade and seed to a lesion map, from map and style seed to photographs",
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("How it works", anchor=False)
        st.markdown(HOW)
    with right:
        st.subheader("Limits", anchor=False)
        st.markdown(LIMITS)
        st.subheader("Data and sources", anchor=False)
        st.markdown(SOURCES)
    model_card(model_folder())
    st.caption(f"RetinaGAN {__version__}")


def model_card(folder: Path) -> None:
    """The weights' facts, from their headers, and the folder's README."""
    st.subheader(f"Model card: {folder.name}", anchor=False)
    networks = ["maps", "photos"] + ["segmenter"] * (folder / "segmenter.safetensors").is_file()
    for network, cell in zip(networks, st.columns(len(networks), gap="large"), strict=True):
        with cell:
            network_facts(folder / f"{network}.safetensors", network)
    readme = next((p for p in (folder / "README.md", folder.parent / "README.md") if p.is_file()), None)
    if readme is None:
        st.caption("This model folder has no README.md.")
        return
    with st.container(border=True, key="model_card"):
        text, *rest = _PICTURE.split(readme.read_text("utf-8", errors="replace"))
        st.markdown(text)
        for alt, name, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            picture = (readme.parent / name).resolve()
            if picture.is_file() and picture.is_relative_to(ROOT):
                st.image(picture, width="stretch", alt=alt)
            st.markdown(text)


def network_facts(path: Path, network: str) -> None:
    from retinagan.checkpoints import describe

    name = {"maps": "Map network", "photos": "Photo network", "segmenter": "Segmenter, which evaluates"}[network]
    try:
        found = describe(path)
    except (FileNotFoundError, ValueError) as error:
        st.markdown(f"**{name}**")
        st.caption(f"Cannot be read: {error}")
        return
    facts = found["facts"]
    size = f"{found['parameters'] / 1e6:.2f} million parameters, {found['bytes'] / 1e6:.1f} MB"
    trained = f"{facts['steps']:,} steps" if isinstance(facts.get("steps"), int) else ""
    trained += f", {facts['hours']:.1f} hours" if isinstance(facts.get("hours"), (int, float)) else ""
    st.markdown(f"**{name}** — {size}" + (f"; trained {trained}" if trained else ""))
    st.caption(f"SHA-256 `{found['sha256']}`")
    with st.expander("Configuration and training facts"):
        st.code(json.dumps({"config": found["config"], "facts": facts}, indent=2), language=None, height=320)


page(
    "About",
    "A grade or a drawing in, colour fundus photographs out. What is inside, where it learned, what it cannot do.",
    show,
)
