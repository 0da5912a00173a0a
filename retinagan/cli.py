"""The command line: ``python -m retinagan COMMAND``, with the commands of :data:`_COMMANDS`.

Thin over the modules that do the work; they are imported when a command runs, so that help is instant. Whatever goes
wrong is one line on stderr and exit code 2; ``prepare`` ends with 1 if some photographs failed, and an interrupted
command with 130.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from retinagan.cli_arguments import build_parser, join_negatives
from retinagan.resources import CONFIGS, DEFAULT_MODEL


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    argv = join_negatives(sys.argv[1:] if argv is None else argv)
    options = build_parser().parse_args(argv)
    try:
        return _COMMANDS[options.command](options)
    except KeyboardInterrupt:
        return _complain("interrupted", code=130)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        return _complain(error)
    except Exception as error:
        return _complain(f"unexpected {type(error).__name__}: {error}")


def _complain(problem: object, code: int = 2) -> int:
    print(f"retinagan: error: {' '.join(str(problem).split())}", file=sys.stderr)
    return code


def _prepare(options: argparse.Namespace) -> int:
    from retinagan.data import readers
    from retinagan.data.prepare import prepare

    root = Path(options.data)
    unlabelled = options.include_unlabelled or options.pseudo_label is not None
    if options.pseudo_label is not None and not Path(options.pseudo_label).exists():
        raise FileNotFoundError(
            f"no segmenter at {options.pseudo_label}; train one: python -m retinagan train segmenter"
        )
    layout = readers.detect_layout(root) if options.layout == "auto" else options.layout
    if layout == "idrid":
        eyes = readers.read_idrid(root, include_unlabelled=unlabelled)
    elif layout == "fgadr":
        eyes = readers.read_fgadr(root)
    else:
        eyes = (e for e in readers.read_folder(root) if e.has_map or e.problem or unlabelled)
    report = prepare(eyes, options.out, size=options.size, workers=options.workers, progress=not options.quiet)
    first, *failures = report.summary().splitlines()
    print(f"{first}: {options.out}")
    for line in failures:
        print(line, file=sys.stderr)
    if options.pseudo_label is not None:
        from retinagan.data.pseudo import pseudo_label

        labelled = pseudo_label(Path(options.out), Path(options.pseudo_label), progress=not options.quiet)
        print(labelled.summary())
    return 1 if report.failed else 0


def _train(options: argparse.Namespace) -> int:
    from retinagan.training.loop import load_config, task_for, train

    overrides = list(options.set)
    if options.data is not None:
        overrides.append(f"training.data={json.dumps(str(options.data))}")
    config = load_config(options.config or CONFIGS / f"default-{options.network}.yaml", overrides)
    if config["task"] != options.network:
        raise ValueError(f"{options.config} trains {config['task']!r}, not {options.network!r}")
    result = train(
        task_for(config), config, options.run_dir, steps=options.steps, max_minutes=options.minutes,
        resume=options.resume, devices=options.devices, accelerator=options.accelerator, progress=not options.quiet,
    )  # fmt: skip
    print(f"step {result.step} ({result.reason}): {result.state}")
    return 0


def _sample(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from retinagan.files.maps import encode_map_png, encode_photo_png
    from retinagan.files.provenance import Provenance, map_digest
    from retinagan.pipeline import RetinaGAN
    from retinagan.seeds import style_of

    model = RetinaGAN.from_pretrained(options.model or DEFAULT_MODEL, options.device)
    size = model.check_size(options.size)  # told before anything is written
    count = options.photos if options.styles is None else len(options.styles)
    out = _folder(options.out)
    for seed in tqdm(options.seeds, unit="map", disable=True if options.quiet else None):
        name = f"g{options.grade}-s{seed}"
        label_map = model.sample_maps(options.grade, [seed], options.truncation)[0]
        made = Provenance(
            "map", "sampled", map_digest(label_map), grade=options.grade, map_seed=seed, truncation=options.truncation,
            model=model.name, checkpoints=model.hashes,
        )  # fmt: skip
        (out / f"map-{name}.png").write_bytes(encode_map_png(label_map, made.chunks()))
        for style in options.styles or [style_of(seed, number) for number in range(count)]:
            photo = model.render(label_map[None], [style], size)[0]
            info = dataclasses.replace(made, kind="photograph", style_seed=style).chunks()
            (out / f"photo-{name}-y{style}.png").write_bytes(encode_photo_png(photo, info))
    print(f"{len(options.seeds)} maps, {len(options.seeds) * count} photographs: {out}")
    return 0


def _render(options: argparse.Namespace) -> int:
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
    out = _folder(options.out)
    jobs = [(stem, *pair, seed) for stem, pair in zip(stems, maps, strict=True) for seed in options.seeds]
    for stem, label_map, origin, seed in tqdm(jobs, unit="photo", disable=True if options.quiet else None):
        photo = model.render(label_map[None], [seed], size)[0]
        made = dataclasses.replace(
            origin, kind="photograph", style_seed=seed, model=model.name, checkpoints=model.hashes
        )
        (out / f"{stem}-y{seed}.png").write_bytes(encode_photo_png(photo, made.chunks()))
    print(f"{len(jobs)} photographs: {out}")
    return 0


def _read_map(path: Path, size: int):
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


def _evaluate(options: argparse.Namespace) -> int:
    from retinagan.data.prepare import read_manifest

    read_manifest(options.data)  # a wrong folder is told before anything is loaded or written
    evaluation = importlib.import_module(f"retinagan.evaluation.{options.what}")
    if options.inception and options.what != "photos":
        raise ValueError(f"--inception is for photos; {options.what} has no use for it")
    more = {"inception": Path(options.inception)} if options.inception else {}
    out = _folder(options.out)
    figures = evaluation.evaluate(
        Path(options.data), Path(options.model or DEFAULT_MODEL), out, options.count, progress=not options.quiet, **more
    )
    print(evaluation.table(figures))
    print(f"figures: {out}")
    return 0


def _export(options: argparse.Namespace) -> int:
    from retinagan.training.loop import export_run

    told = {}
    for text in options.fact:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise ValueError(f"--fact is {text!r}; it must be of the form KEY=TEXT, for example licence='CC BY 4.0'")
        told[key.strip()] = value.strip()
    for path in export_run(options.run_dir, options.out, told=told):
        print(f"{path} ({path.stat().st_size / 2**20:.1f} MB)")
    return 0


def _import_original(options: argparse.Namespace) -> int:
    from retinagan.original.convert import import_original

    def warn(text: str) -> None:
        print(f"retinagan: warning: {text}", file=sys.stderr)

    report = import_original(options.maps, options.photos, options.out, progress=not options.quiet, warn=warn)
    for network, description in report.networks.items():
        print(f"{description['path']}: {network}, {description['parameters']:,} parameters")
    return 0


def _info(options: argparse.Namespace) -> int:
    from retinagan.checkpoints import describe

    path = Path(options.path)
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


def _folder(path: str) -> Path:
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_COMMANDS = {
    "prepare": _prepare,
    "train": _train,
    "sample": _sample,
    "render": _render,
    "evaluate": _evaluate,
    "export": _export,
    "import-original": _import_original,
    "info": _info,
}
