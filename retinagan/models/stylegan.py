"""The map generator: a conditional StyleGAN from (latent, grade, noise) to a lesion map's seven logits.

One class serves the original release's architecture (:meth:`MapGeneratorConfig.original`) and the compact
default; they differ in their config alone. Method: Karras et al. 2019, "A Style-Based Generator Architecture
for Generative Adversarial Networks"; the grade enters the mapping network through an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retinagan.configuration import Channels, Field, configuration, model_validator
from retinagan.maps.labels import LESIONS, NUM_CLASSES, VB
from retinagan.maps.selection import KEEP_ALL, MapSelection
from retinagan.models.layers import LEAK, EqualConv2d, EqualLinear, check_grades, pixel_norm
from retinagan.seeds import NUM_GRADES, check_share

NO_CLASS = 255
"""What :func:`original_classes` writes where no class has more than half of the probability."""


@configuration
class MapGeneratorConfig:
    """Everything that shapes a :class:`MapGenerator`."""

    latent_dim: int = Field(128, ge=1, le=4096)
    """Z: numbers in a latent."""
    w_dim: int = Field(128, ge=1, le=4096)
    """W: numbers in a style."""
    mapping_layers: int = Field(6, ge=1, le=32)
    mapping_lr_multiplier: float = Field(0.01, ge=1e-6, le=1)
    """Learning rate of the mapping network relative to the rest."""
    channels: Channels = Field((128, 128, 128, 96, 64, 24, 12), max_length=9)
    """Filters at 4, 8, 16, … pixels."""
    num_grades: int = Field(NUM_GRADES, ge=1, le=1000)
    learned_constant: bool = True
    """False: ones, as in the original."""
    upsampling: Literal["nearest", "bilinear"] = "nearest"
    """Of features between blocks: "nearest" is the original's, "bilinear" leaves no rows and columns."""
    padding: Literal["zeros", "reflect"] = "zeros"
    """Of the 3×3 convolutions."""
    norm_epsilon: float = Field(1e-3, ge=1e-12, le=1)
    """Added to the variance by the instance norm."""
    noise_start: float = Field(0.0, ge=0, le=10)
    """Deviation of the noise's weights before training; 0 as in the original. Small lesions lie where the noise puts
    them: with weights that start at zero they lie where the constant's few pixels do, in streaks, for thousands of
    steps."""
    lesion_blocks: int = Field(0, ge=0)
    """Finest blocks whose logits speak of lesions alone: disc and field keep the smooth outlines of the others."""
    skip: Literal["sum", "blend", "none"] = "sum"
    """"sum": logits of all blocks are added up; "blend": the last two by alpha; "none": the last alone."""
    output: Literal["argmax", "original"] = "argmax"
    """How logits become classes; see :func:`logits_to_maps`."""
    lesion_bias: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Added to the logits of EX, HE, SE and MA when maps are drawn. Training teaches area shares; where the largest one
    decides, what is small or uncertain drowns. ``retinagan fit-maps`` fits it to a network's weights."""
    selection: MapSelection = KEEP_ALL
    """Which drawn maps are kept; ``retinagan fit-maps`` fits it to a network's weights."""

    @model_validator(mode="after")
    def _check_blocks(self) -> Self:
        if self.lesion_blocks >= len(self.channels):
            raise ValueError(
                f"lesion_blocks is {self.lesion_blocks}; allowed are 0-{len(self.channels) - 1}, the blocks but one"
            )
        if self.skip == "blend" and len(self.channels) < 2:
            raise ValueError("skip 'blend' joins the last two blocks, but channels names one; use 'none'")
        if self.lesion_blocks and self.skip != "sum":
            raise ValueError(
                f"lesion_blocks is {self.lesion_blocks}; it needs skip 'sum', where blocks add to each other's logits"
            )
        return self

    @classmethod
    def original(
        cls,
        dim: int = 512,
        channels: Sequence[int] = (512, 512, 512, 512, 256, 128, 64),
        mapping_layers: int = 8,
        w_dim: int | None = None,
    ) -> MapGeneratorConfig:
        """The original release's architecture; the defaults are its published sizes."""
        return cls(
            latent_dim=dim,
            w_dim=dim if w_dim is None else w_dim,
            mapping_layers=mapping_layers,
            channels=tuple(channels),
            learned_constant=False,
            padding="reflect",
            skip="blend",
            output="original",
        )

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Side of each block's planes: 4, 8, 16, …"""
        return tuple(4 << i for i in range(len(self.channels)))

    @property
    def size(self) -> int:
        """R: side of the logits."""
        return self.resolutions[-1]


