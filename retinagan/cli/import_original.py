"""``retinagan import-original``: the original's TensorFlow checkpoints → a model folder."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from retinagan.cli.arguments import add_command, add_quiet


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "import-original",
        run,
        "Convert the original's TensorFlow checkpoints to a model.",
        "PREFIX is a checkpoint without its .index and .data-… endings, or the published .zip, which stays packed.\n"
        "TensorFlow is not needed. The folder appears whole or not at all; use it with --model.",
        "--maps cstylegan_256x256.ckpt --photos gaugan_1024x1024.ckpt --out checkpoints/original",
    )
    parser.add_argument(
        "--maps",
        required=True,
        metavar="PREFIX",
        help="the conditional StyleGAN's: cstylegan_256x256.ckpt or cstylegan.zip",
    )
    parser.add_argument(
        "--photos", required=True, metavar="PREFIX", help="the GauGAN's: gaugan_1024x1024.ckpt or gaugan.zip"
    )
    parser.add_argument("--out", required=True, help="model folder to write; new or empty")
    add_quiet(parser)


def run(options: argparse.Namespace) -> int:
    from retinagan.original.convert import import_original

    def warn(text: str) -> None:
        print(f"retinagan: warning: {text}", file=sys.stderr)

    report = import_original(options.maps, options.photos, options.out, progress=not options.quiet, warn=warn)
    for network, description in report.networks.items():
        print(f"{description['path']}: {network}, {description['parameters']:,} parameters")
    return 0
