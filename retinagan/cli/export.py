"""``retinagan export``: a training run → weights as they are shipped."""

from __future__ import annotations

import argparse
from typing import Any

from retinagan.cli.arguments import add_command


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "export",
        run,
        "Write the averaged weights of a training run as they are shipped.",
        "One safetensors file a network, with its configuration and the facts of its training.",
        "runs/photos --out checkpoints/mine",
    )
    parser.add_argument("run_dir", metavar="RUN", help="a training run's folder")
    parser.add_argument("--out", required=True, help="model folder to write to")
    parser.add_argument(
        "--fact",
        action="append",
        default=[],
        metavar="KEY=TEXT",
        help="a fact that the files shall tell, such as data or licence; may be given several times",
    )


def run(options: argparse.Namespace) -> int:
    from retinagan.training.export import export_run

    told = {}
    for text in options.fact:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise ValueError(f"--fact is {text!r}; it must be of the form KEY=TEXT, for example licence='CC BY 4.0'")
        told[key.strip()] = value.strip()
    for path in export_run(options.run_dir, options.out, told=told):
        print(f"{path} ({path.stat().st_size / 2**20:.1f} MB)")
    return 0
