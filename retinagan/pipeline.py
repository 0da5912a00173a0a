"""From a grade to lesion maps, from a map to photographs: what app, command line and tests call."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retinagan import checkpoints
from retinagan.device import choose_device
from retinagan.eye.grown import (
    GrownEye,
    draw_eye,
    eye_seed,
    hidden_by_lesions,
    make_eye,
    visible_vessels,
    without_lesions,
)
from retinagan.eye.measured import MIN_SIDE, MIN_SIDE_WHOLE, photo_digest, read_reference
from retinagan.eye.planes import VESSELS
from retinagan.eye.style import Style, as_style, place_vessels
from retinagan.maps.anatomy import find_anatomy
from retinagan.maps.labels import check_map, enlarged_map, one_hot
from retinagan.models.layers import channels_last
from retinagan.models.neighbourhoods import SeenNeighbourhoods
from retinagan.models.spade import PhotoGenerator
from retinagan.models.stylegan import MapGenerator
from retinagan.models.superres import FACTOR, SuperResolver
from retinagan.resources import DEFAULT_MODEL, model_folder
from retinagan.sampling import MapSampler, blend
from retinagan.seeds import check_grade, check_seed, check_share


class RetinaGAN:
    """Both networks and the way through them.

    Every image is computed alone from its own map, seed and the weights, so that the same seed gives the same bytes
    in any batch, in the app, on the command line and here.

    Attributes:
        map_generator, photo_generator: the networks, in evaluation mode.
        superres: the last stage to twice the side, or None.
        name: the model folder's name.
        size: side of maps and photographs in pixels.
        facts: ``{"maps": …, "photos": …}`` and, if there is one, ``superres``: what each checkpoint says of its
            training.
        hashes: the same keys, SHA-256 of the checkpoint files; empty when built from modules.
        seen: the neighbourhoods of labels that the original's photo generator has met; it must keep its weights.
    """

    def __init__(
        self,
        map_generator: MapGenerator,
        photo_generator: PhotoGenerator,
        device: torch.device | str = "cpu",
        *,
        superres: SuperResolver | None = None,
        name: str = "unnamed",
        facts: dict | None = None,
        hashes: dict[str, str] | None = None,
    ) -> None:
        self.device = torch.device(device)
        if photo_generator.config.guidance == "eye":
            # Eyes are made on the CPU: a GPU that were asked for these numbers would have to be waited for.
            eye = photo_generator.eye
            self._statistics = eye if self.device.type == "cpu" else copy.deepcopy(eye).cpu()
        self.map_generator = map_generator.eval().to(self.device)
        self.sampler = MapSampler(self.map_generator, photo_generator.config.size, self.device)
        self.photo_generator = channels_last(photo_generator.eval().to(self.device))
        self.name = name
        self.size = photo_generator.config.size
        if superres is not None:
            if superres.config.size != FACTOR * self.size or not self.has_eye:
                raise ValueError(
                    f"the last stage makes photographs of {superres.config.size} pixels from an eye; the photo "
                    f"generator of {name} makes {self.size}, guidance {photo_generator.config.guidance!r}"
                )
            superres = channels_last(superres.eval().to(self.device))
        self.superres = superres
        self.seen = SeenNeighbourhoods()
        self.facts = facts or {}
        self.hashes = hashes or {}

    @classmethod
    def from_pretrained(cls, path: str | Path = DEFAULT_MODEL, device: str = "auto") -> RetinaGAN:
        """Load the model folder ``path``: ``maps.safetensors``, ``photos.safetensors`` and, if there,
        ``superres.safetensors``.

        Args:
            path: a folder; ``checkpoints/…`` relative paths that do not exist here are looked up beside the package.
            device: ``auto`` (a GPU when there is one), ``cpu``, ``cuda``, ``cuda:1`` …

        Raises:
            FileNotFoundError: no such folder or file.
            retinagan.checkpoints.CheckpointError: a file is damaged or of another network.
            ValueError: an unknown device.
        """
        folder = model_folder(path)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"no model folder at {path}; it should hold maps.safetensors and photos.safetensors"
            )
        networks = ["maps", "photos"]
        if (folder / "superres.safetensors").is_file():
            networks.append("superres")
        loaded = {network: checkpoints.load(folder / f"{network}.safetensors", network) for network in networks}
        return cls(
            loaded["maps"][0],
            loaded["photos"][0],
            choose_device(device),
            superres=loaded["superres"][0] if "superres" in loaded else None,
            name=folder.resolve().name,
            facts={network: facts for network, (_, facts) in loaded.items()},
            hashes={network: checkpoints.sha256(folder / f"{network}.safetensors") for network in networks},
        )

    @torch.inference_mode()
    def sample_maps(self, grade: int, seeds: Sequence[int], truncation: float = 1.0, clean: bool = True) -> np.ndarray:
        """Lesion maps of a grade: ``uint8 (N, size, size)``, one a seed.

        Maps are exact: a circular field, one class a pixel, no lesion outside the field, at most one disc; grade 0 has
        no lesion and grade 1 microaneurysms alone, as the scale says. Should the
        network draw a seed's disc too small, too large or not at all, its style is moved towards the grade's mean until
        it does not.

        Args:
            grade: ICDR grade, 0-4.
            seeds: integers 0 … 2⁶³-1.
            truncation: 0..1; below 1 towards the grade's mean style: fewer oddities, less variety.
            clean: False leaves what the network draws first as it is, without :func:`retinagan.maps.clean.clean_map`.

        Raises:
            ValueError: a grade, seed or truncation outside its range. TypeError: not integers.
        """
        grade = check_grade(grade)
        seeds = [check_seed(seed) for seed in seeds]
        truncation = check_share("truncation", truncation)
        if clean:
            maps = [self.sampler.chosen(grade, seed, truncation)[0] for seed in seeds]
        else:
            maps = [self.sampler.draw(*self.sampler.style(grade, seed, truncation)) for seed in seeds]
        return np.stack(maps) if maps else np.empty((0, self.size, self.size), dtype=np.uint8)

    @torch.inference_mode()
    def maps_between(
        self,
        grade_a: int,
        seed_a: int,
        grade_b: int,
        seed_b: int,
        positions: Sequence[float],
        truncation: float = 1.0,
    ) -> np.ndarray:
        """Maps on the way from one sampled map to another: ``uint8 (N, size, size)``, one a position.

        Linear in w, where StyleGAN's styles are disentangled (Karras et al., CVPR 2019), each end truncated towards the
        mean of its own grade. The noise goes along, scaled to keep its variance, so position 0 is exactly
        ``sample_maps(grade_a, [seed_a])`` and position 1 ``sample_maps(grade_b, [seed_b])``.

        Args:
            positions: numbers 0..1.

        Raises:
            ValueError, TypeError: as :meth:`sample_maps`; a position outside 0..1.
        """
        truncation = check_share("truncation", truncation)
        positions = [check_share("position", position) for position in positions]
        ends = ((check_grade(grade_a), check_seed(seed_a)), (check_grade(grade_b), check_seed(seed_b)))
        (map_a, w_a, noise_a), (map_b, w_b, noise_b) = (self.sampler.chosen(*end, truncation) for end in ends)
        drawn, highest = {0.0: map_a, 1.0: map_b}, max(grade_a, grade_b)
        for t in set(positions) - set(drawn):
            w = (1 - t) * w_a + t * w_b
            noise = [blend(a, b, t) for a, b in zip(noise_a, noise_b, strict=True)]
            drawn[t] = self.sampler.cleaned(self.sampler.draw(w, noise), highest)
        maps = [drawn[t] for t in positions]
        return np.stack(maps) if maps else np.empty((0, self.size, self.size), dtype=np.uint8)

    @property
    def has_eye(self) -> bool:
        """Whether the photo generator is guided by an explicit eye: references and textures need one."""
        return self.photo_generator.config.guidance == "eye"

    def encode_style(
        self, photo: np.ndarray, label_map: np.ndarray | None = None, whole_eye: bool = False, seed: int = 0
    ) -> Style:
        """The style of a reference photograph: its light and texture and, asked for, its vessels and fovea.

        The field of view is found and cut out; the low-pass light of the retina between vessels and lesions is
        projected onto the model's light components by least squares. Codes are clipped to ±3 standard deviations of the
        training photographs, those of the texture to ±2.5: a photograph unlike any of them gives the nearest sensible
        light, not an exact one.

        Args:
            photo: ``uint8 (H, W, 3)`` RGB of any size, a bright field on a dark surround.
            label_map: ``uint8 (H, W)`` of the same pixels with the disc and, if known, the lesions; without it
                the disc is found on the photograph.
            whole_eye: take over the vessels (ridge filter), the fovea (dark spot where the disc says) and the disc's
                place too. The style's :meth:`Style.own_map` is then this eye without lesions.
            seed: what the photograph does not give: the noise of the texture and, without ``whole_eye``, the vessels.

        Raises:
            TypeError, ValueError: as :func:`retinagan.eye.measured.read_reference`; a model without an eye.
        """
        if not self.has_eye:
            raise ValueError(
                f"the model {self.name} has no eye (guidance 'none'), so it takes no style from a photograph; "
                "use style seeds, or style_between two of them"
            )
        least = min(MIN_SIDE_WHOLE, self.size) if whole_eye else MIN_SIDE
        reference = read_reference(photo, self.size, label_map, least_side=least)
        light, texture = reference.codes(self._statistics)
        parts: dict[str, Any] = {}
        if whole_eye:
            vessels = (reference.vessels * 255).round().astype(np.uint8)
            tone = (reference.tone() * 127).round().astype(np.int8)
            anatomy = reference.anatomy
            disc = (anatomy.disc_x, anatomy.disc_y, anatomy.disc_radius)
            parts = {"vessels": vessels, "tone": tone, "fovea": reference.fovea, "disc": disc}
        return Style(seed, light, texture, reference=photo_digest(photo), **parts)

    def style_between(self, a: int | Style, b: int | Style, t: float) -> Style:
        """The style at ``t`` of the way from ``a`` to ``b``: light and texture between, vessels and noise those of
        ``a``.

        Position 0 renders exactly as ``a``; position 1 has the light and texture of ``b``. In a model without an eye
        the latent is interpolated instead, scaled to keep its variance, and position 1 renders exactly as ``b``.

        Raises:
            TypeError, ValueError: not styles or seeds, t outside 0..1, or parts that this model cannot use.
        """
        a, b, t = as_style(a), as_style(b), check_share("position", t)
        between = (a.seed, b.seed, t)
        (light_a, texture_a), (light_b, texture_b) = (self._light_and_texture(style) for style in (a, b))
        if texture_a is None or texture_b is None:
            return replace(a, light=tuple(blend(light_a, light_b, t).tolist()), between=between)
        light = (1 - t) * light_a + t * light_b
        texture = (1 - t) * texture_a + t * texture_b
        reference = a.reference if a.whole_eye else a.reference or b.reference
        return replace(
            a, light=tuple(light.tolist()), texture=tuple(texture.tolist()), between=between, reference=reference
        )

    def _light_and_texture(self, style: Style) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Light code (without an eye: the latent) and the texture's log-amplitudes of a style, whoever gives them."""
        self._check_style(style)
        config = self.photo_generator.config
        if not self.has_eye:
            generator = torch.Generator().manual_seed(style.seed)
            drawn = torch.randn(config.latent_dim, generator=generator) * config.latent_std
            return drawn if style.light is None else torch.tensor(style.light), None
        draws = draw_eye(style.seed, self._statistics, config.latent_std)
        light = draws.light if style.light is None else torch.tensor(style.light)
        return light, draws.texture if style.texture is None else torch.tensor(style.texture)

    def _check_style(self, style: Style) -> None:
        config = self.photo_generator.config
        if not self.has_eye and (style.texture is not None or style.vessels is not None):
            raise ValueError(
                f"the model {self.name} has no eye (guidance 'none'): it takes style seeds and interpolated latents, "
                "no texture and no vessels"
            )
        expected = {"light": config.latent_dim}
        if self.has_eye:
            expected["texture"] = len(self._statistics.texture_mean)
        for name, count in expected.items():
            values = getattr(style, name)
            if values is not None and len(values) != count:
                raise ValueError(f"the style's {name} has {len(values)} numbers; the model {self.name} takes {count}")

    @torch.inference_mode()
    def render(self, maps: np.ndarray, styles: Sequence[int | Style], size: int | None = None) -> np.ndarray:
        """Photographs of lesion maps: ``uint8 (N, size, size, 3)`` RGB; with an eye, black where the map is background.

        Args:
            maps: ``uint8 (N, self.size, self.size)`` of classes 0-6.
            styles: one a map: a style seed 0 … 2⁶³-1 or a :class:`retinagan.eye.style.Style`; the same on maps with the
                same disc is the same eye.
            size: side of the photographs; None: the model's own. Twice that needs the trained last stage
                (``superres.safetensors``); averaged over 2×2 pixels its photographs are the smaller ones.

        Raises:
            ValueError: shapes, classes, seeds or styles outside what is allowed. TypeError: wrong dtypes.
        """
        maps = self.check_maps(maps)
        size = self.check_size(size)
        wanted = [as_style(style) for style in styles]
        for style in wanted:
            self._check_style(style)
        if len(wanted) != len(maps):
            raise ValueError(
                f"{len(maps)} maps need {len(maps)} styles, got {len(wanted)}; repeat a map for several styles"
            )
        photos = [self._render(label_map, style, size) for label_map, style in zip(maps, wanted, strict=True)]
        return np.stack(photos) if photos else np.empty((0, size, size, 3), dtype=np.uint8)

    def check_maps(self, maps: np.ndarray) -> np.ndarray:
        """The maps that :meth:`render` takes, or TypeError or ValueError."""
        maps = np.asarray(maps)
        if maps.ndim != 3 or maps.shape[1:] != (self.size, self.size):
            raise ValueError(
                f"maps have shape {maps.shape}; this model renders (N, {self.size}, {self.size}); "
                "retinagan.files.maps.read_map_png brings any map to that size"
            )
        for label_map in maps:
            check_map(label_map)
        return maps

    def check_size(self, size: int | None) -> int:
        """The side of photographs that ``size`` asks of :meth:`render`, or ValueError."""
        if size is None or size == self.size:
            return self.size
        if size != FACTOR * self.size or not self.has_eye:
            larger = f" and, with its last stage, {FACTOR * self.size}" if self.has_eye else ""
            raise ValueError(f"size is {size!r}; the model {self.name} renders {self.size}{larger}")
        if self.superres is None:
            raise ValueError(
                f"size is {size}, but the model {self.name} has no superres.safetensors, the trained last stage: train "
                "it (python -m retinagan train superres) and export it into the model's folder"
            )
        return int(size)

    def _render(self, label_map: np.ndarray, style: Style, size: int) -> np.ndarray:
        onehot, latent, retina = self.inputs(label_map, style)
        with self.precision():
            guidance = self.with_gaps(retina, hidden_by_lesions(label_map, self.lesion_margin))
            photo = self.photo_generator(onehot, latent, guidance, retina, self.seen)
            if size != self.size and self.superres is not None:
                photo = self._enlarged(self.superres, photo, onehot, label_map, style)
        return as_bytes(photo)

    def inputs(self, label_map: np.ndarray, style: Style) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """What the photo generator needs, on the device: the map's channels, the latent and, with an eye, its planes
        with whole vessels, ``None`` otherwise."""
        onehot = self._on_device(one_hot(label_map[None]))
        if not self.has_eye:
            return onehot, self._light_and_texture(style)[0][None].to(self.device), None
        eye = self._eye(label_map, style)
        planes = torch.from_numpy(eye.planes.stacked(self.photo_generator.config.planes))
        return onehot, eye.code[None].to(self.device), self._on_device(planes[None])

    def with_gaps(self, retina: torch.Tensor | None, hidden: np.ndarray) -> torch.Tensor | None:
        """An eye's planes ``(1, G, H, W)`` without its vessels where ``hidden bool (H, W)`` says."""
        if retina is None:
            return None
        planes = [self.photo_generator.config.planes.index(name) for name in VESSELS]
        guidance = retina.clone()
        guidance[:, planes] *= torch.from_numpy(~hidden).to(self.device)
        return guidance

    @property
    def lesion_margin(self) -> float:
        """Pixels around a lesion in which no vessel is shown (``EyeCorrections.lesion_margin``)."""
        return self.photo_generator.config.corrections.lesion_margin * self.size / 512

    def precision(self) -> torch.autocast:
        """The context that photographs are made in. Half precision pays on a GPU alone; the CPU in float32 is the
        tested reference. Imported weights stay exact everywhere."""
        half = self.device.type == "cuda" and self.has_eye
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    def _enlarged(
        self, superres: SuperResolver, photo: torch.Tensor, onehot: torch.Tensor, label_map: np.ndarray, style: Style
    ) -> torch.Tensor:
        """The photograph at twice the side: the eye's vessels are drawn anew at that size, not enlarged."""
        corrections = self.photo_generator.config.corrections
        if style.vessels is None:
            plane = visible_vessels(label_map, eye_seed(style.seed), corrections, FACTOR)
        else:
            large = enlarged_map(label_map, FACTOR)
            plane = place_vessels(style, find_anatomy(large))["vessels"]
            plane = without_lesions(plane, large, corrections.lesion_margin)
        vessels = torch.from_numpy(plane)[None, None]
        generator = torch.Generator().manual_seed(eye_seed(style.seed))
        noise = torch.randn(vessels.shape, generator=generator)
        return superres(photo.float(), onehot, self._on_device(vessels), self._on_device(noise))

    def _eye(self, label_map: np.ndarray, style: Style) -> GrownEye:
        told = {name: getattr(style, name) for name in ("light", "texture")}
        parts: dict[str, Any] = {name: torch.tensor(numbers) for name, numbers in told.items() if numbers}
        if style.vessels is not None:
            parts |= place_vessels(style, find_anatomy(label_map))
        config = self.photo_generator.config
        return make_eye(label_map, style.seed, self._statistics, config.corrections, config.latent_std, **parts)

    def _on_device(self, planes: torch.Tensor) -> torch.Tensor:
        return planes.to(self.device, memory_format=torch.channels_last)


def as_bytes(photo: torch.Tensor) -> np.ndarray:
    """A network's photograph ``(1, 3, H, W)`` in 0..1 as ``uint8 (H, W, 3)``."""
    return (photo[0].float().permute(1, 2, 0) * 255).round().clamp(0, 255).byte().cpu().numpy()
