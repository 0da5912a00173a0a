"""A style: what a lesion map leaves open, as a seed alone or with parts that a reference photograph or another style
gives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from retinagan.maps.anatomy import Anatomy
from retinagan.maps.labels import map_with_disc
from retinagan.seeds import check_seed, check_share

MAX_CODE = 512
"""Most numbers of a light code; as many as the original's latent has."""

_LARGEST = 1e5
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Style:
    """Whose eye a photograph shows. ``Style(7)`` is the style seed 7; every part given replaces the seed's own.

    Attributes:
        seed: 0 … 2⁶³-1.
        light: whitened code of the light ``(Z,)``; with a model without an eye, its whole latent. None: the seed's.
        texture: log-amplitudes of the texture's bands ``(B,)``. None: the seed's.
        vessels: ``uint8 (S, S)``, the ridge filter of a reference eye × 255, in place of the grown tree.
        tone: ``int8 (S, S)``, how dark the vessels are against others of their calibre (``retinagan.eye.tone``) × 127;
            veins are darker than arteries. None: all of one. Only with ``vessels``.
        fovea: its centre (x, y) in pixels of ``vessels``. Only with ``vessels``.
        disc: the reference's optic disc (x, y, radius) in pixels of ``vessels``: the vessels and the fovea are moved,
            and mirrored where needed, onto the disc of the map that is rendered. None: they stay where they are. Only
            with ``vessels``.
        reference: SHA-256 of the photograph (:func:`retinagan.eye.measured.photo_digest`) from which the parts were
            taken, or None.
        between: (seed a, seed b, position 0..1) of a style made by interpolation, or None.

    Numbers are kept as float32 holds them, so that a style written to a file and read back is the same.

    Raises:
        TypeError, ValueError: a part of the wrong type, shape or range (it is named).
    """

    seed: int
    light: tuple[float, ...] | None = None
    texture: tuple[float, ...] | None = None
    vessels: np.ndarray | None = None
    tone: np.ndarray | None = None
    fovea: tuple[float, float] | None = None
    disc: tuple[float, float, float] | None = None
    reference: str | None = None
    between: tuple[int, int, float] | None = None

    def __post_init__(self) -> None:
        keep = object.__setattr__
        keep(self, "seed", check_seed(self.seed))
        for name, most in (("light", MAX_CODE), ("texture", 64)):
            if getattr(self, name) is not None:
                keep(self, name, _numbers(name, getattr(self, name), 1, most))
        if self.vessels is not None:
            plane = self.vessels
            good = isinstance(plane, np.ndarray) and plane.dtype == np.uint8 and plane.ndim == 2
            if not good or plane.shape[0] != plane.shape[1]:
                found = (getattr(plane, "dtype", type(plane).__name__), getattr(plane, "shape", None))
                raise ValueError(f"vessels are {found}; allowed is a uint8 (S, S) plane of the ridge filter × 255")
        if self.tone is not None:
            fits = isinstance(self.tone, np.ndarray) and self.tone.dtype == np.int8
            if not fits or self.vessels is None or self.tone.shape != self.vessels.shape:
                raise ValueError("tone is no int8 plane of the vessels' shape")
        for name, count in (("fovea", 2), ("disc", 3)):
            if getattr(self, name) is not None:
                if self.vessels is None:
                    raise ValueError(f"{name} is given without vessels; its place is that in the vessels' plane")
                keep(self, name, _numbers(name, getattr(self, name), count, count))
        if self.reference is not None and not (isinstance(self.reference, str) and _SHA256.fullmatch(self.reference)):
            raise ValueError(f"reference is {str(self.reference)[:70]!r}; allowed are 64 hexadecimal digits (SHA-256)")
        if self.between is not None:
            if not isinstance(self.between, (tuple, list)) or len(self.between) != 3:
                raise ValueError(f"between is {self.between!r}; allowed is (seed a, seed b, position 0..1)")
            a, b, position = self.between
            keep(self, "between", (check_seed(a), check_seed(b), check_share("position", position)))

    @property
    def is_seed(self) -> bool:
        """Whether the seed alone says it all."""
        return self.light is None and self.texture is None and self.vessels is None

    @property
    def whole_eye(self) -> bool:
        """Whether the vessels are those of a reference photograph."""
        return self.vessels is not None

    def own_map(self, size: int) -> np.ndarray:
        """The reference eye without lesions: a lesion map ``uint8 (size, size)`` with its disc in its place.

        Raises:
            ValueError: the style has no disc.
        """
        if self.disc is None or self.vessels is None:
            raise ValueError("this style has no disc of its own; encode_style(photo, whole_eye=True) gives one")
        return map_with_disc(size, *(v * size / len(self.vessels) for v in self.disc))


