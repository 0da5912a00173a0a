"""Training of the map generator: a conditional StyleGAN on lesion maps.

Losses: non-saturating logistic loss (Goodfellow et al., 2014) with lazy R1 (Mescheder et al., ICML 2018; Karras et
al., CVPR 2020), grades by projection. What differs from photographs:

* Real maps are exact classes, generated ones soft; a discriminator would see that and nothing else. Both are shown as
  area shares behind the same small low-pass.
* The field of view is known. It is laid over generated maps, not judged, and the generator's background logit is
  taught by cross-entropy.
* Lesions cover 0.2-3 % of a map. Planes tell their coarse presence on a logarithmic scale, so that the gradient is
  largest where the first lesion appears: all lesions finely, and each class coarsely, as grades differ in which
  lesions an eye has and how much of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retinagan.configuration import Field, configuration, from_mapping
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.maps.clean import clean_map
from retinagan.maps.labels import BG, CLASSES, EX, HE, LESIONS, MA, OD, SE, colours_from_map
from retinagan.maps.parts import field_of_view
from retinagan.models.map_discriminator import MapDiscriminator, MapDiscriminatorConfig
from retinagan.models.stylegan import MapGenerator, MapGeneratorConfig, logits_to_maps
from retinagan.seeds import NUM_GRADES
from retinagan.training.initial import grow_from
from retinagan.training.map_reals import RealMaps
from retinagan.training.settings import LoopSettings
from retinagan.training.task import Networks, Task, Terms, Update, logged, weighted_sum

JUDGED = (EX, HE, SE, MA, OD)
"""Classes whose planes the discriminator sees; background is known and retina is what remains."""

USUAL_SHARES = (0.21, 0.01, 0.01, 0.003, 0.003, 0.026, 0.74)
"""Rough shares of the seven classes in real maps, which the first logits start from."""

PRESENCE = (8, 30.0)
"""Cell side in pixels at 256 and steepness of the plane of any lesion's presence."""

CLASS_PRESENCE = (64, 300.0)
"""The same of the planes of each lesion class' presence."""

PLANE_GAINS = (14.0, 14.0, 40.0, 50.0, 6.0, 6.5, 5.0, 5.0, 15.0, 15.0)
"""What the discriminator's planes are multiplied by: one over their root mean square in real maps. Planes that are
nearly empty would otherwise reach it as nearly nothing, and it would take thousands of steps to learn to look at
them."""


@configuration
class MapTraining(LoopSettings):
    """How the map generator is trained; the section ``training`` of its configuration."""

    data: str = "data/idrid512"
    """Folder written by ``prepare``; its held-out split is never used."""
    batch: int = Field(10, ge=1)
    """Maps a step and device; grades are spread evenly."""
    learning_rate: float = Field(2e-3, gt=0)
    """Of Adam (betas 0 and 0.99) for the generator."""
    discriminator_learning_rate: float = Field(2e-3, gt=0)
    r1: float = Field(0.5, ge=0)
    """Weight of the gradient penalty on real maps."""
    r1_every: int = Field(16, ge=1)
    """Steps from one gradient penalty to the next; its weight is multiplied by this."""
    background: float = Field(1.0, ge=0)
    """Weight of the cross-entropy that teaches where the field of view ends."""
    mixing: float = Field(0.0, ge=0, le=1)
    """Share of samples whose finer blocks get another latent's style."""
    initial: str = ""
    """Checkpoint of a map generator to start from, of the same blocks or without the finest; empty: random weights."""


