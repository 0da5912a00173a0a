"""SPADE photo generator.

Semantic image synthesis with spatially-adaptive normalisation (Park et al., CVPR 2019). One class serves
two configs: the original release's GauGAN (latent stem, per-image statistics, nearest map, sigmoid) and the
default one, in which an explicit *eye* (light, vessels, texture) guides SPADE beside the seven channels and the network
adds the detail to the light. Everything the default config computes is local or depends on one image alone, so crops
and whole images agree and an image never depends on its batch companions.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from torch import nn

from retinagan.configuration import Channels, Field, configuration, model_validator
from retinagan.eye.light import LUMINANCE
from retinagan.eye.planes import LIGHT, PLANES, Plane, pick
from retinagan.eye.statistics import UNCORRECTED, EyeCorrections, EyeStatistics
from retinagan.eye.texture import GRAIN_SIDE
from retinagan.maps.labels import BG, EX, MA, NUM_CLASSES, VB
from retinagan.models.layers import LEAK, conv_of_upsampled, in_strips
from retinagan.models.neighbourhoods import Neighbourhoods, SeenNeighbourhoods

EPSILON = 1e-5
"""Added to a variance, as in the original."""
BLOCK_REACH = 6
"""Pixels, at its own resolution, that a block sees beyond one: of three convolutions, the upsampling before them and
the last convolution behind; even, as the upsampling is by two."""
STRIP = 2**20
"""Values of a strip's widest plane, about: 4 MB."""

Planes = Annotated[tuple[Plane, ...], Field(min_length=len(PLANES), max_length=len(PLANES))]


