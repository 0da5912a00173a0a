"""Import of the original release's weights: its two TensorFlow checkpoints → an ordinary model folder.

The networks' widths and depths come from the tensors' shapes, so checkpoints of the same structure and other sizes
work too. Only the generators' tensors are read; optimizer slots, discriminators, encoder and counters stay unread.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from retinagan import checkpoints
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig
from retinagan.original.bundle import Bundle, BundleError
from retinagan.seeds import NUM_GRADES
from retinagan.writing import partial_of

PUBLISHED_MD5 = {"maps": "ded1e6adf3942621a23e7b0fd8291e18", "photos": "40199790d9676934af6d4a0039954b85"}
"""MD5 of the published archives ``cstylegan.zip`` and ``gaugan.zip``."""

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_FLOAT32 = 1
_TRANSFORMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "conv": lambda t: t.permute(3, 2, 0, 1),  # HWIO → OIHW
    "dense": lambda t: t.t(),  # [in, out] → [out, in]
    "noise": lambda t: t.flatten(),  # [1, 1, 1, C] → [C]
    "plain": lambda t: t,
}
_RANKS = {"conv": 4, "dense": 2, "noise": 4}


@dataclass(frozen=True)
class ImportReport:
    """What :func:`import_original` did."""

    folder: Path
    networks: dict[str, dict]  # "maps", "photos": checkpoints.describe() of each file
    warnings: tuple[str, ...]
    bytes_read: int
    seconds: float


@dataclass(frozen=True)
class _Plan:
    """A generator's config and the source of each of its tensors: ``{state key: (tensor name, transform)}``."""

    network: str
    config: MapGeneratorConfig | PhotoGeneratorConfig
    sources: dict[str, tuple[str, str]]


def import_original(
    maps_prefix: str | Path,
    photos_prefix: str | Path,
    out: str | Path,
    *,
    progress: bool = True,
    warn: Callable[[str], None] = warnings.warn,
) -> ImportReport:
    """Convert the original's checkpoints to the model folder ``out``, usable as ``RetinaGAN.from_pretrained(out)``.

    Args:
        maps_prefix: of the map generator, ``cstylegan_256x256.ckpt`` (without ``.index``), or the published ``.zip``.
        photos_prefix: of the photo generator, ``gaugan_1024x1024.ckpt``, or the published ``.zip``.
        out: a folder that does not exist yet or is empty. It appears whole, or not at all.
        progress: show a progress bar.
        warn: told, in a sentence, what the user should know, e.g. that an archive is not the published one.

    Raises:
        FileNotFoundError: no checkpoint under a prefix.
        FileExistsError: ``out`` is a file or holds something.
        BundleError: a checkpoint is damaged, or not of the original's structure (a ``ValueError``).
    """
    start = time.monotonic()
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists already; give --out a new or empty folder: nothing is overwritten")
    bundles = {"maps": Bundle(maps_prefix), "photos": Bundle(photos_prefix)}
    plans = {"maps": plan_maps(bundles["maps"]), "photos": plan_photos(bundles["photos"])}
    collected: list[str] = []
    md5 = {}
    for network, bundle in bundles.items():
        md5[network] = _md5(bundle.origin, progress) if bundle.files.archive else None
        if md5[network] not in (None, PUBLISHED_MD5[network]):
            collected.append(
                f"{bundle.origin} is not the published archive: its MD5 is {md5[network]}, the published one's "
                f"{PUBLISHED_MD5[network]}. It was read all the same; unless you made it yourself, download it again"
            )
            warn(collected[-1])
    total = sum(bundles[n].entries[name].size for n, plan in plans.items() for name, _ in plan.sources.values())

    out.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_of(out)
    shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had this one's number
    partial.mkdir()
    try:
        with tqdm(total=total, unit="B", unit_scale=True, desc="importing", disable=not progress) as bar:
            for network, plan in plans.items():
                facts = _facts(network, bundles[network], md5[network])
                module = _build(plan, bundles[network], bar.update)
                checkpoints.save(partial / f"{network}.safetensors", network, module, facts, dtype=torch.float32)
                del module  # before the next one is read: both at once would double the memory
        networks = {network: checkpoints.describe(partial / f"{network}.safetensors") for network in plans}
        for network, description in networks.items():
            description["path"] = str(out / f"{network}.safetensors")
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return ImportReport(out, networks, tuple(collected), total, time.monotonic() - start)