def as_style(style: int | Style) -> Style:
    """A style seed or a :class:`Style` → Style. Raises TypeError or ValueError for anything else."""
    return style if isinstance(style, Style) else Style(style)


def place_vessels(style: Style, anatomy: Anatomy) -> dict:
    """The reference's vessels, their tone and the fovea on a map, as ``retinagan.eye.grown.make_eye`` takes them.

    With a disc of the style and of the map, mirrored if they lie on different sides, then moved so that the discs'
    centres agree; nothing is turned or stretched, and what comes in at the rim has no vessels.

    Args:
        style: with ``vessels``.
        anatomy: ``retinagan.maps.anatomy.find_anatomy`` of the map.

    Returns:
        ``vessels float32 (size, size)`` in 0..1, ``tone float32 (size, size)`` in -1..1 or None, and ``fovea`` (x, y)
        in pixels of the map or None.
    """
    if style.vessels is None:
        raise ValueError("this style has no vessels of its own; encode_style(photo, whole_eye=True) gives some")
    size = anatomy.size
    scale = size / len(style.vessels)
    fovea = None if style.fovea is None else tuple(v * scale for v in style.fovea)
    mirrored, right, down = False, 0, 0
    if style.disc is not None and anatomy.has_disc:
        x, y = style.disc[0] * scale, style.disc[1] * scale
        mirrored = (x <= size / 2) != (anatomy.side == "left")
        # Whole pixels, as a shift between them would blur; less than half of one is none.
        right, down = round(anatomy.disc_x - (size - x if mirrored else x)), round(anatomy.disc_y - y)

    def placed(plane: np.ndarray, unit: float) -> np.ndarray:
        plane = plane.astype(np.float32) / unit
        if scale != 1:
            plane = ndimage.zoom(plane, scale, output=np.float32, order=1, grid_mode=True, mode="nearest")
        plane = plane[:, ::-1] if mirrored else plane
        return np.ascontiguousarray(ndimage.shift(plane, (down, right), order=0) if right or down else plane)

    if fovea is not None:
        fovea = ((size - fovea[0] if mirrored else fovea[0]) + right, fovea[1] + down)
    tone = None if style.tone is None else placed(style.tone, 127)
    return {"vessels": placed(style.vessels, 255), "tone": tone, "fovea": fovea}


def _numbers(name: str, values: Sequence[float], least: int, most: int) -> tuple[float, ...]:
    """``values`` as float32 numbers in a tuple of ``least`` to ``most``."""
    count = f"{least}" if least == most else f"{least} to {most}"
    values = values.tolist() if isinstance(values, np.ndarray) else values
    good = isinstance(values, (tuple, list)) and least <= len(values) <= most
    good = good and all(isinstance(v, (int, float, np.number)) and not isinstance(v, bool) for v in values)
    # NaN compares as false.
    if not good or not all(abs(v) <= _LARGEST for v in values):
        allowed = f"{count} finite numbers of at most {_LARGEST:g}"
        raise ValueError(f"{name} is {str(values)[:60]!r}; allowed are {allowed}")
    return tuple(float(np.float32(v)) for v in values)