class MappingNetwork(nn.Module):
    """``z (N, Z), grade (N,) -> w (N, W)``: dense layers, each with the grade's embedding added to it."""

    def __init__(self, config: MapGeneratorConfig):
        super().__init__()
        self.embedding = nn.Embedding(config.num_grades, config.w_dim)
        # At 0.5 about half of w's variance comes from the grade, so training starts with a grade that counts.
        nn.init.normal_(self.embedding.weight, std=0.5)
        widths = [config.latent_dim] + [config.w_dim] * config.mapping_layers
        self.layers = nn.ModuleList(
            EqualLinear(a, b, multiplier=config.mapping_lr_multiplier) for a, b in pairwise(widths)
        )

    def forward(self, z: Tensor, grade: Tensor) -> Tensor:
        # Styles steer every block, so they stay in float32 even under autocast.
        with torch.autocast(z.device.type, enabled=False):
            w = pixel_norm(z.float())
            grade_embedding = self.embedding(grade)
            for layer in self.layers:
                w = F.leaky_relu(layer(w) + grade_embedding, LEAK)
        return w


class NoisyStyle(nn.Module):
    """+ noise → LeakyReLU → instance norm (affine) → AdaIN; half of a synthesis block, behind its convolution.

    Mean and variance are an image's own, so nothing depends on its companions in the batch.
    """

    def __init__(self, channels: int, config: MapGeneratorConfig):
        super().__init__()
        self.noise_weight = nn.Parameter(torch.randn(channels) * config.noise_start)
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.style_scale = EqualLinear(config.w_dim, channels, gain=1.0, bias=1.0)
        self.style_shift = EqualLinear(config.w_dim, channels, gain=1.0)
        self.epsilon = config.norm_epsilon

    def forward(self, x: Tensor, noise: Tensor, w: Tensor) -> Tensor:
        # Statistics of large planes lose their meaning in bfloat16; the convolutions cast back by themselves.
        with torch.autocast(x.device.type, enabled=False):
            x = F.leaky_relu(
                torch.addcmul(x.float(), self.noise_weight.view(1, -1, 1, 1), noise.float()), LEAK, inplace=True
            )
            variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
            ys, yb = self.style_scale(w), self.style_shift(w)
            # ys · (gamma · (x − mean) / deviation + beta) + yb, gathered into one pass over the planes.
            scale = ys * self.gamma * torch.rsqrt(variance + self.epsilon)
            shift = ys * self.beta + yb - mean * scale
            return torch.addcmul(shift[:, :, None, None], x, scale[:, :, None, None])


class SynthesisBlock(nn.Module):
    """One resolution: (upsample ×2, conv1 unless first) → noise, norm, AdaIN → conv2 → the same noise, norm, AdaIN."""

    def __init__(self, channels_in: int | None, channels: int, config: MapGeneratorConfig):
        super().__init__()
        self.upsampling = config.upsampling
        self.conv1 = None if channels_in is None else EqualConv2d(channels_in, channels, 3, padding=config.padding)
        self.style1 = NoisyStyle(channels, config)
        self.conv2 = EqualConv2d(channels, channels, 3, padding=config.padding)
        self.style2 = NoisyStyle(channels, config)

    def forward(self, x: Tensor, noise: Tensor, w: Tensor) -> Tensor:
        if self.conv1 is not None:
            aligned = None if self.upsampling == "nearest" else False
            x = self.conv1(F.interpolate(x, scale_factor=2, mode=self.upsampling, align_corners=aligned))
        x = self.style1(x, noise, w)
        return self.style2(self.conv2(x), noise, w)


