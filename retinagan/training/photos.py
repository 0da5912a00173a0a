"""Training of the photo generator: crops of real eyes with their own light, vessels and texture as guidance.

Losses after pix2pixHD (Wang et al., CVPR 2018): least-squares GAN, feature matching, L1 at full and quarter resolution,
and local contrast (no perceptual network: its weights cannot be shipped or fetched everywhere). Part of each batch
shows a real map with a *grown* tree and drawn light, judged by the discriminator and by the colour of its lesions
alone, so that the generator meets the guidance it will be used with. Crops are relit, too: what the retina reflects
stays, the light is another eye's.
"""

from __future__ import annotations

import copy
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
    grown_strength,
    new_texture,
    without_lesions,
)
from retinagan.eye.light import light_field
from retinagan.eye.planes import LIGHT, EyePlanes, Window, pick
from retinagan.eye.tree.rasterise import grow_vessels_and_tone
from retinagan.maps.labels import EX, MA, NUM_CLASSES, colours_from_map, one_hot
from retinagan.models.layers import channels_last
from retinagan.models.photo_discriminator import PhotoDiscriminator, PhotoDiscriminatorConfig
from retinagan.models.segmenter import SEGMENTED
from retinagan.models.spade import PhotoGenerator, PhotoGeneratorConfig
from retinagan.training.initial import start_from
from retinagan.training.photo_crops import degraded, light_ratio, lit, relit, uniform
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
from retinagan.training.task import Networks, Task, Terms, Update, logged, weighted_sum


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
    (``photo_crops.relit``): few eyes are annotated, and most of those are dark, so that lesions in bright light would
    else never have a photograph to be like."""
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
        if discriminator_config.planes != self.generator_config.planes:
            raise ValueError(
                "discriminator.planes differ from network.planes; both networks are given the same guidance"
            )
        generator = channels_last(PhotoGenerator(self.generator_config))
        if self.training.initial:
            start_from(generator, self.training.initial, "photos")
        discriminator = channels_last(PhotoDiscriminator(discriminator_config))
        self.networks: Networks = {"generator": generator, "discriminator": discriminator}
        betas = (0.5, 0.99)
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), self.training.generator_lr, betas),
            "discriminator": torch.optim.Adam(discriminator.parameters(), self.training.discriminator_lr, betas),
        }
        #: The crops of a batch that have their own photograph: those behind the grown ones. No mask, for whose count a
        #: GPU would have to be waited for.
        self.paired = slice(round(self.training.batch_size * self.training.grown_share), self.training.batch_size)
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
        #: On the CPU, where batches are made.
        self.statistics = copy.deepcopy(self.networks["generator"].eye).cpu()

    def _grown(self, index: int, variant: int, window: Window) -> np.ndarray:
        """A crop ``float32 (2, crop, crop)`` of a tree grown on a training map: its vessels and their tone.

        Whole trees are kept, as growing takes longer than a step.
        """
        if (index, variant) not in self.grown:
            seed = eye_seed(self.training.seed * 1_000_003 + index * 101 + variant)
            label_map, corrections = self.eyes[index].label_map, self.generator_config.corrections
            tree = np.stack(grow_vessels_and_tone(label_map, seed, corrections))
            self.grown[index, variant] = without_lesions(tree, label_map, corrections.lesion_margin).astype(np.float16)
        return self.grown[index, variant][(slice(None), *window)].astype(np.float32)

    def _new_eye(
        self, index: int, variant: int, window: Window, rng: torch.Generator
    ) -> tuple[EyePlanes, torch.Tensor]:
        """A crop of a training map in a new eye, as ``retinagan.eye.grown.make_eye`` makes them, and its light's
        code."""
        eye, config = self.eyes[index], self.generator_config
        vessels, tone = self._grown(index, variant, window)
        drawn, logs = draw_light_and_texture(self.statistics, rng)
        code, texture = drawn * config.latent_std, logs.numpy()
        noise = torch.randn(vessels.shape, generator=rng).numpy()
        planes = EyePlanes.assembled(
            light=self._light(code, eye.side, window),
            fovea=draw_macula(eye.fovea[:2], eye.fovea[2], config.size, config.corrections)[window],
            vessels=vessels,
            tone=tone,
            strength=grown_strength(texture, config.corrections),
            texture=new_texture(noise, texture, config.corrections, config.size / 512),
        )
        return planes, code

    def _light(self, code: torch.Tensor, side: str, window: Window) -> np.ndarray:
        """A crop of a code's light, ``float32 (3, crop, crop)``."""
        mean, components = self.statistics.light_mean, self.statistics.light_components
        return light_field(code, mean, components, self.generator_config.size, side)[(slice(None), *window)].numpy()

    def _change_of_light(self, eye: Eye, code: torch.Tensor, window: Window) -> np.ndarray:
        """The ratio of light of a crop from the eye's own light to that of a code."""
        return light_ratio(*(self._light(c, eye.side, window) for c in (torch.from_numpy(eye.code), code)))

    def batch(self, rng: torch.Generator) -> dict[str, torch.Tensor]:
        """Crops with their planes; those of :attr:`paired` have their own photograph."""
        config, eyes = self.training, self.eyes
        items: dict[str, list[torch.Tensor]] = {
            key: [] for key in ("photo", "map", "guidance", "made_texture", "latent")
        }
        for position in range(config.batch_size):
            pool = self.with_lesions if self.with_lesions and uniform(rng) < 0.6 else range(len(eyes))
            index = pool[int(torch.randint(len(pool), (), generator=rng))]
            eye = eyes[index]
            code = torch.from_numpy(eye.code)
            size = len(eye.label_map)
            # The field's corners are black: crops keep to the inner square.
            window = crop_window(size, config.crop, eye.targets, rng, margin=size // 16)
            photo, made = eye.photo[window].astype(np.float32) / 255, eye.made_texture[window].astype(np.float32)
            if position < self.paired.start:
                variant = int(torch.randint(config.grown_trees, (), generator=rng))
                planes, code = self._new_eye(index, variant, window, rng)
                # No photograph of this eye, but one of its lesions in this light.
                photo = lit(photo, self._change_of_light(eye, code, window))
            else:
                planes = degraded(EyePlanes.of(eye.guidance, window), eye.vessel_gain, rng)
                other = eyes[int(torch.randint(len(eyes), (), generator=rng))]
                if uniform(rng) < config.relit_share:
                    code = torch.from_numpy(other.code)
                    photo, made, planes = relit(photo, made, planes, self._change_of_light(eye, code, window))
            guidance = planes.stacked(self.generator_config.planes)
            arrays = (photo.transpose(2, 0, 1).copy(), eye.label_map[window].copy(), guidance, made[None])
            shown = mirrored([torch.from_numpy(array) for array in arrays], rng)
            latent = code + config.latent_noise * torch.randn(len(code), generator=rng)
            for values, value in zip(items.values(), (*shown, latent), strict=True):
                values.append(value)
        return {key: torch.stack(values) for key, values in items.items()}

    # -- steps --------------------------------------------------------------------------------------------------

    def step(
        self, batch: dict[str, torch.Tensor], step: int, rng: torch.Generator, update: Update
    ) -> dict[str, torch.Tensor]:
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        photo, guidance, paired = batch["photo"], batch["guidance"], self.paired
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
        photo, guidance, onehot, paired = batch["photo"], batch["guidance"], batch["onehot"], self.paired

        def turned(t: torch.Tensor) -> torch.Tensor:
            return t.flip(-1) if mirror else t

        fake_features = discriminator(turned(fake), turned(onehot), turned(guidance))
        with torch.no_grad():
            real_features = discriminator(*(turned(t[paired]) for t in (photo, onehot, guidance)))
        weight = 1 + (config.lesion_weight - 1) * onehot[paired, EX : MA + 1].sum(1, keepdim=True)
        # Made-up texture has no counterpart in the photograph: compared pixel by pixel it would be smoothed away, and
        # vessels and lesions would lie in a blur of their own.
        names = self.generator_config.planes
        light, vessels = pick(guidance, LIGHT, names), pick(guidance, ("vessels",), names)
        made = self.networks["generator"].mottle(light[paired], batch["made_texture"][paired])
        difference = (fake[paired] - made - photo[paired]) * weight
        sharpness = contrast_difference(fake[paired], photo[paired], weight)
        matching = feature_matching([f[paired] for f in fake_features[:-1]], real_features[:-1])
        terms: Terms = {
            "l1": (config.l1, difference.abs().mean()),
            "sharpness": (config.sharpness, sharpness),
            "light": (config.light, light_difference(fake, onehot, light, vessels)),
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
            channels_last(self._segmenter.to(photo.device))
        # Values beyond 0..1 keep their slope: clamping would leave a pixel outside without a way back.
        return self._segmenter(photo + (photo.clamp(0, 1) - photo).detach()).float()

    # -- what people see ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def sheet(self, networks: Networks, rng: torch.Generator) -> np.ndarray:
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
            new_eye, new_code = self._new_eye(index, 0, (slice(None), slice(None)), rng)
            same, new = (
                generator(
                    onehot,
                    code[None].to(device),
                    torch.from_numpy(planes.stacked(self.generator_config.planes))[None].to(device),
                )[0]
                for planes, code in (
                    (EyePlanes.of(eye.guidance), torch.from_numpy(eye.code)),
                    (new_eye, new_code),
                )
            )
            rows = [colours_from_map(eye.label_map), eye.photo]
            rows += [(p.permute(1, 2, 0) * 255).round().clamp(0, 255).byte().cpu().numpy() for p in (same, new)]
            columns.append(np.concatenate(rows, axis=0))
        return np.concatenate(columns, axis=1)

    def export(self, networks: Networks, facts: dict) -> dict[str, nn.Module]:
        return {"photos": networks["generator"]}
