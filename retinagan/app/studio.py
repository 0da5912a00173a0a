"""What the pages work with: the shared model, and maps and photographs that are made once."""

from __future__ import annotations

import base64
import gc
import io
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from PIL import Image

from retinagan.eye.style import Style, as_style
from retinagan.files.provenance import Source, map_digest
from retinagan.maps.labels import BG, OD, PALETTE, VB
from retinagan.maps.progression import progression
from retinagan.pairs import Pair, Photograph, style_digest
from retinagan.seeds import NUM_GRADES

Weights = tuple[tuple[str, str], ...]
Result = TypeVar("Result")


class Models:
    """Both networks and the thread that computes with them, one thing at a time: all sessions share them.

    The threads of sessions come and go, and each that computed would have torch start threads of its own and would
    leave behind a heap of the size of a photograph's intermediate results.

    Attributes:
        pipeline: the networks.
        weights: the SHA-256 of each network's file: what they make is kept under it.
        seconds: that the last photographs took.
    """

    def __init__(self, folder: str) -> None:
        from retinagan.pipeline import RetinaGAN

        self.pipeline = RetinaGAN.from_pretrained(folder)
        self.weights: Weights = tuple(sorted(self.pipeline.hashes.items()))
        self._thread = ThreadPoolExecutor(1, "networks")
        self.seconds: deque[float] = deque(maxlen=15)

    def compute(self, what: Callable[..., Result], *given: Any) -> Result:
        """``what(*given)``, by the networks' thread; not to be called there. Its exceptions are raised here."""
        return self._thread.submit(what, *given).result()

    @property
    def speed(self) -> str:
        """For people: where it computes, and how long a photograph took lately."""
        device = self.pipeline.device
        name = "on the CPU (no GPU was found)" if device.type == "cpu" else "on the GPU"
        pace = f", about {sorted(self.seconds)[len(self.seconds) // 2]:.1f} s a photograph" if self.seconds else ""
        return f"Runs {name}{pace}."

    @property
    def size(self) -> int:
        return self.pipeline.size

    # --- maps and photographs; what was made before is not made again ---

    def sample(self, grade: int, seed: int, truncation: float = 1.0) -> np.ndarray:
        """The lesion map ``uint8 (size, size)`` of a grade and seed."""
        return _sample(self.weights, grade, seed, truncation, self)

    def between(self, end_a: tuple[int, int], end_b: tuple[int, int], position: float) -> np.ndarray:
        """The lesion map between two (grade, seed), at ``position`` 0..1."""
        return _map_between(self.weights, end_a, end_b, position, self)

    def progression(self, seed: int, truncation: float = 1.0) -> np.ndarray:
        """One eye at grades 0-4, ``uint8 (5, size, size)``: ``retinagan.maps.progression`` of the sampled maps."""
        return progression([self.sample(grade, seed, truncation) for grade in range(NUM_GRADES)], seed)

    def photograph(self, label_map: np.ndarray, style: int | Style, size: int | None = None) -> Photograph:
        """A photograph of a lesion map ``uint8 (size, size)`` in a style, or in that of a style seed."""
        style, size = as_style(style), self.pipeline.check_size(size)
        digest = (map_digest(label_map), style_digest(style), size)
        return Photograph(_render(self.weights, digest, self, label_map, style), style)

    def render(self, label_map: np.ndarray, style: Style, size: int) -> np.ndarray:
        """A photograph ``uint8 (size, size, 3)``, whose seconds are noted."""
        start = time.perf_counter()
        pixels = self.pipeline.render(label_map[None], [style], size)[0]
        self.seconds.append(time.perf_counter() - start)
        return pixels

    # --- the same as pairs ---

    def pair(self, label_map: np.ndarray, source: Source, **origin: Any) -> Pair:
        return Pair.of(self.pipeline, label_map, source, **origin)

    def sampled(self, grade: int, seed: int, truncation: float = 1.0) -> Pair:
        label_map = self.sample(grade, seed, truncation)
        return self.pair(label_map, "sampled", grade=grade, map_seed=seed, truncation=truncation)

    def photographed(self, pair: Pair, styles: Sequence[int | Style], size: int | None = None) -> Pair:
        """The map with its photographs in these styles."""
        return replace(pair, photographs=tuple(self.photograph(pair.label_map, style, size) for style in styles))


@st.cache_resource(max_entries=2, show_spinner="Loading the networks…")
def cached_models(folder: str, stamp: tuple[tuple[int, int], ...]) -> Models:
    """The models of a folder; ``stamp`` changes when its files do, and they are loaded anew."""
    models = Models(folder)
    # Streamlit collects garbage after each run of a page, 0.2 s with torch's modules among what it looks through. They
    # stay for good: out of its sight a run costs milliseconds.
    gc.collect()
    gc.freeze()
    return models


@st.cache_data(max_entries=256, show_spinner=False)
def _sample(weights: Weights, grade: int, seed: int, truncation: float, _models: Models) -> np.ndarray:
    return _models.compute(_models.pipeline.sample_maps, grade, [seed], truncation)[0]


@st.cache_data(max_entries=64, show_spinner=False)
def _map_between(
    weights: Weights, a: tuple[int, int], b: tuple[int, int], position: float, _models: Models
) -> np.ndarray:
    return _models.compute(_models.pipeline.maps_between, *a, *b, [position])[0]


# The map's key is its SHA-256: Streamlit would hash only a sample of a large array's pixels, and miss a small lesion.
@st.cache_data(max_entries=128, show_spinner=False)
def _render(
    weights: Weights, digest: tuple[str, str, int], _models: Models, _map: np.ndarray, _style: Style
) -> np.ndarray:
    return _models.compute(_models.render, _map, _style, digest[2])


def as_jpeg(pixels: np.ndarray) -> bytes:
    """For the screen: a few milliseconds, where a PNG takes a tenth of a second."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling=0)
    return buffer.getvalue()


def data_url(content: bytes, mime: str) -> str:
    """An address that is the content itself: the browser need not ask for it."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def overlaid(pixels: np.ndarray, label_map: np.ndarray, opacity: float) -> np.ndarray:
    """The map's lesions in their colours over a photograph ``uint8 (H, W, 3)``; the rest stays clear."""
    lesions = ~np.isin(label_map, (BG, OD, VB))
    result = pixels.copy()
    blend = pixels[lesions] * (1 - opacity) + PALETTE[label_map[lesions]] * opacity
    result[lesions] = np.round(blend).astype(np.uint8)
    return result