class MapsTask(Task):
    """The map generator's training; data may be given instead of being read from a folder."""

    name = "maps"
    sections = {"network": MapGeneratorConfig, "discriminator": MapDiscriminatorConfig, "training": MapTraining}
    averaged = ("generator",)

    def __init__(self, config: Mapping[str, Any], dataset: PreparedDataset | None = None) -> None:
        network = from_mapping(MapGeneratorConfig, config.get("network", {}), "network")
        discriminator = from_mapping(MapDiscriminatorConfig, config.get("discriminator", {}), "discriminator")
        training = from_mapping(MapTraining, config.get("training", {}), "training")
        planes = len(PLANE_GAINS)
        if discriminator.planes != planes or discriminator.size != network.size:
            raise ValueError(
                f"the discriminator takes {discriminator.planes} planes of side {discriminator.size}; training judges "
                f"{planes} planes of the generator's side {network.size}: change discriminator.planes or .channels"
            )
        self.training = training
        generator, judge = MapGenerator(network), MapDiscriminator(discriminator)
        with torch.no_grad():  # start from the classes' usual shares, not from seven equal ones
            for output in generator.outputs[:1] if network.skip == "sum" else generator.outputs:
                output.get_parameter("bias").copy_(torch.tensor(USUAL_SHARES).log())
        if training.initial:
            grow_from(generator, training.initial)
        self.networks: Networks = {"generator": generator, "discriminator": judge}
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), training.learning_rate, betas=(0.0, 0.99)),
            "discriminator": torch.optim.Adam(
                judge.parameters(), training.discriminator_learning_rate, betas=(0.0, 0.99)
            ),
        }
        self.dataset = dataset
        self.field = F.avg_pool2d(torch.from_numpy(field_of_view(2 * network.size)).float()[None, None], 2)

    def load(self) -> str:
        data = self.dataset or load_prepared(self.training.data, "train")
        self.reals = RealMaps(data.maps, data.grades, self.networks["generator"].size)
        return data.digest()

    def batch(self, rng: torch.Generator) -> dict[str, Tensor]:
        """``maps float32 (N, 7, R, R)`` and their ``grades int64 (N,)``."""
        first = int(torch.randint(NUM_GRADES, (), generator=rng))
        grades = (torch.arange(self.training.batch) + first) % NUM_GRADES
        return {"maps": self.reals.batch(grades, rng), "grades": grades}

    def step(self, batch: dict[str, Tensor], step: int, rng: torch.Generator, update: Update) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator, on the same generated maps."""
        judge, grades = self.networks["discriminator"], batch["grades"]
        logits = self._generate(grades, rng)
        real, fake = batch["maps"], self._shares(logits)
        real_planes, fake_planes = judged_planes(real), judged_planes(fake)

        penalised = self.training.r1 > 0 and step % self.training.r1_every == 0
        real_planes.requires_grad_(penalised)
        real_logits = judge(real_planes, grades)
        fake_logits = judge(fake_planes.detach(), grades)
        judged: Terms = {"discriminator": (1.0, (F.softplus(-real_logits) + F.softplus(fake_logits)).mean())}
        if penalised:
            (slope,) = torch.autograd.grad(real_logits.sum(), real_planes, create_graph=True)
            judged["r1"] = (
                self.training.r1 / 2,
                slope.float().square().sum(dim=(1, 2, 3)).mean() * self.training.r1_every,
            )
        update("discriminator", weighted_sum(judged))

        losses = self.losses(logits, fake_planes, grades)
        update("generator", weighted_sum(losses))
        shown = {"real": real_logits.mean(), "fake": fake_logits.mean()}
        for kind in JUDGED:
            shown[f"share/{CLASSES[kind].short}_real"] = real[:, kind].mean()
            shown[f"share/{CLASSES[kind].short}_fake"] = fake[:, kind].mean()
        return logged(judged | losses) | shown

    def losses(self, logits: Tensor, planes: Tensor, grades: Tensor) -> Terms:
        """The generator's: of its ``logits`` and of what the discriminator sees of them."""
        return {
            "generator": (1.0, F.softplus(-self.networks["discriminator"](planes, grades)).mean()),
            "background": (self.training.background, self._background_loss(logits)),
        }

    def _generate(self, grades: Tensor, rng: torch.Generator) -> Tensor:
        generator = self.networks["generator"]
        config, n, device = generator.config, len(grades), grades.device
        z = torch.randn(2, n, config.latent_dim, generator=rng).to(device)
        noise = [torch.randn(n, 1, r, r, generator=rng).to(device) for r in config.resolutions]
        mixed = torch.rand(n, generator=rng) < self.training.mixing
        crossover = torch.randint(1, max(2, len(config.channels)), (n,), generator=rng)
        w = generator.mapping(z[0], grades)
        if not bool(mixed.any()):
            return generator.synthesis(w, noise)
        other = generator.mapping(z[1], grades)
        swapped = [(mixed & (crossover <= block)).to(device)[:, None] for block in range(len(config.channels))]
        return generator.synthesis([torch.where(swap, other, w) for swap in swapped], noise)

    def _shares(self, logits: Tensor) -> Tensor:
        """Logits → area shares ``(N, 7, R, R)``: the six classes' softmax under the field, which is laid over it."""
        field = self.field.to(logits.device)
        inside = logits[:, BG + 1 :].float().softmax(dim=1) * field
        return torch.cat([(1 - field).expand(len(logits), -1, -1, -1), inside], dim=1)

    def _background_loss(self, logits: Tensor) -> Tensor:
        """Cross-entropy of background against all else; the other logits get no gradient from it."""
        odds = logits[:, BG].float() - logits[:, BG + 1 :].detach().float().logsumexp(dim=1)
        target = (1 - self.field.to(logits.device))[:, 0].expand_as(odds)
        return F.binary_cross_entropy_with_logits(odds, target)

    def sheet(self, networks: Networks, rng: torch.Generator) -> np.ndarray:
        """A row a grade: eight generated maps, cleaned as they are when sampled, and two real ones."""
        generator = networks["generator"]
        device = next(generator.parameters()).device
        draws = torch.randint(2**62, (8,), generator=rng).tolist()
        z, noise = generator.random_inputs(draws)
        rows = []
        for grade in range(NUM_GRADES):
            grades = torch.full((8,), grade, dtype=torch.int64)
            logits = generator(z.to(device), grades.to(device), [plane.to(device) for plane in noise])
            made = [clean_map(label_map) for label_map in logits_to_maps(logits, generator.config).cpu().numpy()]
            real = self.reals.batch(grades[:2], rng).argmax(dim=1).to(torch.uint8).numpy()
            rows.append(np.concatenate([colours_from_map(label_map) for label_map in (*made, *real)], axis=1))
        return np.concatenate(rows)

    def export(self, networks: Networks, facts: dict[str, Any]) -> dict[str, nn.Module]:
        """The averaged generator with each grade's mean style."""
        networks["generator"].estimate_w_mean(samples=4096, seed=0)
        facts["grade_1"] = (
            "microaneurysms alone: of eyes of grade 1 where the data have some, else of eyes of other grades"
        )
        return {"maps": networks["generator"]}


