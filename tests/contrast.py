"""Contrast as the Web Content Accessibility Guidelines 2.2 measure it."""

from __future__ import annotations

import numpy as np


def luminance(colour) -> float:
    """Relative luminance of WCAG 2.2."""
    share = np.asarray(colour, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one, other) -> float:
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)
