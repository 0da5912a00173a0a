"""Training of the last stage to twice the side, on crops of real photographs and their own smaller versions.

The small version is the area mean that the stage must give back, now and then a little blurred and noisy, as a
generated photograph is. What a smaller version leaves open is judged by a discriminator (least squares) beside L1 and
its features.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retinagan.configuration import Field, configuration, from_mapping
from retinagan.data.augment import crop_window, mirrored
from retinagan.data.dataset import PreparedDataset, load_prepared
from retinagan.maps.labels import EX, NUM_CLASSES, OD
from retinagan.models.layers import channels_last
from retinagan.models.superres import (
    FACTOR,
    DetailDiscriminator,
    DetailDiscriminatorConfig,
    SuperResolver,
    SuperResolverConfig,
)
from retinagan.training.photo_losses import feature_matching, least_squares
from retinagan.training.settings import LoopSettings
from retinagan.training.task import Networks, Task, Terms, Update, logged, weighted_sum


@configuration
class SuperresTraining(LoopSettings):
    """Section ``training`` of the last stage's configuration."""

    data: str = "data/idrid1024"
    """Folder written by ``prepare`` at ``network.size``; 5.2 MB of memory an eye at 1024."""
    batch_size: int = Field(8, ge=1)
    crop: int = Field(192, ge=32, multiple_of=2 * FACTOR)
    """Side of the crops at the larger size, in pixels."""
    learning_rate: float = Field(4e-4, gt=0)
    discriminator_lr: float = Field(3e-4, gt=0)
    blur: float = Field(0.6, ge=0, le=2)
    """Largest σ, in small pixels, by which small versions are blurred."""
    noise: float = Field(0.004, ge=0, le=0.1)
    """Largest deviation of the noise added to small versions, in shares of white."""
    l1: float = Field(10.0, ge=0)
    adversarial: float = Field(0.5, ge=0)
    feature_matching: float = Field(1.0, ge=0)


