"""``retinagan info``: what a checkpoint is."""

from __future__ import annotations

import argparse
import json
from typing import Any

from retinagan.cli.arguments import add_command
from retinagan.resources import model_folder


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "info",
        run,
        "Say what a checkpoint is: network, size, configuration, training facts, SHA-256.",
        "Only the file's header is read.",
        "checkpoints/default",
    )
    parser.add_argument("path", help="a model folder or a .safetensors file")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: argparse.Namespace) -> int:
    from retinagan.checkpoints import describe

    path = model_folder(options.path)
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"{path} holds no .safetensors file; name a model folder or a checkpoint")
    described = [describe(file) for file in files]
    if options.json:
        print(json.dumps(described, indent=2, ensure_ascii=False))
        return 0
    for facts in described:
        print(
            f"{facts['path']}: {facts['network']}, {facts['parameters']:,} parameters, {facts['bytes'] / 2**20:.1f} MB"
        )
        print(f"  sha256 {facts['sha256']}")
        for section in ("config", "facts"):
            for key, value in facts[section].items():
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                print(f"  {section}.{key}: {text}")
    return 0
