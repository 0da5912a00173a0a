"""The pipeline as an SVG figure, and the logo: drawn here, so that colours and names are the project's own.

``python -m tools.figure`` writes both to ``assets/``.
"""

from __future__ import annotations

import math
from pathlib import Path

from retinagan.maps.labels import EX, HE, MA, OD, SE
from retinagan.maps.strokes import hex_colour

INK, CARD, LINE, ACCENT = "#2b201c", "#fffaf6", "#9a8478", "#b3452a"
WIDTH, HEIGHT = 1120, 330
_FONT = "font-family='Source Sans Pro, Segoe UI, Helvetica, Arial, sans-serif'"
_LESIONS = [  # class, angle in degrees, distance from the centre, size (of the radius)
    (HE, -60, 0.55, 0.11),
    (HE, 30, 0.62, 0.08),
    (HE, 100, 0.5, 0.07),
    (EX, -10, 0.22, 0.06),
    (EX, 8, 0.32, 0.05),
    (EX, 25, 0.26, 0.04),
    (SE, -115, 0.6, 0.1),
    (MA, 60, 0.3, 0.025),
    (MA, 140, 0.75, 0.025),
    (MA, -30, 0.72, 0.025),
    (MA, 75, 0.7, 0.025),
]
# Arcades around the fovea, their branches, and trunks to the nasal side: width, then a cubic, in radii from the disc.
_VESSELS = [
    (0.045, 0.0, -0.35, 0.25, -0.85, 1.25, -0.62),
    (0.045, 0.02, 0.4, 0.35, 0.8, 1.2, 0.66),
    (0.03, 0.06, -0.3, 0.4, -0.62, 1.32, -0.3),
    (0.03, 0.06, 0.3, 0.4, 0.62, 1.3, 0.42),
    (0.02, 0.28, -0.6, 0.4, -0.75, 0.5, -0.8, 0.72, -0.86),
    (0.02, 0.3, 0.56, 0.42, 0.72, 0.5, 0.78, 0.66, 0.86),
    (0.03, -0.05, -0.2, -0.15, -0.35, -0.22, -0.5),
    (0.03, -0.05, 0.2, -0.12, 0.4, -0.2, 0.52),
    (0.015, 0.62, -0.5, 0.75, -0.35, 0.9, -0.25, 1.05, -0.2),
    (0.015, 0.66, 0.53, 0.8, 0.38, 0.95, 0.25, 1.1, 0.2),
]
_ON_PHOTO = {HE: "#6d1408", EX: "#ffe9a0", SE: "#ffdcae", MA: "#7a1a0c"}


def pipeline_svg() -> str:
    """The figure, 1120 × 330, on a light card of its own: it is read on light and dark pages."""
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' width='{WIDTH}' height='{HEIGHT}' "
        f"role='img' "
        f"aria-label='A grade and a seed become a lesion map; with a style seed the map becomes photographs' {_FONT} "
        f"fill='{INK}'>",
        "<defs>"
        "<radialGradient id='rg-fundus' cx='0.62' cy='0.52' r='0.75'><stop offset='0' stop-color='#8f3413'/><stop "
        "offset='0.18' "
        "stop-color='#c05a20'/><stop offset='0.7' stop-color='#d0692a'/><stop offset='1' "
        "stop-color='#7c2d10'/></radialGradient>"
        f"<marker id='rg-tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'><path "
        f"d='M0 0L8 4L0 8z' fill='{LINE}'/></marker>"
        "</defs>",
    ]
    parts.append(f"<rect width='{WIDTH}' height='{HEIGHT}' rx='18' fill='{CARD}'/>")
    middle = 120
    parts += [
        _box(20, middle - 38, 150, "Grade + seed", ("ICDR 0–4",)),
        _arrow(170, middle, 205, middle),
        _box(210, middle - 38, 185, "Map network", ("conditional StyleGAN",)),
        _arrow(395, middle, 430, middle),
        _eye(515, middle, 80, photo=False),
        _label(515, 226, "Lesion map", "seven classes, yours to edit"),
        _arrow(600, middle, 635, middle),
        _box(640, middle - 38, 185, "Photo network", ("SPADE",)),
        _arrow(825, middle, 860, middle),
        _eye(950, middle, 80, photo=True),
        _label(950, 226, "Photographs", "one for each style"),
        _box(210, 252, 185, "Canvas or PNG", ("draw, upload",), height=60),
        _arrow(395, 282, 515, 282, 515, 246),
        _box(640, 252, 185, "Style seed: the eye", ("vessels, fovea, light",), height=60),
        _arrow(732, 252, 732, middle + 42),
        "</svg>",
    ]
    return "".join(parts)