class SuperresTask(Task):
    """The last stage's training; data may be given instead of being read from a folder."""

    name = "superres"
    sections = {
        "network": SuperResolverConfig,
        "discriminator": DetailDiscriminatorConfig,
        "training": SuperresTraining,
    }
    averaged = ("superres",)

    def __init__(self, config: dict, dataset: PreparedDataset | None = None) -> None:
        self.training = from_mapping(SuperresTraining, config.get("training", {}), "training")
        network = SuperResolver(from_mapping(SuperResolverConfig, config.get("network", {}), "network"))
        discriminator = DetailDiscriminator(
            from_mapping(DetailDiscriminatorConfig, config.get("discriminator", {}), "discriminator")
        )
        self.networks: Networks = {
            "superres": channels_last(network),
            "discriminator": channels_last(discriminator),
        }
        rates = {"superres": self.training.learning_rate, "discriminator": self.training.discriminator_lr}
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), rates[name], (0.5, 0.99))
            for name, module in self.networks.items()
        }
        self.dataset = dataset

    def load(self) -> str:
        data = self.dataset or load_prepared(self.training.data, "train")
        size, wanted = data.photos.shape[1], self.networks["superres"].config.size
        if size != wanted:
            raise ValueError(
                f"training.data holds photographs of {size} pixels; network.size {wanted} needs a folder made by "
                f"`prepare … --size {wanted}`"
            )
        self.data = data
        self.targets = [np.argwhere((m >= EX) & (m <= OD))[:: max(1, int((m == OD).sum()) // 2000)] for m in data.maps]
        return data.digest()

    def batch(self, rng: torch.Generator) -> dict[str, Tensor]:
        """``large``, ``vessels``, ``noise`` at the larger side and ``small``, ``map`` (int64) at half of it."""
        data, config = self.data, self.training
        items: dict[str, list[Tensor]] = {key: [] for key in ("large", "map", "vessels")}
        for _ in range(config.batch_size):
            index = int(torch.randint(len(data), (), generator=rng))
            window = crop_window(data.photos.shape[1], config.crop, self.targets[index], rng, step=FACTOR)
            planes = [
                torch.from_numpy(data.photos[index][window].copy()).permute(2, 0, 1).float() / 255,
                torch.from_numpy(data.maps[index][window].copy()).long(),
                torch.from_numpy(data.vessels[index][window].copy())[None].float() / 255,
            ]
            for key, plane in zip(items, mirrored(planes, rng), strict=True):
                items[key].append(plane)
        large, maps, vessels = (torch.stack(values) for values in items.values())
        return {
            "large": large,
            "small": self._degraded(F.avg_pool2d(large, FACTOR), rng),
            "map": _halved(maps),
            "vessels": vessels,
            "noise": torch.randn(vessels.shape, generator=rng),
        }

    def _degraded(self, small: Tensor, rng: torch.Generator) -> Tensor:
        """Each picture blurred and made noisy by amounts of its own, from none to the largest."""
        config = self.training
        sigma = config.blur * torch.rand(len(small), generator=rng)
        offsets = torch.arange(-3, 4)
        kernel = torch.exp(-(offsets[None] ** 2) / (2 * sigma.clamp(min=1e-3)[:, None] ** 2))
        kernel = kernel / kernel.sum(1, keepdim=True)
        n, channels, height, width = small.shape
        kernel = kernel.repeat_interleave(channels, 0)[:, None]
        flat = F.pad(small.reshape(1, n * channels, height, width), (3, 3, 3, 3), mode="replicate")
        flat = F.conv2d(F.conv2d(flat, kernel[:, :, None], groups=n * channels), kernel[..., None], groups=n * channels)
        deviation = config.noise * torch.rand(n, 1, 1, 1, generator=rng)
        noisy = flat.reshape(small.shape) + deviation * torch.randn(small.shape, generator=rng)
        black = small.amax(1, keepdim=True) == 0  # outside the field nothing is added
        return torch.where(black, 0, noisy.clamp(0, 1))

    def step(self, batch: dict[str, Tensor], step: int, rng: torch.Generator, update: Update) -> dict[str, Tensor]:
        network, discriminator = self.networks["superres"], self.networks["discriminator"]
        large, small, vessels = batch["large"], batch["small"], batch["vessels"]
        made = network(small, _onehot(batch["map"]), vessels, batch["noise"])

        real, fake = discriminator(large, small, vessels)[-1], discriminator(made.detach(), small, vessels)[-1]
        discriminator_loss = least_squares(real, fake)
        update("discriminator", discriminator_loss)

        losses = self.losses(made, batch)
        update("superres", weighted_sum(losses))
        return {"discriminator": discriminator_loss.detach()} | logged(losses)

    def losses(self, made: Tensor, batch: dict[str, Tensor]) -> Terms:
        """The network's: of the larger version that it ``made``."""
        config, discriminator = self.training, self.networks["discriminator"]
        large, small, vessels = batch["large"], batch["small"], batch["vessels"]
        judged = discriminator(made, small, vessels)
        with torch.no_grad():
            real_features = discriminator(large, small, vessels)[:-1]
        return {
            "l1": (config.l1, (made - large).abs().mean()),
            "adversarial": (config.adversarial, ((judged[-1] - 1) ** 2).mean()),
            "matching": (config.feature_matching, feature_matching(judged[:-1], real_features)),
        }

    @torch.no_grad()
    def sheet(self, networks: Networks, rng: torch.Generator) -> np.ndarray:
        """Columns of crops; rows: the small version enlarged by interpolation, what the network makes of it, the
        photograph."""
        network = networks["superres"]
        device = next(network.parameters()).device
        batch = {key: value[:4].to(device) for key, value in self.batch(rng).items()}
        made = network(batch["small"], _onehot(batch["map"]), batch["vessels"], batch["noise"])
        plain = F.interpolate(batch["small"], scale_factor=FACTOR, mode="bicubic", align_corners=False)
        rows = [torch.cat(list(pictures), dim=2) for pictures in (plain, made, batch["large"])]
        return (torch.cat(rows, dim=1).permute(1, 2, 0) * 255).round().clamp(0, 255).byte().cpu().numpy()

    def export(self, networks: Networks, facts: dict) -> dict[str, nn.Module]:
        return {"superres": networks["superres"]}


def _onehot(maps: Tensor) -> Tensor:
    return F.one_hot(maps, NUM_CLASSES).permute(0, 3, 1, 2).float()


def _halved(maps: Tensor) -> Tensor:
    """Maps ``int64 (N, 2H, 2W)`` → ``(N, H, W)``: the class of most pixels; of two lesion pixels and two others, the
    lesion's, which has the lower number."""
    return F.avg_pool2d(_onehot(maps), FACTOR).argmax(1)
