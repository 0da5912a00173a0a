"""The photographs of a drawing while it is drawn, for the screen: a stroke costs what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from retinagan.app.studio import Models
from retinagan.eye.style import Style, as_style
from retinagan.pairs import Pair, Photograph, style_digest
from retinagan.redraw import Redraw


class Redraws:
    """One session's eyes, each kept while its style is asked for. Not for two threads at once."""

    def __init__(self) -> None:
        self._eyes: dict[tuple, Redraw] = {}

    def photographed(self, networks: Models, pair: Pair, styles: Sequence[int | Style]) -> Pair:
        """As ``networks.photographed``, within 1 of 255 (``retinagan.redraw``)."""
        before, self._eyes = self._eyes, {}  # an eye that cannot be rendered is not kept
        eyes, photographs = {}, []
        for style in map(as_style, styles):
            key = (networks.weights, style_digest(style))
            eyes[key] = before.get(key) or Redraw(networks.pipeline, style)
            photographs.append(Photograph(networks.compute(eyes[key].update, pair.label_map), style))
        self._eyes = eyes
        return replace(pair, photographs=tuple(photographs))