@configuration
class PhotoGeneratorConfig:
    """What a photo generator is made of."""

    size: int = Field(512, ge=1, le=8192)
    """Side of the photographs in pixels."""
    channels: Channels = (96, 96, 64, 32, 16)
    """Filters of the residual blocks, coarse to fine; each block but the last is followed by ×2 upsampling."""
    final_upsample: bool = False
    """Upsample ×2 after the last block too (the original does: its last block runs at half resolution)."""
    latent_dim: int = Field(24, ge=1, le=4096)
    """Z. With an eye, the latent is the whitened code of its light; without, it is all that a map leaves open."""
    latent_std: float = Field(0.8, ge=0, le=10)
    """Standard deviation of the prior from which a new style's latent is drawn."""
    stem: Literal["planes", "latent"] = "planes"
    """``latent``: dense layer to 4×4-like features (the original). ``planes``: convolution of the map and guidance."""
    spade_hidden: Channels = (32, 32, 32, 24, 12)
    """Width of the SPADE embedding, one a block."""
    modulation_kernel: Literal[1, 3] = 1
    """Kernel of the convolutions that give gamma and beta: 3 in the original."""
    norm: Literal["pixel", "instance"] = "pixel"
    """``instance``: mean and variance of each image's channel. ``pixel``: over the channels of each pixel (local)."""
    skip: Literal["conv", "spade"] = "conv"
    """Skip where the filter count changes: ``spade`` (SPADE, LeakyReLU, 3×3: the original) or ``conv`` (1×1)."""
    map_resize: Literal["area", "nearest"] = "area"
    """Map planes at a block's resolution: ``nearest`` (half-pixel, the original) or ``area`` (small lesions
    survive)."""
    lesion_blocks: int = Field(0, ge=0)
    """How many of the finest blocks see the lesions; 0: all. The others see retina there, so that a lesion changes the
    photograph around itself alone and the eye stays the eye."""
    guidance: Literal["eye", "none"] = "eye"
    """``eye``: the planes of an eye are needed. ``none``: the seven channels alone."""
    planes: Planes = PLANES
    """With an eye: what the channels of the guidance are, in order (``retinagan.eye.planes``)."""
    texture_skip: float = Field(0.0, ge=0, le=1)
    """The texture plane times this is laid over the light (:meth:`PhotoGenerator.mottle`), and the network does not see
    it: it would smooth grain away that it only has to pass on, and read from real texture what lies on vessels. 0: it
    sees the plane and draws it itself. 0.03 (``eye.texture.TEXTURE_UNIT``): as measured."""
    output: Literal["light", "sigmoid"] = "light"
    """``light``: detail added to the eye's light, black outside the field. ``sigmoid``: the original's."""
    final_kernel: Literal[3, 4] = 3
    """Kernel of the output convolution: 4 in the original (padded 1 before, 2 after)."""
    corrections: EyeCorrections = UNCORRECTED
    """What was fitted to these weights, so that new eyes come out as measured ones do."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        blocks = len(self.channels)
        if blocks != len(self.spade_hidden):
            raise ValueError(
                f"channels has {blocks} blocks and spade_hidden {len(self.spade_hidden)}; give one a block"
            )
        if self.lesion_blocks > blocks:
            raise ValueError(f"lesion_blocks is {self.lesion_blocks}; allowed are 0 to {blocks}, the blocks")
        if self.size % self.reduction:
            raise ValueError(f"size is {self.size}; with {blocks} blocks it must divide by {self.reduction}")
        check_planes(self.planes)
        if self.texture_skip and self.output != "light":
            raise ValueError("texture_skip adds to the eye's light: it needs output 'light'")
        if self.output == "light" and self.guidance != "eye":
            raise ValueError("output 'light' adds detail to the eye's light: it needs guidance 'eye'")
        return self

    @property
    def reduction(self) -> int:
        """Factor between the photograph's side and the first block's."""
        return 2 ** (len(self.channels) - (0 if self.final_upsample else 1))

    @property
    def blind_blocks(self) -> int:
        """How many of the coarsest blocks do not see the lesions."""
        return len(self.channels) - self.lesion_blocks if self.lesion_blocks else 0

    @property
    def coarse_reduction(self) -> int:
        """Factor between the photograph's side and what :meth:`PhotoGenerator.coarse` makes."""
        return self.reduction >> max(self.blind_blocks - 1, 0)

    @property
    def lesion_reach(self) -> int:
        """Pixels beyond a lesion within which the photograph depends on it: three convolutions, a pooling and an
        upsampling of each block that sees it, and the last convolution."""
        return sum(4 * (self.reduction >> i) for i in range(self.blind_blocks, len(self.channels))) + self.final_kernel

    @property
    def guidance_channels(self) -> int:
        return len(self.planes) if self.guidance == "eye" else 0

    @property
    def condition_channels(self) -> int:
        """Planes that SPADE sees: classes, with area-resizing a boosted plane of small lesions, and the guidance."""
        return NUM_CLASSES + (1 if self.map_resize == "area" else 0) + self.guidance_channels - (self.texture_skip > 0)

    @property
    def sees_labels_alone(self) -> bool:
        """Whether gamma and beta at a pixel depend on the 5×5 labels around it alone, as in the original: then
        ``models/neighbourhoods.py`` can compute them, for the original's norm."""
        told = (self.guidance, self.map_resize, self.modulation_kernel, self.norm)
        return told == ("none", "nearest", 3, "instance")


