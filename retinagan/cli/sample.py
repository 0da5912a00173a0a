"""``retinagan sample``: grade and seeds → lesion maps, with photographs if asked."""

from __future__ import annotations

import argparse
from typing import Any

from retinagan.cli.arguments import add_command, add_model, argument, new_folder, number, parse_seeds
from retinagan.resources import DEFAULT_MODEL


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "sample",
        run,
        "Sample lesion maps of a grade, with photographs if asked.",
        "Grades: 0 no retinopathy, 1 mild, 2 moderate, 3 severe NPDR, 4 proliferative.\n"
        "Writes map-gGRADE-sSEED.png and, with --photos or --styles, photo-gGRADE-sSEED-ySTYLE.png.\n"
        "The same seeds give the same pixels on every run, here, in the app and in Python.",
        "--grade 3 --seeds 0,3,10-19 --photos 2 --truncation 0.7 --out samples",
    )
    parser.add_argument("--grade", type=number(int, 0, 4, "grade"), required=True, help="ICDR grade, 0-4")
    parser.add_argument(
        "--seeds", type=argument(parse_seeds), required=True, help="map seeds, 0 to 2^63-1: 7, or 0,3,10-19"
    )
    parser.add_argument(
        "--truncation",
        type=number(float, 0, 1, "truncation"),
        default=1.0,
        help="0-1; below 1: fewer oddities, less variety (default 1)",
    )
    many = parser.add_mutually_exclusive_group()
    many.add_argument(
        "--photos",
        type=number(int, 0, 1000, "photos"),
        default=0,
        help="photographs of each map, 0-1000, with the style seeds s, s + 1000 … of map seed s, as in the app "
        "(default 0)",
    )
    many.add_argument(
        "--styles", type=argument(parse_seeds), help="style seeds of the photographs instead, written as --seeds"
    )
    add_model(parser)


def run(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from retinagan.pairs import Pair
    from retinagan.pipeline import RetinaGAN
    from retinagan.seeds import style_of
    from retinagan.writing import write_atomically

    model = RetinaGAN.from_pretrained(options.model or DEFAULT_MODEL, options.device)
    size = model.check_size(options.size)  # told before anything is written
    count = options.photos if options.styles is None else len(options.styles)
    out = new_folder(options.out)
    for seed in tqdm(options.seeds, unit="map", disable=True if options.quiet else None):
        pair = Pair.sample(model, options.grade, seed, options.truncation)
        write_atomically(out / pair.map_name, pair.map_file())
        for style in options.styles or [style_of(seed, index) for index in range(count)]:
            (photograph,) = pair.rendered(model, [style], size).photographs
            write_atomically(out / pair.photo_name(photograph), pair.photo_file(photograph))
    print(f"{len(options.seeds)} maps, {len(options.seeds) * count} photographs: {out}")
    return 0
