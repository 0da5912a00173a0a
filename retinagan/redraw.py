"""A photograph that follows the strokes on its map."""

from __future__ import annotations

import math

import numpy as np
import torch

from retinagan.eye.grown import hidden_by_lesions
from retinagan.eye.style import Style, as_style
from retinagan.maps.labels import BG, OD, one_hot
from retinagan.pipeline import RetinaGAN, as_bytes

Box = tuple[int, int, int, int]
"""First and last row, first and last column; the last ones are not part of it."""


class Redraw:
    """The photographs of an eye whose map changes stroke by stroke: a stroke costs what it changes.

    The eye and the coarse blocks of the photo generator depend on the disc and the field alone, so they are kept; what
    is left is local, so it is computed in a window around the changed pixels. A photograph differs by at most 1 of 255
    from ``RetinaGAN.render`` of the same map and style, in few pixels: libraries choose their algorithms by shape.
    Where the disc or the field changes, or the generator has no blind blocks, everything is computed. Not for two
    threads at once.

    Args:
        model: renders at its own size.
        style: a style seed or a style.
    """

    def __init__(self, model: RetinaGAN, style: int | Style) -> None:
        self.model, self.style = model, as_style(style)
        self._map = np.empty((0, 0), np.uint8)  # none yet

    @torch.inference_mode()
    def update(self, label_map: np.ndarray) -> np.ndarray:
        """The photograph ``uint8 (S, S, 3)`` of ``label_map``, ``uint8 (S, S)``.

        Raises:
            TypeError, ValueError: as ``RetinaGAN.render``.
        """
        label_map = self.model.check_maps(np.asarray(label_map)[None])[0].copy()
        before, self._map = self._map, label_map
        if before.size == 0 or not self.model.photo_generator.config.blind_blocks:
            self._whole()
        elif (changed := label_map != before).any():
            if np.isin([before[changed], label_map[changed]], (BG, OD)).any():
                self._whole()
            else:
                self._window(changed)
        return self._photo.copy()

    def _whole(self) -> None:
        onehot, latent, self._retina = self.model.inputs(self._map, self.style)
        with self.model.precision():
            self._coarse = self.model.photo_generator.coarse(onehot, latent, self._retina)
        size = self.model.size
        self._photo = self._fine((0, size, 0, size))

    def _window(self, changed: np.ndarray) -> None:
        """Computes the photograph around the ``changed bool (S, S)`` pixels anew."""
        config = self.model.photo_generator.config
        rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
        box = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
        top, bottom, left, right = self._around(box, math.ceil(self.model.lesion_margin) + config.lesion_reach)
        seen = self._around((top, bottom, left, right), config.lesion_reach)  # a window's own edges tell so far
        photo = self._fine(seen)[top - seen[0] : bottom - seen[0], left - seen[2] : right - seen[2]]
        self._photo[top:bottom, left:right] = photo

    def _around(self, box: Box, margin: int) -> Box:
        """``box`` with a margin, to whole pixels of the coarse blocks."""
        step, size = self.model.photo_generator.config.coarse_reduction, self.model.size
        first = [max(edge - margin, 0) // step * step for edge in box[::2]]
        last = [min(-(-(edge + margin) // step) * step, size) for edge in box[1::2]]
        return first[0], last[0], first[1], last[1]

    def _fine(self, box: Box) -> np.ndarray:
        """The photograph in ``box``, ``uint8 (H, W, 3)``; right up to ``lesion_reach`` from an edge inside of the
        picture."""
        model, network = self.model, self.model.photo_generator
        step, margin = network.config.coarse_reduction, math.ceil(model.lesion_margin)
        top, bottom, left, right = box
        window = slice(top, bottom), slice(left, right)
        above, before = max(top - margin, 0), max(left - margin, 0)
        wide = self._map[above : bottom + margin, before : right + margin]
        hidden = hidden_by_lesions(wide, model.lesion_margin)[
            top - above : bottom - above, left - before : right - before
        ]
        retina = None if self._retina is None else self._retina[..., top:bottom, left:right]
        onehot = one_hot(self._map[window][None]).to(model.device)
        coarse = self._coarse[..., top // step : bottom // step, left // step : right // step]
        with model.precision():
            return as_bytes(network.fine(coarse, onehot, model.with_gaps(retina, hidden), model.seen))