def plan_maps(bundle: Bundle) -> _Plan:
    """The map generator in ``bundle``: every tensor that it needs, of the right shape. Raises BundleError."""
    find = _Finder(bundle, "map generator")
    grades, w_dim = find.shape("embedding/embeddings", 2)
    if grades != NUM_GRADES:
        raise BundleError(f"{bundle.origin}: its embedding knows {grades} grades; the scale has {NUM_GRADES}")
    layers = find.count(lambda i: f"mapping/{_layer(i)}/kernel")
    depth = find.count(lambda i: f"generator/{_layer(i)}/{_layer(1 if i == 0 else 2)}/gamma")
    if depth < 2 or layers < 1:
        raise BundleError(
            f"{bundle.origin}: {depth} synthesis blocks and {layers} mapping layers were found; 2 and 1 are the least"
        )
    channels = [find.shape(f"generator/{_layer(i)}/{_layer(1 if i == 0 else 2)}/gamma", 1)[0] for i in range(depth)]
    latent_dim = find.shape(f"mapping/{_layer(0)}/kernel", 2)[0]
    try:
        config = MapGeneratorConfig.original(latent_dim, channels, layers, w_dim)
    except ValueError as error:
        raise BundleError(f"{bundle.origin}: {error}") from error

    sources = {"map_latent.embedding.weight": ("embedding/embeddings", "plain")}
    for i in range(layers):
        sources |= _affine(f"map_latent.layers.{i}", f"mapping/{_layer(i)}", "dense")
    for i in range(depth):
        block = f"generator/{_layer(i)}"
        first = 0 if i == 0 else 1  # the first block has no convolution in front
        if first:
            sources |= _affine(f"blocks.{i}.conv1", f"{block}/{_layer(0)}", "conv")
        sources |= _affine(f"blocks.{i}.conv2", f"{block}/{_layer(first + 3)}", "conv")
        for style, at in (("style1", first), ("style2", first + 4)):
            key = f"blocks.{i}.{style}"
            sources[f"{key}.noise_weight"] = (f"{block}/{_layer(at)}/kernel", "noise")
            sources[f"{key}.gamma"] = (f"{block}/{_layer(at + 1)}/gamma", "plain")
            sources[f"{key}.beta"] = (f"{block}/{_layer(at + 1)}/beta", "plain")
            sources |= _affine(f"{key}.style_scale", f"{block}/{_layer(at + 2)}/dense_1", "dense")
            sources |= _affine(f"{key}.style_shift", f"{block}/{_layer(at + 2)}/dense_2", "dense")
    for i in range(2):
        sources |= _affine(f"outputs.{i}", f"generator/{_layer(depth + i)}/{_layer(0)}", "conv")
    with torch.device("meta"):
        expected = MapGenerator(config).state_dict()
    del expected["w_mean"]  # the original has no truncation; it is estimated from the imported mapping network
    return find.checked(_Plan("maps", config, sources), expected, ("generator/", "mapping/", "embedding/"))


