"""Training of the photo generator: crops of real eyes with their own light, vessels, fovea and texture as guidance.

Losses after pix2pixHD (Wang et al., CVPR 2018): least-squares GAN, feature matching, L1 at full and quarter resolution,
and local contrast (no perceptual network: its weights cannot be shipped or fetched everywhere). Part of each batch
shows a real map with a *grown* tree and drawn light, judged by the discriminator and by the colour of its lesions
alone, so that the generator meets the guidance it will be used with. Crops are relit, too: what the retina reflects
stays, the light is another eye's.
"""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from retinagan import checkpoints
from retinagan.configuration import Field, configuration, from_mapping, model_validator
from retinagan.data.augment import crop_window, mirrored
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.eye.grown import (
    draw_light_and_texture,
    draw_macula,
    eye_seed,
    grow_vessels_and_tone,
    new_texture,
    shown_vessels,
    without_lesions,
)
from retinagan.eye.light import darken_fovea, light_field
from retinagan.eye.texture import LUMINANCE
from retinagan.maps.labels import EX, MA, NUM_CLASSES, colours_from_map, one_hot
from retinagan.models.segmenter import SEGMENTED
from retinagan.models.spade import (
    GUIDANCE_PLANES,
    PhotoDiscriminator,
    PhotoDiscriminatorConfig,
    PhotoGenerator,
    PhotoGeneratorConfig,
)
from retinagan.training.initial import start_from
from retinagan.training.photo_eyes import Eye, measure_eyes
from retinagan.training.photo_losses import (
    contrast_difference,
    feature_matching,
    grid_excess,
    least_squares,
    lesion_difference,
    light_difference,
)
from retinagan.training.records import pack, unpack
from retinagan.training.segmenter import losses
from retinagan.training.settings import LoopSettings
from retinagan.training.task import Task, Terms, Update, logged, weighted_sum

RELIT = (0.6, 1.7)
"""A crop's light changes by factors within these: further, a dark photograph's noise would be a bright one's
texture."""

VESSELS, TEXTURE, TONE = (GUIDANCE_PLANES.index(name) for name in ("vessels", "texture", "tone"))