def soften(shares: Tensor) -> Tensor:
    """A 1-2-1 low-pass over planes ``(N, C, R, R)``: edges of real and generated maps become alike."""
    x = F.pad(shares, (1, 1, 1, 1), mode="replicate")
    # Sums of shifts: a depthwise convolution is slow on CPUs.
    x = (x[..., :-2] + x[..., 2:]) * 0.25 + x[..., 1:-1] * 0.5
    return (x[..., :-2, :] + x[..., 2:, :]) * 0.25 + x[..., 1:-1, :] * 0.5


def judged_planes(shares: Tensor) -> Tensor:
    """Area shares ``(N, 7, R, R)`` → what the discriminator sees, ``(N, 10, R, R)``: lesions, disc, the presence of any
    lesion and of each class, each multiplied by its :data:`PLANE_GAINS`."""
    softened = soften(shares[:, list(JUDGED)])
    lesions = softened[:, [JUDGED.index(kind) for kind in LESIONS]]
    planes = [softened, _presence(lesions.sum(dim=1, keepdim=True), *PRESENCE), _presence(lesions, *CLASS_PRESENCE)]
    return torch.cat(planes, dim=1) * shares.new_tensor(PLANE_GAINS)[:, None, None]


def _presence(planes: Tensor, cell: int, steepness: float) -> Tensor:
    """How much of a class lies in each cell, on a logarithmic scale of 0 to 1; same shape as ``planes``."""
    side = max(1, cell * planes.shape[-1] // 256)
    present = torch.log1p(steepness * F.avg_pool2d(planes, side)) / float(np.log1p(steepness))
    return F.interpolate(present, scale_factor=side, mode="nearest")
