"""``retinagan render``: lesion maps → photographs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from retinagan.cli.arguments import add_command, add_model, argument, new_folder, parse_seeds
from retinagan.resources import DEFAULT_MODEL


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

    from retinagan.pairs import Pair
    from retinagan.pipeline import RetinaGAN
    from retinagan.writing import write_atomically

    paths = [Path(path) for path in options.maps]
    stems = [path.stem for path in paths]
    if len(set(stems)) != len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ValueError(f"two maps are called {twice!r}; their photographs would overwrite each other: rename one")
    model = RetinaGAN.from_pretrained(options.model or DEFAULT_MODEL, options.device)
    size = model.check_size(options.size)  # told before anything is written

    def read(path: Path) -> Pair:
        try:
            return Pair.read(model, path)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    pairs = [read(path) for path in paths]  # all are read before anything is written
    out = new_folder(options.out)
    jobs = [(stem, pair, seed) for stem, pair in zip(stems, pairs, strict=True) for seed in options.seeds]
    for stem, pair, seed in tqdm(jobs, unit="photo", disable=True if options.quiet else None):
        (photograph,) = pair.rendered(model, [seed], size).photographs
        write_atomically(out / f"{stem}-{photograph.suffix}.png", pair.photo_file(photograph))
    print(f"{len(jobs)} photographs: {out}")
    return 0