class MapGenerator(nn.Module):
    """Conditional StyleGAN for lesion maps: ``(z, grade, noise) -> logits (N, 7, R, R)``.

    ``w_mean (num_grades, W)`` holds each grade's mean style, towards which ``truncation`` below 1 pulls;
    :meth:`estimate_w_mean` fills it after training.

    In ``eval()`` mode every image is computed alone, so that it is bit for bit the same in any batch: libraries
    choose other algorithms for other batch sizes, and the instance norms make 1e-4 of their rounding. In
    ``train()`` mode batches are computed at once.
    """

    constant: Tensor
    lesions: Tensor
    w_mean: Tensor

    def __init__(self, config: MapGeneratorConfig):
        super().__init__()
        self.config = config
        self.size = config.size
        self.map_latent = MappingNetwork(config)
        constant = torch.ones(1, config.channels[0], 4, 4)
        if config.learned_constant:
            self.constant = nn.Parameter(torch.randn_like(constant))
        else:
            self.register_buffer("constant", constant, persistent=False)
        self.blocks = nn.ModuleList(
            SynthesisBlock(a, b, config) for a, b in zip((None, *config.channels), config.channels, strict=False)
        )
        last = len(config.channels) - 1
        self.first_output = {"sum": 0, "blend": last - 1, "none": last}[config.skip]
        self.outputs = nn.ModuleList(
            EqualConv2d(c, NUM_CLASSES, 1, gain=1.0) for c in config.channels[self.first_output :]
        )
        of_lesions = torch.zeros(1, NUM_CLASSES, 1, 1)
        of_lesions[:, list(LESIONS)] = 1
        self.register_buffer("lesions", of_lesions, persistent=False)
        self.register_buffer("w_mean", torch.zeros(config.num_grades, config.w_dim))

    def forward(
        self, z: Tensor, grade: Tensor, noise: Sequence[Tensor], truncation: float = 1.0, alpha: float = 1.0
    ) -> Tensor:
        """Logits of maps.

        Args:
            z: ``float32 (N, Z)``, N(0, 1).
            grade: ``int64 (N,)``, ICDR grades 0-4.
            noise: one ``(N, 1, r, r)`` a resolution r of ``config.resolutions``, N(0, 1).
            truncation: 0..1; below 1 the style moves towards its grade's mean: fewer oddities, less variety.
            alpha: see :meth:`synthesis`.

        Returns:
            ``float32 (N, 7, R, R)``; :func:`logits_to_maps` makes classes of them.

        Raises:
            ValueError: wrong shapes, a grade or truncation outside its range (named with what is allowed).
            TypeError: a grade that is not int64.
        """
        w = self.mapping(z, grade)
        if truncation != 1.0:
            w = self.truncate(w, grade, truncation)
        return self.synthesis(w, noise, alpha)

    def mapping(self, z: Tensor, grade: Tensor) -> Tensor:
        """``z float32 (N, Z), grade int64 (N,) -> w float32 (N, W)``. Raises like :meth:`forward`."""
        if z.ndim != 2 or z.shape[1] != self.config.latent_dim or z.shape[0] == 0:
            allowed = f"(N, {self.config.latent_dim}), N ≥ 1"
            raise ValueError(f"z has shape {tuple(z.shape)}; this generator takes {allowed}")
        check_grades(grade, z.shape[0], self.config.num_grades)
        if self.training:
            return self.map_latent(z, grade)
        return torch.cat([self.map_latent(z[i : i + 1], grade[i : i + 1]) for i in range(z.shape[0])])

    def truncate(self, w: Tensor, grade: Tensor, truncation: float) -> Tensor:
        """``w (N, W)`` moved towards its grade's mean: ``mean + truncation · (w − mean)``, truncation 0..1."""
        check_share("truncation", truncation)
        return torch.lerp(self.w_mean[grade], w, truncation)

    def synthesis(self, w: Tensor | Sequence[Tensor], noise: Sequence[Tensor], alpha: float = 1.0) -> Tensor:
        """Styles and noise to logits ``float32 (N, 7, R, R)``.

        Args:
            w: one ``(N, W)`` for all blocks, or one a block, coarsest first (style mixing).
            noise: one ``(N, 1, r, r)`` a resolution.
            alpha: 0..1; with ``skip="blend"`` the logits are ``alpha · last block's + (1 − alpha) · upsampled
                previous block's`` (progressive growing). Other configs allow 1 alone.

        Raises:
            ValueError: a wrong number of styles or noise planes, a wrong shape, alpha outside its range.
        """
        styles = self._checked_styles(w)
        self._check_noise(noise, styles[0].shape[0])
        check_share("alpha", alpha)
        if alpha != 1.0 and self.config.skip != "blend":
            raise ValueError(f"alpha is {alpha}; a generator with skip {self.config.skip!r} has no blend, so 1 alone")
        if self.training:
            return self._synthesis(styles, noise, alpha)
        one_by_one = (slice(i, i + 1) for i in range(styles[0].shape[0]))
        return torch.cat([self._synthesis([s[i] for s in styles], [n[i] for n in noise], alpha) for i in one_by_one])

    def _synthesis(self, styles: Sequence[Tensor], noise: Sequence[Tensor], alpha: float) -> Tensor:
        x = self.constant.expand(styles[0].shape[0], -1, -1, -1)
        logits: Tensor | None = None
        for i, (block, plane, style) in enumerate(zip(self.blocks, noise, styles, strict=True)):
            x = block(x, plane, style)
            if i < self.first_output or (self.config.skip == "blend" and alpha == 1.0 and i == self.first_output):
                continue
            fresh = self.outputs[i - self.first_output](x).float()
            if i >= len(self.blocks) - self.config.lesion_blocks:
                fresh = fresh * self.lesions
            if logits is None:
                logits = fresh
            elif self.config.skip == "sum":
                logits = fresh + F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
            else:
                logits = alpha * fresh + (1 - alpha) * F.interpolate(logits, scale_factor=2, mode="nearest")
        assert logits is not None  # the last block always has an output
        return logits

    def random_inputs(self, seeds: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """The latents ``(N, Z)`` and noise that belong to seeds 0…2⁶³−1; one CPU generator a sample.

        A seed's numbers are the same alone, in any batch and for any device (move them there).
        """
        drawn = []
        for seed in seeds:
            rng = torch.Generator().manual_seed(seed)
            z = torch.randn(self.config.latent_dim, generator=rng)
            drawn.append([z, *(torch.randn(1, r, r, generator=rng) for r in self.config.resolutions)])
        z, *noise = (torch.stack(parts) for parts in zip(*drawn, strict=True))
        return z, noise

    @torch.no_grad()
    def estimate_w_mean(self, samples: int = 2048, seed: int = 0) -> None:
        """Fill ``w_mean`` with each grade's mean style over the same ``samples`` latents drawn from ``seed``."""
        z = torch.randn(samples, self.config.latent_dim, generator=torch.Generator().manual_seed(seed))
        z = z.to(self.w_mean.device)
        for grade in range(self.config.num_grades):
            grades = torch.full((samples,), grade, dtype=torch.int64, device=z.device)
            self.w_mean[grade] = self.map_latent(z, grades).mean(dim=0)

    def _checked_styles(self, w: Tensor | Sequence[Tensor]) -> list[Tensor]:
        styles = [w] * len(self.blocks) if isinstance(w, Tensor) else list(w)
        if len(styles) != len(self.blocks):
            raise ValueError(f"w holds {len(styles)} styles; this generator has {len(self.blocks)} blocks, one each")
        for style in styles:
            if style.ndim != 2 or style.shape != (styles[0].shape[0], self.config.w_dim) or style.shape[0] == 0:
                allowed = f"(N, {self.config.w_dim}), N ≥ 1"
                raise ValueError(f"w has shape {tuple(style.shape)}; this generator takes {allowed}")
        return styles

    def _check_noise(self, noise: Sequence[Tensor], n: int) -> None:
        expected = [(n, 1, r, r) for r in self.config.resolutions]
        found = [tuple(plane.shape) for plane in noise]
        if found != expected:
            raise ValueError(f"noise has shapes {found}; this generator takes {expected}")


def original_classes(logits: Tensor) -> Tensor:
    """The original's classes: ``logits (N, 7, R, R) -> uint8 (N, R, R)`` with :data:`NO_CLASS` where none wins.

    Its code scales to 0..255 (``x · 0.5 + 0.5``, × 255, clipped), takes the softmax of those values and keeps
    what is above 0.5. Two channels saturated at 255 tie at exactly 0.5, so such a pixel has no class.
    """
    values = ((logits.float() * 0.5 + 0.5) * 255).clamp(0, 255)
    share, classes = values.softmax(dim=1).max(dim=1)
    return torch.where(share > 0.5, classes, NO_CLASS).to(torch.uint8)


def logits_to_maps(logits: Tensor, config: MapGeneratorConfig) -> Tensor:
    """``logits (N, 7, R, R) -> uint8 (N, R, R)`` of classes 0-6, in the way ``config.output`` names.

    "argmax": the largest logit. "original": :func:`original_classes`, with retina where no class wins; behind
    :func:`retinagan.maps.clean.clean_map` that is the original's clean-up (retina inside the field, background
    outside).
    """
    if config.output == "argmax":
        return logits.max(dim=1).indices.to(torch.uint8)  # argmax over strided classes is many times slower
    classes = original_classes(logits)
    return torch.where(classes == NO_CLASS, VB, classes)