def logo_svg() -> str:
    """A small eye and the project's name."""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 190 40' width='190' height='40' {_FONT}>"
        "<defs><radialGradient id='rg-fundus' cx='0.62' cy='0.52' r='0.75'><stop offset='0' stop-color='#8f3413'/>"
        "<stop offset='0.25' stop-color='#c05a20'/><stop offset='1' stop-color='#b3452a'/></radialGradient></defs>"
        f"{_eye(20, 20, 18, photo=True, lesions=False)}"
        f"<text x='48' y='28' font-size='24' font-weight='650' fill='#c2603f'>RetinaGAN</text></svg>"
    )


def _box(x: float, y: float, width: float, title: str, lines: tuple[str, ...], height: float = 76) -> str:
    centre = x + width / 2
    low = y + height / 2
    text = f"<text x='{centre}' y='{low - 3}' text-anchor='middle' font-size='17' font-weight='600'>{title}</text>"
    for number, line in enumerate(lines):
        text += f"<text x='{centre}' y='{low + 18 + 18 * number}' text-anchor='middle' font-size='14' opacity='0.75'>"
        text += f"{line}</text>"
    return (
        f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='12' fill='{ACCENT}' fill-opacity='0.08' "
        f"stroke='{LINE}' "
        f"stroke-width='1.5'/>{text}"
    )


def _label(x: float, y: float, title: str, line: str) -> str:
    return (
        f"<text x='{x}' y='{y}' text-anchor='middle' font-size='17' font-weight='600'>{title}"
        f"<tspan font-size='14' font-weight='400' opacity='0.75' dx='8'>{line}</tspan></text>"
    )


def _arrow(*points: float) -> str:
    line = " ".join(f"{x},{y}" for x, y in zip(points[::2], points[1::2], strict=True))
    return f"<polyline points='{line}' fill='none' stroke='{LINE}' stroke-width='2' marker-end='url(#rg-tip)'/>"


def _eye(x: float, y: float, radius: float, photo: bool, lesions: bool = True) -> str:
    """The same eye as a map (flat classes) or as a photograph (gradient, vessels)."""
    fill = "url(#rg-fundus)" if photo else "#ffffff"
    disc = "#ffd9a0" if photo else hex_colour(OD)
    disc_x, disc_y = x - 0.58 * radius, y - 0.04 * radius
    parts = [f"<circle cx='{x}' cy='{y}' r='{radius}' fill='{fill}' stroke='#000000' stroke-width='{radius / 40}'/>"]
    parts.append(f"<circle cx='{disc_x}' cy='{disc_y}' r='{0.17 * radius}' fill='{disc}'/>")
    if photo:
        parts += [_vessel(disc_x, disc_y, radius, *curve) for curve in _VESSELS]
    for label, angle, distance, size in _LESIONS if lesions else ():
        cx = x + distance * radius * math.cos(math.radians(angle))
        cy = y + distance * radius * math.sin(math.radians(angle))
        colour = _ON_PHOTO[label] if photo else hex_colour(label)
        parts.append(
            f"<ellipse cx='{cx:.1f}' cy='{cy:.1f}' rx='{size * radius:.1f}' ry='{size * radius * 0.72:.1f}' "
            f"fill='{colour}' "
            f"transform='rotate({angle} {cx:.1f} {cy:.1f})'/>"
        )
    return "".join(parts)


def _vessel(x: float, y: float, radius: float, width: float, *points: float) -> str:
    """A cubic from the disc (x, y) or, with eight numbers, from a point on another vessel; in radii, from the disc."""
    moved = [(x + a * radius, y + b * radius) for a, b in zip(points[::2], points[1::2], strict=True)]
    start, *rest = moved if len(moved) == 4 else [(x, y), *moved]
    curve = " ".join(f"{a:.1f} {b:.1f}" for a, b in rest)
    return (
        f"<path d='M{start[0]:.1f} {start[1]:.1f}C{curve}' fill='none' stroke='#741c0e' "
        f"stroke-width='{0.8 * width * radius:.2f}' "
        "stroke-linecap='round'/>"
    )


if __name__ == "__main__":
    assets = Path(__file__).resolve().parent.parent / "assets"
    (assets / "pipeline.svg").write_text(pipeline_svg() + "\n", "utf-8")
    (assets / "logo.svg").write_text(logo_svg() + "\n", "utf-8")