@configuration
class PhotoTraining(LoopSettings):
    """How the photo generator is trained; one YAML section, ``training``."""

    data: str = "data/idrid512"
    """Folder written by ``prepare``."""
    batch_size: int = Field(8, ge=1)
    crop: int = Field(192, ge=1)
    """Side of the crops in pixels; must divide by the generator's reduction."""
    generator_lr: float = Field(5e-4, gt=0)
    discriminator_lr: float = Field(1e-3, gt=0)
    discriminator_steps: int = Field(2, ge=1)
    """Discriminator updates a step; it costs a tenth of the generator and otherwise falls behind. Odd ones are
    mirrored."""
    l1: float = Field(2.0, ge=0)
    """Weight of the L1 loss at full resolution."""
    lesion_weight: float = Field(5.0, ge=0)
    """How much more a lesion's pixel counts in the L1 losses than the retina's."""
    l1_coarse: float = Field(5.0, ge=0)
    """Weight of the L1 loss at a quarter of the resolution."""
    sharpness: float = Field(6.0, ge=0)
    """Weight of the difference in local contrast, band by band; see ``photo_losses.band_contrast``."""
    light: float = Field(3.0, ge=0)
    """Weight of the mean colour of clear retina in cells of 32 pixels, which is the eye's light: it holds the colour of
    those crops that have no photograph of their own."""
    lesions: float = Field(0.1, ge=0)
    """Weight of the difference in the lesions' mean colours; see ``photo_losses.lesion_difference``."""
    grid: float = Field(0.3, ge=0)
    """Weight of the power at frequencies of pixel grids; see ``photo_losses.grid_excess``."""
    adversarial: float = Field(1.0, ge=0)
    feature_matching: float = Field(1.5, ge=0)
    varied_copies: int = Field(1, ge=0)
    """Copies of every eye turned, scaled, shifted, mirrored and recoloured (retinagan.data.augment), 0 and more."""
    relit_share: float = Field(0.5, ge=0, le=1)
    """Share of the paired crops that are shown in another training eye's light, as if that had lit them
    (:func:`_relit`): few eyes are annotated, and most of those are dark, so that lesions in bright light would else
    never have a photograph to be like."""
    grown_share: float = Field(0.25, ge=0, lt=1)
    """Share of a batch with grown vessels and drawn light, without a paired photograph but for the lesions' colour."""
    grown_trees: int = Field(2, ge=1)
    """How many different trees are grown for each training eye."""
    latent_noise: float = Field(0.3, ge=0)
    """Standard deviation added to the light code that the stem sees, so that a code does not name an eye."""
    segmentation: float = Field(0.0, ge=0)
    """Weight of the auxiliary loss: what a frozen segmenter finds in a generated crop must be what the map says."""
    segmenter: str = ""
    """Its checkpoint. Not the one by which the photographs are evaluated: take one trained on other eyes or with
    another seed."""
    initial: str = ""
    """Checkpoint of a photo generator of the same configuration to start from; empty: random weights."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.segmentation > 0 and not self.segmenter:
            raise ValueError(f"segmentation is {self.segmentation}; it needs segmenter, a checkpoint")
        return self


class PhotosTask(Task):
    """The photo generator's training; data may be given instead of being read from a folder."""

    name = "photos"
    sections = {"network": PhotoGeneratorConfig, "discriminator": PhotoDiscriminatorConfig, "training": PhotoTraining}
    averaged = ("generator",)

    def __init__(self, config: dict, dataset: PreparedDataset | None = None) -> None:
        self.training = from_mapping(PhotoTraining, config.get("training", {}), "training")
        self.generator_config = from_mapping(PhotoGeneratorConfig, config.get("network", {}), "network")
        discriminator_config = from_mapping(PhotoDiscriminatorConfig, config.get("discriminator", {}), "discriminator")
        if self.training.crop % self.generator_config.reduction:
            raise ValueError(
                f"training.crop is {self.training.crop}; it must divide by {self.generator_config.reduction}"
            )
        generator = PhotoGenerator(self.generator_config).to(memory_format=torch.channels_last)
        if self.training.initial:
            start_from(generator, self.training.initial, "photos")
        discriminator = PhotoDiscriminator(discriminator_config).to(memory_format=torch.channels_last)
        self.networks = {"generator": generator, "discriminator": discriminator}
        betas = (0.5, 0.99)
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), self.training.generator_lr, betas),
            "discriminator": torch.optim.Adam(discriminator.parameters(), self.training.discriminator_lr, betas),
        }
        self.dataset = dataset
        self._segmenter: nn.Module | None = None
        self.grown: dict[tuple[int, int], np.ndarray] = {}

    # -- data ---------------------------------------------------------------------------------------------------

    def load(self) -> str:
        self.data = self.dataset or load_prepared(self.training.data, "train")
        names = ",".join(field.name for field in dataclasses.fields(Eye))
        return f"{self.data.digest()} {' '.join(map(str, self._measured_by()))} {names}"

    def _measured_by(self) -> tuple[int, int, int, float]:
        """The settings on which the measured eyes depend."""
        network = self.generator_config
        return network.latent_dim, self.training.varied_copies, self.training.seed, network.corrections.coarse_slope

    def fit(self) -> dict[str, torch.Tensor]:
        """The training eyes, and what new ones are drawn from."""
        eyes, statistics = measure_eyes(self.data, *self._measured_by())
        tensors = {name: torch.from_numpy(np.asarray(value, np.float32)) for name, value in statistics.items()}
        return {f"statistics/{name}": value for name, value in tensors.items()} | pack(eyes)

    def take(self, fitted: dict[str, torch.Tensor]) -> None:
        self.eyes = unpack(Eye, fitted)
        self.with_lesions = [i for i, eye in enumerate(self.eyes) if eye.has_lesions]
        for name, buffer in self.networks["generator"].eye.named_buffers():
            buffer.copy_(fitted[f"statistics/{name}"])

    def _grow(self, index: int, variant: int, guidance: np.ndarray, window: tuple[slice, slice]) -> None:
        """Write a tree grown on a training map into a crop's ``guidance``: its vessels and their tone.

        Whole trees are kept, as growing takes longer than a step.
        """
        if (index, variant) not in self.grown:
            seed = self.training.seed * 1_000_003 + index * 101 + variant
            label_map = self.eyes[index].label_map
            margin = self.generator_config.corrections.lesion_margin
            planes = np.stack(grow_vessels_and_tone(label_map, eye_seed(seed), self.generator_config.corrections))
            self.grown[index, variant] = without_lesions(planes, label_map, margin).astype(np.float16)
        vessels, tone = self.grown[index, variant]
        guidance[VESSELS], guidance[TONE] = vessels[window], tone[window]

    def _new_light(
        self, guidance: np.ndarray, eye: Eye, window: tuple[slice, slice], rng: torch.Generator
    ) -> torch.Tensor:
        """Write drawn light and texture into a crop's ``guidance (7, crop, crop)`` with a tree grown for ``eye``, which
        becomes as clear as that texture, as ``retinagan.eye.grown.make_eye`` does; returns the light's code."""
        size = self.generator_config.size
        statistics, corrections = self.networks["generator"].eye, self.generator_config.corrections
        light, logs = draw_light_and_texture(statistics, rng)
        code, logs = light * self.generator_config.latent_std, logs.numpy()
        guidance[:3] = darken_fovea(
            self._light(code, eye.side, window), draw_macula(eye.fovea[:2], eye.fovea[2], size, corrections)[window]
        )
        noise = torch.randn(guidance.shape[1:], generator=rng).numpy()
        guidance[TEXTURE] = new_texture(noise, logs, corrections, size / 512)
        guidance[[VESSELS, TONE]] = shown_vessels(guidance[VESSELS], guidance[TONE], logs, corrections)
        return code

    def _light(self, code: torch.Tensor, side: str, window: tuple[slice, slice]) -> np.ndarray:
        """A crop of a code's light, ``float32 (3, crop, crop)``."""
        statistics = self.networks["generator"].eye
        mean, components = statistics.light_mean.cpu(), statistics.light_components.cpu()
        return light_field(code, mean, components, self.generator_config.size, side)[(slice(None), *window)].numpy()

    def _change_of_light(self, eye: Eye, code: torch.Tensor, window: tuple[slice, slice]) -> np.ndarray:
        """:func:`_light_ratio` of a crop from the eye's own light to that of a code."""
        return _light_ratio(*(self._light(c, eye.side, window) for c in (torch.from_numpy(eye.code), code)))

    def batch(self, rng: torch.Generator) -> dict[str, torch.Tensor]:
        """Crops with their planes; ``paired`` tells which have their own photograph."""
        config, eyes = self.training, self.eyes
        items: dict[str, list[torch.Tensor]] = {
            key: [] for key in ("photo", "map", "guidance", "made_texture", "latent")
        }
        grown_count = round(config.batch_size * config.grown_share)
        for position in range(config.batch_size):
            pool = self.with_lesions if self.with_lesions and _uniform(rng) < 0.6 else range(len(eyes))
            index = pool[int(torch.randint(len(pool), (), generator=rng))]
            eye = eyes[index]
            code = torch.from_numpy(eye.code)
            size = len(eye.label_map)
            # The field's corners are black: crops keep to the inner square.
            window = crop_window(size, config.crop, eye.targets, rng, margin=size // 16)
            guidance = eye.guidance[(slice(None), *window)].astype(np.float32)
            photo, made = eye.photo[window].astype(np.float32) / 255, eye.made_texture[window].astype(np.float32)
            if position < grown_count:
                variant = int(torch.randint(config.grown_trees, (), generator=rng))
                self._grow(index, variant, guidance, window)
                code = self._new_light(guidance, eye, window, rng)
                # No photograph of this eye, but one of its lesions in this light.
                photo = _lit(photo, self._change_of_light(eye, code, window))
            else:
                guidance = _degraded(guidance, eye.vessel_gain, rng)
                other = eyes[int(torch.randint(len(eyes), (), generator=rng))]
                if _uniform(rng) < config.relit_share:
                    code = torch.from_numpy(other.code)
                    photo, made, guidance = _relit(photo, made, guidance, self._change_of_light(eye, code, window))
            photo = torch.from_numpy(photo.transpose(2, 0, 1).copy())
            label_map = torch.from_numpy(eye.label_map[window].copy())
            planes = torch.from_numpy(guidance[: self.generator_config.guidance_channels])
            shown = mirrored([photo, label_map, planes, torch.from_numpy(made)[None]], rng)
            latent = code + config.latent_noise * torch.randn(len(code), generator=rng)
            for values, value in zip(items.values(), (*shown, latent), strict=True):
                values.append(value)
        batch = {key: torch.stack(values) for key, values in items.items()}
        batch["paired"] = torch.arange(config.batch_size) >= grown_count
        return batch

    # -- steps --------------------------------------------------------------------------------------------------

    def step(
        self, batch: dict[str, torch.Tensor], step: int, rng: torch.Generator, update: Update
    ) -> dict[str, torch.Tensor]:
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        photo, guidance, paired = batch["photo"], batch["guidance"], batch["paired"]
        onehot = F.one_hot(batch["map"].long(), NUM_CLASSES).permute(0, 3, 1, 2).to(photo.dtype)
        fake = generator(onehot, batch["latent"], guidance)

        for turn in range(self.training.discriminator_steps):
            seen = [t.flip(-1) if turn % 2 else t for t in (photo, fake.detach(), onehot, guidance)]
            real_logits = discriminator(seen[0][paired], seen[2][paired], seen[3][paired])[-1]
            fake_logits = discriminator(*seen[1:])[-1]
            discriminator_loss = least_squares(real_logits, fake_logits)
            update("discriminator", discriminator_loss)

        losses = self.losses(fake, batch | {"onehot": onehot}, mirror=bool(step % 2))
        update("generator", weighted_sum(losses))
        return {"discriminator": discriminator_loss.detach()} | logged(losses)

    def losses(self, fake: torch.Tensor, batch: dict[str, torch.Tensor], mirror: bool) -> Terms:
        """The generator's: of the photographs that it made.

        What judges them sees them mirrored in every other step: networks with strides look at every other column first,
        and the generator's own columns lie on the same grid, so that what pleases them would be a pattern of two
        pixels.
        """
        config, discriminator = self.training, self.networks["discriminator"]
        photo, guidance, paired, onehot = (batch[key] for key in ("photo", "guidance", "paired", "onehot"))

        def turned(t: torch.Tensor) -> torch.Tensor:
            return t.flip(-1) if mirror else t

        fake_features = discriminator(turned(fake), turned(onehot), turned(guidance))
        with torch.no_grad():
            real_features = discriminator(*(turned(t[paired]) for t in (photo, onehot, guidance)))
        weight = 1 + (config.lesion_weight - 1) * onehot[paired, EX : MA + 1].sum(1, keepdim=True)
        # Made-up texture has no counterpart in the photograph: compared pixel by pixel it would be smoothed away, and
        # vessels and lesions would lie in a blur of their own.
        made = self.networks["generator"].mottle(guidance[paired, :3], batch["made_texture"][paired])
        difference = (fake[paired] - made - photo[paired]) * weight
        sharpness = contrast_difference(fake[paired], photo[paired], weight)
        matching = feature_matching([f[paired] for f in fake_features[:-1]], real_features[:-1])
        terms: Terms = {
            "l1": (config.l1, difference.abs().mean()),
            "sharpness": (config.sharpness, sharpness),
            "light": (config.light, light_difference(fake, onehot, guidance)),
            "lesions": (config.lesions, lesion_difference(fake, photo, onehot)),
            "grid": (config.grid, grid_excess(fake)),
            "l1_coarse": (config.l1_coarse, F.avg_pool2d(difference, 4).abs().mean()),
            "adversarial": (config.adversarial, ((fake_features[-1] - 1) ** 2).mean()),
            "matching": (config.feature_matching, matching),
        }
        if config.segmentation:
            wanted = turned(onehot[:, SEGMENTED])
            entropy, dice = losses(self._judge(turned(fake)), wanted, onehot.new_ones(len(fake), len(SEGMENTED)))
            terms["segmentation"] = (config.segmentation, 10 * entropy + dice.mean())
        return terms

    def _judge(self, photo: torch.Tensor) -> torch.Tensor:
        """The frozen segmenter's logits on generated crops, as they would be saved: 0..1, black outside the field."""
        if self._segmenter is None:
            self._segmenter = checkpoints.load(self.training.segmenter, "segmenter")[0]
            self._segmenter.to(photo.device, memory_format=torch.channels_last)
        # Values beyond 0..1 keep their slope: clamping would leave a pixel outside without a way back.
        return self._segmenter(photo + (photo.clamp(0, 1) - photo).detach()).float()

    # -- what people see ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def sheet(self, networks: dict[str, nn.Module], rng: torch.Generator) -> np.ndarray:
        """Columns of eyes; rows: map, real photograph, same eye, grown eye of another light."""
        generator = networks["generator"]
        device = next(generator.parameters()).device
        eyes = self.eyes
        lesioned = self.with_lesions or range(len(eyes))
        chosen = [lesioned[i * len(lesioned) // 3] for i in range(min(3, len(lesioned)))]
        chosen += [i for i in range(len(eyes)) if i not in lesioned][:1]
        columns = []
        for index in chosen:
            eye = eyes[index]
            onehot = one_hot(eye.label_map[None]).to(device)
            channels, everywhere = self.generator_config.guidance_channels, (slice(None), slice(None))
            planes = eye.guidance.astype(np.float32)
            guidance = torch.from_numpy(planes[:channels].copy())[None].to(device)
            self._grow(index, 0, planes, everywhere)
            code = self._new_light(planes, eye, everywhere, rng)
            grown = torch.from_numpy(planes[:channels])[None].to(device)
            same = generator(onehot, torch.from_numpy(eye.code)[None].to(device), guidance)[0]
            new = generator(onehot, code[None].to(device), grown)[0]
            rows = [colours_from_map(eye.label_map), eye.photo]
            rows += [(p.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().cpu().numpy() for p in (same, new)]
            columns.append(np.concatenate(rows, axis=0))
        return np.concatenate(columns, axis=1)

    def export(self, networks: dict[str, nn.Module], facts: dict) -> dict[str, nn.Module]:
        return {"photos": networks["generator"]}


def _uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng))


def _degraded(guidance: np.ndarray, vessel_gain: float, rng: torch.Generator) -> np.ndarray:
    """Vessels with dropped twigs and jittered contrast: real guidance made as imperfect as grown trees are different.

    ``guidance (7, C, C)`` of an eye whose vessels were multiplied by ``vessel_gain``.
    """
    threshold, gain, gamma = (_uniform(rng) for _ in range(3))
    vessels = np.clip((guidance[VESSELS] / vessel_gain - 0.3 * threshold) / (1 - 0.3 * threshold), 0, 1)
    degraded = guidance.copy()
    degraded[VESSELS] = vessel_gain * (0.9 + 0.2 * gain) * vessels ** (0.8 + 0.4 * gamma)
    degraded[TONE] *= np.minimum(degraded[VESSELS] / np.maximum(guidance[VESSELS], 1e-3), 1)
    return degraded


def _light_ratio(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Another light over the own one, both ``float32 (3, C, C)`` in 0..1, kept within :data:`RELIT`."""
    return np.clip(other / np.maximum(own, 0.02), *RELIT)


def _lit(photo: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """A photograph ``float32 (C, C, 3)`` in 0..1 under ``ratio (3, C, C)`` times its light."""
    return np.clip(photo * ratio.transpose(1, 2, 0), 0, 1)


def _relit(
    photo: np.ndarray, made: np.ndarray, guidance: np.ndarray, ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A crop with its guidance as if another light had fallen on it: what it reflects stays, so all its contrasts grow
    with the light.

    Args:
        photo: ``float32 (C, C, 3)`` in 0..1.
        made: ``float32 (C, C)``, what of the texture plane is noise.
        guidance: ``float32 (7, C, C)``.
        ratio: from :func:`_light_ratio`.

    Returns:
        ``photo``, ``made`` and ``guidance`` in the other light.
    """
    weights = LUMINANCE[:, None, None]
    brightness = (weights * guidance[:3] * ratio).sum(0) / np.maximum((weights * guidance[:3]).sum(0), 0.02)
    relit = guidance.copy()
    relit[:3] *= ratio
    relit[TEXTURE] *= brightness
    relit[[VESSELS, TONE]] *= ratio[1].mean()  # how clear vessels are is measured in green
    return _lit(photo, ratio), made * brightness, relit
