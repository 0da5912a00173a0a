"""A training of the map generator that takes a moment."""

from __future__ import annotations

from pathlib import Path

import yaml

from retinagan.cli import main
from retinagan.maps.labels import EX, HE, MA, SE, empty_map
from tests.synthetic_eyes import write_folder


def tiny_training(folder: Path) -> Path:
    """Prepare drawn eyes into ``folder/data``; returns the configuration, ``folder/tiny.yaml``."""
    rows = ["id,grade,eye"]
    for grade, lesion in ((0, None), (2, EX), (3, HE), (4, SE)):
        label_map = empty_map(64)
        if lesion is not None:
            label_map[30:36, 40:46] = lesion
            label_map[45:47, [30, 36, 50]] = MA
        root = write_folder(folder / "in", label_map)
        for kind in ("images", "maps"):
            (root / kind / "a.png").rename(root / kind / f"e{grade}.png")
        rows.append(f"e{grade},{grade},idrid:seg-01")  # an eye of the training split
    (root / "grades.csv").write_text("\n".join(rows))
    assert main(["prepare", str(root), "--out", str(folder / "data"), "--size", "64", "--quiet"]) == 0
    config = {
        "task": "maps",
        "network": {"latent_dim": 8, "w_dim": 8, "mapping_layers": 2, "channels": [8, 8, 8, 8]},
        "discriminator": {"channels": [8, 8]},
        "training": {"batch": 5, "seed": 1, "log_every": 1},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
