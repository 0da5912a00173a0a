"""From a grade to lesion maps, from a map to photographs: what app, command line and tests call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from retinagan import checkpoints
from retinagan.eye import make_eye
from retinagan.labels import check_map, clean_map, one_hot
from retinagan.models.spade import PhotoGenerator
from retinagan.models.stylegan import MapGenerator, logits_to_maps
from retinagan.seeds import check_grade, check_seed, check_share

DEFAULT_MODEL = Path(__file__).resolve().parent.parent / "checkpoints" / "default"


class RetinaGAN:
    """Both networks and the way through them.

    Every image is computed alone from its own map, seed and the weights, so that the same seed gives the same bytes
    in any batch, in the app, on the command line and here.

    Attributes:
        map_generator, photo_generator: the networks, in evaluation mode.
        name: the model folder's name.
        size: side of maps and photographs in pixels.
        facts: ``{"maps": …, "photos": …}``, what each checkpoint says of its training.
        hashes: ``{"maps": …, "photos": …}``, SHA-256 of the checkpoint files; empty when built from modules.
    """

    def __init__(
        self,
        map_generator: MapGenerator,
        photo_generator: PhotoGenerator,
        device: torch.device | str = "cpu",
        *,
        name: str = "unnamed",
        facts: dict | None = None,
        hashes: dict[str, str] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.map_generator = map_generator.eval().to(self.device)
        self.photo_generator = photo_generator.eval().to(self.device, memory_format=torch.channels_last)
        self.name = name
        self.size = photo_generator.config.size
        self.facts = facts or {}
        self.hashes = hashes or {}

    @classmethod
    def from_pretrained(cls, path: str | Path = DEFAULT_MODEL, device: str = "auto") -> RetinaGAN:
        """Load the model folder ``path`` (``maps.safetensors`` and ``photos.safetensors``).

        Args:
            path: a folder; ``checkpoints/…`` relative paths that do not exist here are looked up beside the package.
            device: ``auto`` (a GPU when there is one), ``cpu``, ``cuda``, ``cuda:1`` …

        Raises:
            FileNotFoundError: no such folder or file.
            retinagan.checkpoints.CheckpointError: a file is damaged or of another network.
            ValueError: an unknown device.
        """
        folder = Path(path)
        if not folder.is_dir() and (DEFAULT_MODEL.parent.parent / folder).is_dir():
            folder = DEFAULT_MODEL.parent.parent / folder
        if not folder.is_dir():
            raise FileNotFoundError(f"no model folder at {path}; it should hold maps.safetensors and photos.safetensors")
        maps, maps_facts = checkpoints.load(folder / "maps.safetensors", "maps")
        photos, photos_facts = checkpoints.load(folder / "photos.safetensors", "photos")
        return cls(
            maps,
            photos,
            choose_device(device),
            name=folder.resolve().name,
            facts={"maps": maps_facts, "photos": photos_facts},
            hashes={network: checkpoints.sha256(folder / f"{network}.safetensors") for network in ("maps", "photos")},
        )

    @torch.inference_mode()
    def sample_maps(
        self, grade: int, seeds: Sequence[int], truncation: float = 1.0, clean: bool = True
    ) -> np.ndarray:
        """Lesion maps of a grade: ``uint8 (N, size, size)``, one a seed.

        Maps are exact: a circular field, one class a pixel, no lesion outside the field, at most one disc.

        Args:
            grade: ICDR grade, 0-4.
            seeds: integers 0 … 2⁶³-1.
            truncation: 0..1; below 1 towards the grade's mean style: fewer oddities, less variety.
            clean: False leaves the network's classes as they are, without :func:`retinagan.labels.clean_map`.

        Raises:
            ValueError: a grade, seed or truncation outside its range. TypeError: not integers.
        """
        grade = check_grade(grade)
        seeds = [check_seed(seed) for seed in seeds]
        truncation = check_share("truncation", truncation)
        maps = [self._sample_map(grade, seed, truncation) for seed in seeds]
        if clean:
            maps = [clean_map(label_map) for label_map in maps]
        return np.stack(maps) if maps else np.empty((0, self.size, self.size), dtype=np.uint8)

    def _sample_map(self, grade: int, seed: int, truncation: float) -> np.ndarray:
        generator = self.map_generator
        z, noise = generator.random_inputs([seed])
        grades = torch.tensor([grade], device=self.device)
        logits = generator(z.to(self.device), grades, [plane.to(self.device) for plane in noise], truncation)
        if generator.config.output == "argmax":
            # Logits are interpolated, not classes: lesion edges come out smooth instead of as blocks.
            logits = F.interpolate(logits, (self.size, self.size), mode="bilinear", align_corners=False)
        label_map = logits_to_maps(logits, generator.config)
        if label_map.shape[-1] != self.size:
            label_map = F.interpolate(label_map[None].float(), (self.size, self.size), mode="nearest-exact")[0].byte()
        return label_map[0].cpu().numpy()

    @torch.inference_mode()
    def render(self, maps: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
        """Photographs of lesion maps: ``uint8 (N, size, size, 3)`` RGB; with an eye, black where the map is background.

        Args:
            maps: ``uint8 (N, size, size)`` of classes 0-6.
            seeds: one style seed a map, 0 … 2⁶³-1; the same seed on maps with the same disc is the same eye.

        Raises:
            ValueError: shapes, classes or seeds outside what is allowed. TypeError: wrong dtypes.
        """
        maps = np.asarray(maps)
        if maps.ndim != 3 or maps.shape[1:] != (self.size, self.size):
            raise ValueError(
                f"maps have shape {maps.shape}; this model renders (N, {self.size}, {self.size}); "
                "retinagan.maps_io.read_map_png brings any map to that size"
            )
        for label_map in maps:
            check_map(label_map)
        seeds = [check_seed(seed) for seed in seeds]
        if len(seeds) != len(maps):
            raise ValueError(f"{len(maps)} maps need {len(maps)} seeds, got {len(seeds)}; repeat a map for several styles")
        photos = [self._render(label_map, seed) for label_map, seed in zip(maps, seeds, strict=True)]
        return np.stack(photos) if photos else np.empty((0, self.size, self.size, 3), dtype=np.uint8)

    def _render(self, label_map: np.ndarray, seed: int) -> np.ndarray:
        config = self.photo_generator.config
        guidance = None
        if config.guidance == "eye":
            eye = make_eye(label_map, seed, self.photo_generator.eye, config.latent_std)
            latent, guidance = eye.latent[None], self._on_device(eye.guidance[None])
        else:
            generator = torch.Generator().manual_seed(seed)
            latent = torch.randn(1, config.latent_dim, generator=generator) * config.latent_std
        onehot = self._on_device(one_hot(label_map[None]))
        # Half precision pays on a GPU alone; the CPU in float32 is the tested reference. Imported weights stay exact everywhere.
        half = self.device.type == "cuda" and config.guidance == "eye"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            photo = self.photo_generator(onehot, latent.to(self.device), guidance)
        return (photo[0].float().permute(1, 2, 0) * 255).round().clamp(0, 255).byte().cpu().numpy()

    def _on_device(self, planes: torch.Tensor) -> torch.Tensor:
        return planes.to(self.device, memory_format=torch.channels_last)


def choose_device(device: str = "auto") -> torch.device:
    """``auto``: the first GPU, else the CPU. Raises ValueError for a device that torch does not know or have."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}; allowed are 'auto', 'cpu', 'cuda', 'cuda:0' …") from error
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}; allowed are 'auto', 'cpu', 'cuda', 'cuda:0' …")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, but torch finds no GPU here; use 'cpu' or 'auto'")
    return chosen
