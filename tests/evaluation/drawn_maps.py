"""Lesion maps with lesions at random places."""

import numpy as np

from retinagan.maps.labels import LESIONS, VB, empty_map

SIZE = 256


def scattered(seed: int, count: int = 25, size: int = SIZE, disc: str = "left") -> np.ndarray:
    """A map with ``count`` round lesions of all classes at random places well inside the field."""
    rng = np.random.default_rng(seed)
    label_map = empty_map(size, disc)
    y, x = np.mgrid[:size, :size] + 0.5
    for number in range(count):
        angle, distance = rng.uniform(0, 2 * np.pi), 0.42 * size * np.sqrt(rng.uniform())
        centre = size / 2 + distance * np.array([np.sin(angle), np.cos(angle)])
        inside = np.hypot(y - centre[0], x - centre[1]) <= rng.uniform(0.006, 0.02) * size
        label_map[inside & (label_map == VB)] = LESIONS[number % 4]
    return label_map
