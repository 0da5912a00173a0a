"""``retinagan render``: lesion maps → photographs."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retinagan.cli.arguments import add_command, add_model, argument, new_folder, parse_seeds
from retinagan.resources import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np

    from retinagan.files.provenance import Provenance


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "render",
        run,
        "Render photographs of lesion maps.",
        "A map is a lossless 8-bit PNG, sides of 16 to 4096 pixels, in the palette's seven colours; it is padded and\n"
        "scaled to the model's size without inventing classes. Writes MAP-ySEED.png.",
        "drawing.png samples/map-g3-s7.png --seeds 0-3 --out photos",
    )
    parser.add_argument("maps", nargs="+", metavar="MAP.png", help="lesion maps")
    parser.add_argument(
        "--seeds",
        type=argument(parse_seeds),
        default=[0],
        help="style seeds, 0 to 2^63-1: 7, or 0,3,10-19 (default 0)",
    )
    add_model(parser)


def run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from retinagan.files.maps import encode_photo_png
    from retinagan.pipeline import RetinaGAN

    paths = [Path(path) for path in options.maps]
    stems = [path.stem for path in paths]
    if len(set(stems)) != len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ValueError(f"two maps are called {twice!r}; their photographs would overwrite each other: rename one")
    model = RetinaGAN.from_pretrained(options.model or DEFAULT_MODEL, options.device)
    size = model.check_size(options.size)  # told before anything is written
    maps = [_read_map(path, model.size) for path in paths]  # all are read before anything is written
    out = new_folder(options.out)
    jobs = [(stem, *pair, seed) for stem, pair in zip(stems, maps, strict=True) for seed in options.seeds]
    for stem, label_map, origin, seed in tqdm(jobs, unit="photo", disable=True if options.quiet else None):
        photo = model.render(label_map[None], [seed], size)[0]
        made = dataclasses.replace(
            origin, kind="photograph", style_seed=seed, model=model.name, checkpoints=model.hashes
        )
        (out / f"{stem}-y{seed}.png").write_bytes(encode_photo_png(photo, made.chunks()))
    print(f"{len(jobs)} photographs: {out}")
    return 0


def _read_map(path: Path, size: int) -> tuple[np.ndarray, Provenance]:
    """A map file → (lesion map, its provenance): what the file says of itself if that is about this very map."""
    from retinagan.files.maps import read_map_png
    from retinagan.files.provenance import Provenance, map_digest, read_png

    try:
        label_map = read_map_png(path, size)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    try:
        origin = read_png(path.read_bytes())
    except ValueError:
        origin = None  # the map is whole; only what it says of its origin is not
    digest = map_digest(label_map)
    if origin is None or origin.map_sha256 != digest:
        origin = Provenance("map", "uploaded", digest)
    return label_map, origin
