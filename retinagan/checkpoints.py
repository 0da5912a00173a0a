"""Checkpoints: one safetensors file a network, which rebuilds itself from the config in its metadata.

Metadata holds ``format``, ``network`` (a key of :data:`NETWORKS`), ``config`` (the config dataclass as JSON) and
``facts`` (JSON: how it was trained, on what, by which version). Floats are stored as fp16, imported weights as float32.
Only safetensors are read; nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from retinagan.models.grader import Grader, GraderConfig
from retinagan.models.segmenter import Segmenter, SegmenterConfig
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig
from retinagan.models.superres import SuperResolver, SuperResolverConfig
from retinagan.writing import write_atomically

FORMAT = "retinagan-1"
NETWORKS = {
    "grader": (Grader, GraderConfig),
    "maps": (MapGenerator, MapGeneratorConfig),
    "photos": (PhotoGenerator, PhotoGeneratorConfig),
    "segmenter": (Segmenter, SegmenterConfig),
    "superres": (SuperResolver, SuperResolverConfig),
}
MAX_PARAMETERS = 500_000_000
"""No config may ask for more: the original's larger network has 106.5 million."""
MAX_HEADER = 4 * 2**20
"""Bytes of a file's header; the largest of this project has 45 thousand."""
MAX_TENSORS = 10_000
MAX_DEPTH = 50
"""Levels of lists and objects in config and facts: what reads deeper JSON may write it no more."""
MAX_BYTES = 4 * MAX_PARAMETERS + MAX_HEADER


class CheckpointError(ValueError):
    """A checkpoint file is damaged, or not what it should be."""


def save(path: str | Path, network: str, module: Any, facts: dict, dtype: torch.dtype = torch.float16) -> None:
    """Write ``module`` (an ``nn.Module`` with its ``config``) to ``path`` as safetensors, atomically.

    Args:
        network: a key of :data:`NETWORKS`.
        facts: JSON-serialisable; shown by ``python -m retinagan info`` and the app's About page.
        dtype: of the floats on disk: ``torch.float16``, or ``torch.float32`` where exactness is the point.

    Raises:
        ValueError: unknown network, or a value that is not finite in ``dtype`` (its tensor is named).
        OSError: as :func:`retinagan.writing.write_atomically`.
    """
    if network not in NETWORKS:
        raise ValueError(f"network is {network!r}; allowed are {tuple(NETWORKS)}")
    path = Path(path)
    tensors = {}
    for key, value in module.state_dict().items():
        value = value.detach().cpu().contiguous()
        if value.is_floating_point():
            value = value.to(dtype)
            if not torch.isfinite(value).all():
                raise ValueError(f"tensor {key} does not fit {dtype} or is not finite; nothing was written to {path}")
        tensors[key] = value
    _write(path, tensors, network, dataclasses.asdict(module.config), facts)


def change_config(path: str | Path, **changes: Any) -> None:
    """Replace values of the config in ``path``, atomically; tensors and facts stay as they are, to the bit.

    Raises:
        FileNotFoundError, CheckpointError: as :func:`load`.
        ValueError: the config allows no such value.
    """
    path = Path(path)
    metadata, _ = _header(path)
    network, config = metadata["network"], {**metadata["config"], **changes}
    NETWORKS[network][1](**config)
    with safe_open(path, framework="pt", device="cpu") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    _write(path, tensors, network, config, metadata["facts"])


def _write(path: Path, tensors: dict[str, torch.Tensor], network: str, config: dict, facts: dict) -> None:
    metadata = {"format": FORMAT, "network": network, "config": json.dumps(config), "facts": json.dumps(facts)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: save_file(tensors, file, metadata))


def describe(path: str | Path) -> dict:
    """What a checkpoint is, from its header alone: network, config, facts, parameters, bytes, SHA-256."""
    path = Path(path)
    metadata, shapes = _header(path)
    return {
        "path": str(path),
        "network": metadata["network"],
        "config": metadata["config"],
        "facts": metadata["facts"],
        "parameters": sum(torch.Size(shape).numel() for shape, _ in shapes.values()),
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
    }


def sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(path: str | Path, network: str) -> tuple[Any, dict]:
    """Rebuild the generator in ``path`` in float32 on the CPU, in evaluation mode, and its facts.

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: not a safetensors file, truncated, larger than any network, of another network or format, a
            config that does not build, or keys, shapes or dtypes that differ from what the config says. What is wrong
            is found in the header, before anything of that size is done.
    """
    path = Path(path)
    metadata, shapes = _header(path)
    if metadata["network"] != network:
        raise CheckpointError(f"{path} holds the network {metadata['network']!r}; expected {network!r}")
    module_class, config_class = NETWORKS[network]
    try:
        config = config_class(**metadata["config"])
        with torch.device("meta"), _ShapesAlone():
            skeleton = module_class(config)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"{path}: its config does not build the network {network!r}: {error}") from error
    expected = {key: (tuple(t.shape), _stored(t.dtype)) for key, t in skeleton.state_dict().items()}
    # Compared on the header before anything is allocated, so that a hostile config costs nothing.
    if sum(torch.Size(shape).numel() for shape, _ in expected.values()) > MAX_PARAMETERS:
        raise CheckpointError(f"{path}: its config asks for more than {MAX_PARAMETERS:,} parameters")
    missing, unexpected = sorted(expected.keys() - shapes.keys()), sorted(shapes.keys() - expected.keys())
    if missing or unexpected:
        raise CheckpointError(
            f"{path}: tensors do not fit its config; missing {missing[:3]} ({len(missing)}), "
            f"unexpected {_shown(unexpected[:3])} ({len(unexpected)})"
        )
    for key, (shape, dtype) in expected.items():
        if shapes[key][0] != shape or shapes[key][1] not in dtype:
            raise CheckpointError(f"{path}: tensor {key} is {_shown(shapes[key])}; its config says {shape} of {dtype}")
    with safe_open(path, framework="pt", device="cpu") as file:
        state = {key: file.get_tensor(key) for key in expected}
    for key, tensor in state.items():
        # By NumPy: torch shares out each of these small tensors among its threads, and waits for them.
        if not np.isfinite(tensor.numpy()).all():
            raise CheckpointError(f"{path}: tensor {key} holds values that are not finite; the file is damaged")
    module = module_class(config)
    module.load_state_dict(state, strict=True)
    return module.eval().requires_grad_(False), metadata["facts"]


class _ShapesAlone(TorchFunctionMode):
    """Builds a network on the meta device without the numbers that it begins with.

    torch has no kernels of its own there for drawing and scaling them: it would load its compiler, which takes a second
    and 100 MiB, to find that their shape stays.
    """

    _KEEP_SHAPE = ("div", "mul", "mul_", "randn_like")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func is torch.randn:
            return torch.empty(*args)
        if getattr(func, "__name__", None) in self._KEEP_SHAPE and isinstance(args[0], torch.Tensor):
            return args[0]
        return func(*args, **kwargs)


def _stored(dtype: torch.dtype) -> tuple[str, ...]:
    """Names of the safetensors dtypes in which a tensor of this dtype may be stored."""
    if dtype.is_floating_point:
        return ("F16", "F32")
    return {torch.int64: ("I64",), torch.int32: ("I32",), torch.bool: ("BOOL",)}[dtype]


def _header(path: Path) -> tuple[dict, dict[str, tuple[tuple[int, ...], str]]]:
    """Checked metadata (config and facts parsed) and ``{key: (shape, dtype name)}``."""
    if not path.is_file():
        raise FileNotFoundError(
            f"no checkpoint at {path}; a model folder holds maps.safetensors and photos.safetensors"
        )
    _check_size(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            keys = file.keys()
            if len(keys) > MAX_TENSORS:
                raise CheckpointError(f"{path} holds {len(keys):,} tensors; at most {MAX_TENSORS:,} are read")
            shapes = {}
            for key in keys:
                part = file.get_slice(key)
                shapes[key] = (tuple(part.get_shape()), part.get_dtype())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}); fetch or export it again") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} has format {_shown(metadata.get('format'))}; this version reads {FORMAT!r}")
    if metadata.get("network") not in NETWORKS:
        network = _shown(metadata.get("network"))
        raise CheckpointError(f"{path} holds the network {network}; allowed are {tuple(NETWORKS)}")
    try:
        parsed = {name: json.loads(metadata[name]) for name in ("config", "facts")}
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its metadata has no readable config and facts ({error})") from error
    if not isinstance(parsed["config"], dict) or not isinstance(parsed["facts"], dict):
        raise CheckpointError(f"{path}: config and facts in its metadata must be JSON objects")
    if any(map(_too_deep, parsed.values())):
        raise CheckpointError(f"{path}: config and facts in its metadata are nested above {MAX_DEPTH} levels")
    return {**metadata, **parsed}, shapes


def _check_size(path: Path) -> None:
    """Refuse what is larger than any network; whether the file is whole is told later."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if MAX_HEADER < header < size:
        raise CheckpointError(f"{path} has a header of {header:,} bytes; at most {MAX_HEADER:,} are read")
    if size > MAX_BYTES:
        raise CheckpointError(f"{path} has {size:,} bytes; at most {MAX_BYTES:,} are read")


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner = (item.values() if isinstance(item, dict) else item if isinstance(item, list) else () for item in level)
        level = [child for children in inner for child in children]
    return bool(level)


def _shown(value: object) -> str:
    """A value of a stranger's file in an error's line."""
    text = repr(value)
    return text if len(text) <= 120 else text[:119] + "…"