class SPADE(nn.Module):
    """Normalise, then scale and shift by maps computed from the condition (no ``1 + gamma``, as in the original)."""

    def __init__(self, config: PhotoGeneratorConfig, channels: int, hidden: int) -> None:
        super().__init__()
        k = config.modulation_kernel
        self.norm = config.norm
        self.conv = nn.Conv2d(config.condition_channels, hidden, 3, padding=1)
        self.conv_gamma = nn.Conv2d(hidden, channels, k, padding=k // 2)
        self.conv_beta = nn.Conv2d(hidden, channels, k, padding=k // 2)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | Neighbourhoods) -> torch.Tensor:
        if isinstance(condition, Neighbourhoods):
            return condition.modulated(self, x, EPSILON)
        hidden = F.relu(self.conv(condition), inplace=True)
        # Not torch.addcmul: its backward pass takes two products more.
        return (self.conv_gamma(hidden) * self._normalised(x)).add_(self.conv_beta(hidden))

    def _normalised(self, x: torch.Tensor) -> torch.Tensor:
        if self.norm == "pixel":
            # In channels-last layout a pixel's channels lie side by side: a layer norm of the last axis, in one pass.
            return F.layer_norm(x.movedim(1, -1), x.shape[1:2], eps=EPSILON).movedim(-1, 1).to(x.dtype)
        # In two passes of means, as torch.var_mean is slow over the outer axes of the channels-last layout.
        centred = x.float() - x.float().mean((2, 3), keepdim=True)
        variance = centred.square().mean((2, 3), keepdim=True)
        return (centred * torch.rsqrt(variance + EPSILON)).to(x.dtype)


class SPADEResidualBlock(nn.Module):
    def __init__(self, config: PhotoGeneratorConfig, in_channels: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.spade_1 = SPADE(config, in_channels, hidden)
        self.conv_1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.spade_2 = SPADE(config, channels, hidden)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.spade_3 = self.conv_3 = None
        if in_channels != channels:
            if config.skip == "spade":
                self.spade_3 = SPADE(config, in_channels, hidden)
                self.conv_3 = nn.Conv2d(in_channels, channels, 3, padding=1)
            else:
                self.conv_3 = nn.Conv2d(in_channels, channels, 1)

    def forward(self, x: torch.Tensor, condition: torch.Tensor | Neighbourhoods) -> torch.Tensor:
        y = self.conv_1(F.leaky_relu(self.spade_1(x, condition), LEAK, inplace=True))
        y = self.conv_2(F.leaky_relu(self.spade_2(y, condition), LEAK, inplace=True))
        if self.spade_3 is not None:
            x = F.leaky_relu(self.spade_3(x, condition), LEAK, inplace=True)
        return y + (x if self.conv_3 is None else self.conv_3(x))


class PhotoGenerator(nn.Module):
    """Map, latent and guidance → photographs.

    ``forward(onehot (N,7,H,W) float32, latent (N,Z) float32, guidance (N,G,H,W) float32 or None, retina) ->
    (N,3,H,W) float32 in 0..1``. ``retina``, like ``guidance`` but without a gap at any lesion, is what the blocks see
    that do not see the lesions; None: the same. Configs with ``stem='planes'`` take any H, W that divide by
    ``config.reduction`` (crops in training); those with ``stem='latent'`` only H = W = ``config.size``. With what was
    ``seen`` before, the original's config computes gamma and beta once a neighbourhood of labels; None: at each pixel.

    Raises:
        ValueError: a shape is wrong, or the guidance that the config needs is missing or not wanted.
    """

    def __init__(self, config: PhotoGeneratorConfig) -> None:
        super().__init__()
        self.config = config
        first = config.channels[0]
        base = config.size // config.reduction
        self.stem: nn.Module
        if config.stem == "latent":
            self.stem = nn.Linear(config.latent_dim, base * base * first)
        else:
            self.stem = nn.Conv2d(config.condition_channels, first, 3, padding=1)
            self.latent_bias = nn.Linear(config.latent_dim, first)
        widths = (first, *config.channels)
        self.blocks = nn.ModuleList(
            SPADEResidualBlock(config, i, o, h)
            for i, o, h in zip(widths[:-1], config.channels, config.spade_hidden, strict=True)
        )
        self.output = nn.Conv2d(config.channels[-1], 3, config.final_kernel, padding=1)
        if config.guidance == "eye":
            self.eye = EyeStatistics(config.latent_dim)

    def forward(
        self,
        onehot: torch.Tensor,
        latent: torch.Tensor,
        guidance: torch.Tensor | None = None,
        retina: torch.Tensor | None = None,
        seen: SeenNeighbourhoods | None = None,
    ) -> torch.Tensor:
        self._check(onehot, latent, guidance)
        if not self.training and self.config.norm == "instance" and onehot.shape[0] > 1:
            # Libraries choose other algorithms for other batch sizes, and the instance norms make more than 1e-5 of
            # their rounding; computed alone, an image is the same in any batch.
            batch = (onehot, latent, guidance, retina)
            alone = [[None] * onehot.shape[0] if part is None else part.split(1) for part in batch]
            return torch.cat([self(*parts, seen) for parts in zip(*alone, strict=True)])
        return self.fine(self.coarse(onehot, latent, guidance if retina is None else retina), onehot, guidance, seen)

    def coarse(self, onehot: torch.Tensor, latent: torch.Tensor, guidance: torch.Tensor | None) -> torch.Tensor:
        """What the stem and the blocks that see no lesion make ``(N, C, H / r, W / r)``, ``r`` being
        ``config.coarse_reduction``: of an eye it stays the same whatever lesions it has. Arguments as of the whole."""
        config = self.config
        planes = self._pyramid(onehot, guidance, config.coarse_reduction, config.reduction)
        if config.blind_blocks:
            planes = {level: _without_lesions(plane) for level, plane in planes.items()}
        level = config.reduction
        if config.stem == "latent":
            base = config.size // level
            x = self.stem(latent).view(-1, base, base, config.channels[0]).permute(0, 3, 1, 2)
            x = x.contiguous(memory_format=torch.channels_last)
        else:
            x = self.stem(self._boosted(planes[level], level)) + self.latent_bias(latent)[:, :, None, None]
        for index in range(config.blind_blocks):
            level = config.reduction >> index
            x = self._block(index, x, self._boosted(planes[level], level))
        return x

    def fine(
        self,
        x: torch.Tensor,
        onehot: torch.Tensor,
        guidance: torch.Tensor | None,
        seen: SeenNeighbourhoods | None = None,
    ) -> torch.Tensor:
        """The photograph ``(N, 3, H, W)`` of :meth:`coarse` features, by the blocks that see the lesions; of whole
        pictures or of windows whose sides and corners divide by ``config.coarse_reduction``."""
        config = self.config
        planes = self._pyramid(onehot, guidance, config.reduction >> (len(self.blocks) - 1), config.coarse_reduction)
        for index in range(config.blind_blocks, len(self.blocks)):
            level = config.reduction >> index
            condition = self._boosted(planes[level], level)
            x = self._block(index, x, seen.of(condition) if seen and config.sees_labels_alone else condition)
        x = x.float()
        if config.output == "sigmoid" or guidance is None:
            return torch.sigmoid(x)
        light = pick(guidance, LIGHT, config.planes)
        if config.texture_skip:
            light = light + self.mottle(light, pick(guidance, ("texture",), config.planes))
        photo = (x + light) * (1 - onehot[:, BG : BG + 1])
        return photo if self.training else photo.clamp(0, 1)

    def _block(self, index: int, x: torch.Tensor, condition: torch.Tensor | Neighbourhoods) -> torch.Tensor:
        """A block, behind the upsampling that all but the first begin with; the last one with what follows it."""

        def run(x: torch.Tensor, condition: torch.Tensor | Neighbourhoods) -> torch.Tensor:
            x = self.blocks[index](self._upsampled(x) if index else x, condition)
            return x if index < len(self.blocks) - 1 else self._output(x)

        config = self.config
        if config.norm == "instance" or config.final_upsample or isinstance(condition, Neighbourhoods):
            return run(x, condition)
        scale = 2 if index else 1
        rows = STRIP // (max(x.shape[1], condition.shape[1]) * condition.shape[3])
        return in_strips(run, rows // scale, BLOCK_REACH // scale, x, condition)

    def _output(self, x: torch.Tensor) -> torch.Tensor:
        config = self.config
        if config.final_upsample and config.map_resize == "nearest":
            return conv_of_upsampled(F.leaky_relu(x, LEAK, inplace=True), self.output)
        if config.final_upsample:
            x = self._upsampled(x)
        x = F.leaky_relu(x, LEAK, inplace=True)
        if config.final_kernel == 4:
            x = F.pad(x, (0, 1, 0, 1))  # two after, one before: the convolution itself pads one
        return self.output(x)

    def mottle(self, light: torch.Tensor, texture: torch.Tensor) -> torch.Tensor:
        """What ``texture (N, 1, H, W)`` adds to ``light (N, 3, H, W)``: its mottle varies the light, in
        ``mottle_colour``; its grain is the camera's, in ``grain_colour`` (``config.corrections``). Both swing luminance
        by ``texture_skip`` times the plane."""
        colours = self.config.corrections
        tint = light * light.new_tensor(colours.mottle_colour)[:, None, None]
        luminance = (tint * light.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True).clamp(min=0.1)
        texture = texture.contiguous()  # one plane in the layout of several is averaged many times slower
        mottle = F.avg_pool2d(texture, GRAIN_SIDE, stride=1, padding=GRAIN_SIDE // 2, count_include_pad=False)
        grain = (texture - mottle) * light.new_tensor(colours.grain_colour)[:, None, None]
        return self.config.texture_skip * (mottle * tint / luminance + grain)

    def _planes(self, onehot: torch.Tensor, guidance: torch.Tensor | None) -> torch.Tensor:
        planes = [onehot]
        if self.config.map_resize == "area":
            planes.append(onehot[:, EX : MA + 1].sum(1, keepdim=True))
        if guidance is not None:
            names = self.config.planes
            planes.append(pick(guidance, [n for n in names if n != "texture" or not self.config.texture_skip], names))
        return torch.cat([plane.movedim(1, -1) for plane in planes], -1).movedim(-1, 1)  # channels last

    def _pyramid(
        self, onehot: torch.Tensor, guidance: torch.Tensor | None, finest: int, coarsest: int
    ) -> dict[int, torch.Tensor]:
        """The planes at 1/``finest`` … 1/``coarsest`` of the side, by that factor; not yet :meth:`_boosted`."""
        planes, levels = self._planes(onehot, guidance), {}
        if self.config.map_resize == "area" and finest > 1:
            planes = F.avg_pool2d(planes, finest)
        level = finest
        while level <= coarsest:
            if self.config.map_resize == "nearest":
                size = (onehot.shape[2] // level, onehot.shape[3] // level)
                levels[level] = planes if level == 1 else F.interpolate(planes, size, mode="nearest-exact")
            else:
                levels[level] = planes = planes if level == finest else F.avg_pool2d(planes, 2)
            level *= 2
        return levels

    def _boosted(self, planes: torch.Tensor, factor: int) -> torch.Tensor:
        """The condition from area-resized planes: that of all lesions counts ×8, so that small ones survive."""
        if self.config.map_resize == "nearest" or factor == 1:
            return planes
        any_lesion = (planes[:, NUM_CLASSES : NUM_CLASSES + 1] * 8).clamp(max=1)
        return torch.cat([planes[:, :NUM_CLASSES], any_lesion, planes[:, NUM_CLASSES + 1 :]], 1)

    def _upsampled(self, x: torch.Tensor) -> torch.Tensor:
        if self.config.map_resize == "nearest":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        # Bilinear: the nearest neighbour leaves 2×2 blocks that the eye finds in smooth retina.
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def _check(self, onehot: torch.Tensor, latent: torch.Tensor, guidance: torch.Tensor | None) -> None:
        config = self.config
        n, height, width = onehot.shape[0], *onehot.shape[-2:]
        if onehot.ndim != 4 or onehot.shape[1] != NUM_CLASSES:
            raise ValueError(f"onehot has shape {tuple(onehot.shape)}; expected (N, {NUM_CLASSES}, H, W)")
        if config.stem == "latent" and (height, width) != (config.size, config.size):
            raise ValueError(f"the map is {height}×{width}; this generator makes {config.size}×{config.size}")
        if height % config.reduction or width % config.reduction:
            raise ValueError(f"the map is {height}×{width}; both sides must divide by {config.reduction}")
        if latent.shape != (n, config.latent_dim):
            raise ValueError(f"latent has shape {tuple(latent.shape)}; expected {(n, config.latent_dim)}")
        expected = (n, config.guidance_channels, height, width)
        if config.guidance == "none" and guidance is not None:
            raise ValueError("this generator's config has guidance 'none'; call it with guidance=None")
        if config.guidance == "eye" and guidance is None:
            raise ValueError(
                f"guidance is missing: this generator needs the eye's planes {expected} "
                f"({', '.join(config.planes)}); make them with retinagan.eye.grown.make_eye"
            )
        if guidance is not None and guidance.shape != expected:
            raise ValueError(f"guidance has shape {tuple(guidance.shape)}; expected {expected}")


def _without_lesions(planes: torch.Tensor) -> torch.Tensor:
    """The seven channels, and what lies behind them, with retina in the place of lesions."""
    healthy = planes.clone()
    healthy[:, VB] += planes[:, EX : MA + 1].sum(1)
    healthy[:, EX : MA + 1] = 0
    if planes.shape[1] > NUM_CLASSES:
        healthy[:, NUM_CLASSES] = 0
    return healthy


def check_planes(planes: tuple[str, ...]) -> None:
    """ValueError unless each plane of an eye is named once."""
    if len(set(planes)) != len(PLANES):
        raise ValueError(f"planes are {', '.join(planes)}; each of {', '.join(PLANES)} is needed once")