def plan_photos(bundle: Bundle) -> _Plan:
    """The photo generator in ``bundle``: every tensor that it needs, of the right shape. Raises BundleError."""
    find = _Finder(bundle, "photo generator")
    latent_dim, stem = find.shape(f"generator/{_layer(0)}/kernel", 2)
    depth = find.count(lambda i: f"generator/{_layer(i + 1)}/conv_1/kernel")
    if not 1 <= depth <= 10:
        raise BundleError(f"{bundle.origin}: {depth} residual blocks were found; 1 to 10 can be built")
    blocks = [f"generator/{_layer(i + 1)}" for i in range(depth)]
    entering = [find.shape(f"{block}/conv_1/kernel", 4)[2] for block in blocks]
    channels = [find.shape(f"{block}/conv_1/kernel", 4)[3] for block in blocks]
    base = math.isqrt(stem // max(entering[0], 1))
    if base < 1 or base * base * entering[0] != stem or entering[0] != channels[0]:
        raise BundleError(
            f"{bundle.origin}: the dense layer's {stem} numbers make no square of {entering[0]} channels for a first "
            f"block of {channels[0]} filters; this is not the original's photo generator"
        )
    size = base << depth
    if size > 4096:
        raise BundleError(f"{bundle.origin}: its photographs would have a side of {size}; up to 4096 can be built")
    try:
        config = PhotoGeneratorConfig(
            size=size,
            channels=tuple(channels),
            final_upsample=True,
            latent_dim=latent_dim,
            latent_std=2.0,
            stem="latent",
            spade_hidden=tuple(find.shape(f"{block}/spade_1/conv/kernel", 4)[3] for block in blocks),
            modulation_kernel=3,
            norm="instance",
            skip="spade",
            map_resize="nearest",
            guidance="none",
            output="sigmoid",
            final_kernel=4,
        )
    except ValueError as error:
        raise BundleError(f"{bundle.origin}: {error}") from error

    sources = _affine("stem", f"generator/{_layer(0)}", "dense")
    for i, block in enumerate(blocks):
        for n in (1, 2, 3) if entering[i] != channels[i] else (1, 2):
            sources |= _affine(f"blocks.{i}.conv_{n}", f"{block}/conv_{n}", "conv")
            for part in ("conv", "conv_gamma", "conv_beta"):
                sources |= _affine(f"blocks.{i}.spade_{n}.{part}", f"{block}/spade_{n}/{part}", "conv")
    sources |= _affine("output", f"generator/{_layer(depth + 1)}", "conv")
    with torch.device("meta"):
        expected = PhotoGenerator(config).state_dict()
    return find.checked(_Plan("photos", config, sources), expected, ("generator/",))


def _layer(number: int) -> str:
    return f"layer_with_weights-{number}"


def _affine(key: str, name: str, transform: str) -> dict[str, tuple[str, str]]:
    return {f"{key}.weight": (f"{name}/kernel", transform), f"{key}.bias": (f"{name}/bias", "plain")}


class _Finder:
    """Looks tensors up in a bundle; what is missing or misshapen ends in an error that names it."""

    def __init__(self, bundle: Bundle, what: str):
        self.bundle, self.what = bundle, what

    def shape(self, name: str, rank: int) -> tuple[int, ...]:
        entry = self.bundle.entries.get(name + _VALUE)
        if entry is None:
            raise BundleError(
                f"{self.bundle.origin} has no tensor {name}: it is not the original's {self.what}. "
                "--maps takes the conditional StyleGAN's checkpoint, --photos the GauGAN's"
            )
        if entry.dtype != _FLOAT32 or len(entry.shape) != rank or min(entry.shape) < 1:
            raise BundleError(
                f"{self.bundle.origin}: tensor {name} has dtype number {entry.dtype} and shape {entry.shape}; the "
                f"original's {self.what} has float32 (1) with {rank} dimension(s) there"
            )
        return entry.shape

    def count(self, name: Callable[[int], str]) -> int:
        number = 0
        while name(number) + _VALUE in self.bundle.entries:
            number += 1
        return number

    def checked(self, plan: _Plan, expected: dict[str, torch.Tensor], roots: tuple[str, ...]) -> _Plan:
        """``plan`` with full tensor names, if all shapes fit ``expected`` and no tensor of the network is left over."""
        if plan.sources.keys() != expected.keys():
            odd = sorted(plan.sources.keys() ^ expected.keys())
            raise BundleError(f"{self.bundle.origin} does not hold the original's {self.what}; see {odd[:3]}")
        for key, (name, transform) in plan.sources.items():
            wanted = tuple(expected[key].shape)
            found = self.shape(name, _RANKS.get(transform, len(wanted)))
            if tuple(_TRANSFORMS[transform](torch.empty(found, device="meta")).shape) != wanted:
                raise BundleError(
                    f"{self.bundle.origin}: tensor {name} has shape {found}, which does not fit the other tensors "
                    f"(wanted for {key}: {wanted})"
                )
        parameters = sum(t.numel() for t in expected.values())
        if parameters > checkpoints.MAX_PARAMETERS:
            raise BundleError(
                f"{self.bundle.origin}: {parameters:,} parameters; at most {checkpoints.MAX_PARAMETERS:,} are imported"
            )
        sources = {key: (name + _VALUE, transform) for key, (name, transform) in plan.sources.items()}
        used = {name for name, _ in sources.values()}
        for name in self.bundle.entries:
            if name.startswith(roots) and ".OPTIMIZER_SLOT" not in name and name not in used:
                raise BundleError(f"{self.bundle.origin}: tensor {name} has no place in the original's {self.what}")
        return _Plan(plan.network, plan.config, sources)


def _build(plan: _Plan, bundle: Bundle, progress: Callable[[int], object]) -> nn.Module:
    """The generator with the bundle's weights, in evaluation mode."""
    keys = {name: (key, transform) for key, (name, transform) in plan.sources.items()}
    state = {}
    for name, array in bundle.tensors(keys, progress):
        key, transform = keys[name]
        state[key] = _TRANSFORMS[transform](torch.from_numpy(array)).contiguous()
        if not torch.isfinite(state[key]).all():
            raise BundleError(f"{bundle.origin}: tensor {name} holds values that are not finite")
    if isinstance(plan.config, MapGeneratorConfig):
        maps = MapGenerator(plan.config)
        maps.load_state_dict(state | {"w_mean": maps.w_mean})
        maps.estimate_w_mean()
        return maps.eval()
    with torch.device("meta"):
        photos = PhotoGenerator(plan.config)
    photos.load_state_dict(state, assign=True)
    return photos.eval()


def _facts(network: str, bundle: Bundle, md5: str | None) -> dict:
    """What About and ``info`` say of the imported weights."""
    if md5 is None:
        proof = "not checked: read from an unpacked checkpoint, only the published archive's MD5 is known"
    elif md5 == PUBLISHED_MD5[network]:
        proof = "the published archive (its MD5 matches)"
    else:
        proof = "NOT the published archive (its MD5 differs)"
    # Only the archive's MD5 can prove whose weights they are; anyone can write a file of the same structure.
    weights = "trained and published" if md5 == PUBLISHED_MD5[network] else "presumably trained and published"
    return {
        "name": "the original RetinaGAN release, imported",
        "weights": f"{weights} by the authors of farrell236/RetinaGAN, not by this project",
        "source": "https://github.com/farrell236/RetinaGAN",
        "licence": "MIT (the original's code); the training data have their own terms",
        "data": "FGADR Seg-set, as the release says",
        "imported_from": bundle.origin.name,
        "md5": md5,
        "authenticity": proof,
    }


def _md5(path: Path, progress: bool) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    size = path.stat().st_size
    with (
        open(path, "rb") as file,
        tqdm(total=size, unit="B", unit_scale=True, desc=f"checking {path.name}", disable=not progress) as bar,
    ):
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
