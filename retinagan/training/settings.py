"""Configuration files of training: YAML with one section a network part, every key checked.

A file has the key ``task`` and one mapping for each of the task's ``sections`` (name → dataclass with defaults), for
example::

    task: maps
    network: {latent_dim: 64}
    discriminator: {}
    training: {batch: 16, seed: 0}
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from retinagan.configuration import Field, configuration, from_mapping

TASKS = {
    "grader": "GraderTask",
    "maps": "MapsTask",
    "photos": "PhotosTask",
    "segmenter": "SegmenterTask",
    "superres": "SuperresTask",
}
"""The tasks' classes, each in the module of its name; imported when needed."""


@configuration
class LoopSettings:
    """What the shared loop reads from the section ``training``; a task's own settings extend this class."""

    seed: int = Field(0, ge=0)
    """Seed of the first weights and of every draw."""
    steps: int = Field(0, ge=0)
    """Steps to train in all; 0: no limit but the time given on the command line."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the averaged weights; the first steps use (1 + step) / (10 + step) if that is less."""
    clip: float = Field(0.0, ge=0)
    """Largest norm of a gradient, beyond which it is scaled down; 0: no clipping."""
    log_every: int = Field(20, ge=1)
    """Steps a line of log.jsonl."""
    checkpoint_minutes: float = Field(5.0, gt=0)
    """Minutes from one saved state to the next."""
    sheet_minutes: float = Field(10.0, ge=0)
    """Minutes from one contact sheet to the next; 0: only at the end."""
    prefetch: int = Field(0, ge=0)
    """Threads that prepare batches ahead; 0: in step with training."""


def loop_settings(config: Mapping[str, Any]) -> LoopSettings:
    """The loop's own settings out of a configuration; keys that belong to the task alone are passed over."""
    names = {field.name for field in dataclasses.fields(LoopSettings)}
    training = config.get("training") or {}
    return LoopSettings(**{key: value for key, value in training.items() if key in names})


def task_for(config: Mapping[str, Any], origin: str = "the configuration") -> Any:
    """The class of ``config["task"]``: a factory ``(config) -> Task`` with its ``sections``."""
    if "task" not in config:
        raise ValueError(f"{origin} has no key 'task'; allowed are {', '.join(TASKS)}")
    name = config["task"]
    if name not in TASKS:
        raise ValueError(f"task is {name!r}; allowed are {', '.join(TASKS)}")
    return getattr(importlib.import_module(f"retinagan.training.{name}"), TASKS[name])


class _Loader(yaml.SafeLoader):
    """Safe YAML in which numbers like 1e-3, without a dot, are numbers and no texts."""


def _number(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    value = float(loader.construct_scalar(node))
    return int(value) if value.is_integer() else value


_Loader.add_constructor("!number", _number)
_Loader.add_implicit_resolver("!number", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))


def load_config(path: str | Path, overrides: Mapping[str, Any] | Sequence[str] = ()) -> dict[str, Any]:
    """Read a YAML configuration and fill in every default.

    Args:
        path: the file.
        overrides: dotted keys with their values, as a mapping or as texts "training.batch=8" (the value is YAML).
    Returns:
        ``{"task": …, section: {every field: value}}`` of plain values, ready for JSON.
    Raises:
        FileNotFoundError: no such file.
        ValueError: not a mapping, an unknown task, section or key (the allowed ones are named), a wrong value.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no configuration {path}; the ones that come with the project are in configs/")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ValueError(f"{path} holds {type(raw).__name__}; a configuration is a mapping with the key 'task'")
    for key, value in _pairs(overrides):
        section, dot, name = key.partition(".")
        if not dot:
            raw[section] = value
            continue
        if not isinstance(raw.setdefault(section, {}) or {}, dict):
            raise ValueError(f"cannot set {key}: {section} is not a section")
        raw[section] = {**(raw[section] or {}), name: value}
    return complete_config(raw, str(path))


def complete_config(raw: Mapping[str, Any], origin: str = "the configuration") -> dict[str, Any]:
    """Check a configuration's keys and values and fill in the defaults; see :func:`load_config`."""
    sections = task_for(raw, origin).sections
    if unknown := [str(key) for key in raw if key not in ("task", *sections)]:
        raise ValueError(
            f"{origin} has unknown keys {', '.join(unknown)}; allowed are {', '.join(['task', *sections])}"
        )
    config: dict[str, Any] = {"task": raw["task"]}
    for section, declared in sections.items():
        checked = from_mapping(declared, raw.get(section) or {}, f"{origin}, section {section}")
        config[section] = json.loads(json.dumps(dataclasses.asdict(checked)))
    return config


def _pairs(overrides: Mapping[str, Any] | Sequence[str]) -> list[tuple[str, Any]]:
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    pairs = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"{text!r} is not of the form section.key=value")
        pairs.append((key.strip(), yaml.load(value, _Loader)))
    return pairs
