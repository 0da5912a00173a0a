"""What new eyes are drawn from and corrected by: both belong to a set of weights and to its checkpoint."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import nn

from retinagan.configuration import Field, configuration
from retinagan.eye.light import LIGHT_SIDE
from retinagan.eye.texture import TEXTURE_BANDS, VESSEL_UNIT

KEPT_EYES = 256
"""Training eyes of which a model keeps numbers of light and texture, to draw new ones near them."""

Colour = tuple[
    Annotated[float, Field(ge=0, le=5)], Annotated[float, Field(ge=0, le=5)], Annotated[float, Field(ge=0, le=5)]
]
"""Factors on red, green and blue."""


@configuration
class EyeCorrections:
    """How a new eye's planes differ from a measured eye's, so that photographs of both come out alike.

    A photo generator broadens vessels and smooths texture in its own way, so each correction is fitted to its weights,
    on maps of training eyes, and is stored in its config. The defaults correct nothing: they are what a network is
    trained with and what the fit starts from.
    """

    grown_strength: float = Field(1.0, ge=0.3, le=2)
    """Factor on a grown tree's planes (vessels and tone): drawn ridges are surer of themselves than a filter's. Fitted
    by the contrast and density of the vessels found in photographs, and their spectrum at vessels' widths."""
    grown_clearness: float = Field(1.0, ge=0, le=2)
    """Power of an eye's vessel gain that a grown tree is shown with: the generator draws what is clear broader, too.
    Fitted by how the vessels' calibre and contrast vary from clear to hazy eyes."""
    macula: float = Field(1.0, ge=0.5, le=2)
    """Factor on the width of the dark fovea in a new eye's light: a measured eye's own light stays a little darker
    around it. Fitted by the profile of the fovea (``retinagan.evaluation.fovea``)."""
    texture_left: tuple[Annotated[float, Field(ge=0.3, le=3)], ...] = Field(
        (1.0,) * TEXTURE_BANDS, min_length=TEXTURE_BANDS, max_length=TEXTURE_BANDS
    )
    """Factors on the amplitudes of a new eye's texture bands, fine to coarse: the generator adds some texture of its
    own and smooths the finest. Fitted by the power spectrum of clear retina (``retinagan.evaluation.spectrum``)."""
    lesion_margin: float = Field(3.0, ge=0, le=20)
    """Pixels at a side of 512 around haemorrhages, microaneurysms and hard exudates in which no vessel is shown. The
    default is the ridge filter's; more where the generator draws vessels on beside them. Chosen by the vessels
    found close to lesions; ``fit-eye`` leaves it, as it looks for them no nearer than it reaches."""
    gaps: float = Field(1.0, ge=0, le=1)
    """Share of the contrast that a ridge filter loses in real photographs where vessels emerge, fork, cross and sink
    into mottle that a grown tree loses, too: in the photograph that is made from it the filter loses some once more.
    Chosen by the number of pieces and the connected share of the vessels found (``retinagan.evaluation.vessels``);
    ``fit-eye`` leaves it, as no figure tells it from strength and blur."""
    shown: float = Field(1.0, ge=0.3, le=1.5)
    """Share of a tree's usual extent that its plane shows: the generator broadens what it is shown, and the ridge
    filter takes some mottle for vessels. Chosen by the density of the vessels found
    (``retinagan.evaluation.vessels``); ``fit-eye`` leaves it, too."""
    blur: float = Field(1.0, ge=0, le=2)
    """Pixels at 512: a vessel of radius r is drawn with half-width √(r² + blur²). The default is the ridge filter's own
    width; less where the generator broadens. Fitted by the vessels' calibres (``retinagan.evaluation.vessels``)."""
    coarse_slope: float = Field(-3.5, ge=-6, le=0)
    """Slope of log power over log frequency of a texture below its coarsest band's middle. The default is a
    photograph's at 4 to 10 cycles; less steep where the light's field has much of that power. Chosen by the power
    spectrum there; ``fit-eye`` leaves it."""
    grain_colour: Colour = (1.0, 1.0, 1.0)
    """How far grain swings in red, green and blue, in units of its luminance's swing: medians over training eyes."""
    mottle_colour: Colour = (1.0, 1.0, 1.0)
    """How far mottle swings in red, green and blue, in units of what it would in the light's own colour: pigment and
    blood take little of the red. Between the training eyes' medians of what goes with luminance and of all, as one
    plane cannot swing the channels apart, which blue does most."""


UNCORRECTED = EyeCorrections()
"""Of weights that nothing was fitted to: a tree is drawn as a ridge filter would see it in a photograph."""


class EyeStatistics(nn.Module):
    """What an eye's light and texture are drawn from, fitted on the training photographs; buffers, no weights.

    ``light_mean (3, 32, 32)`` and ``light_components (K, 3, 32, 32)`` (scaled by their standard deviation, disc at
    the left) in 0..1 RGB; ``texture_mean (B,)`` and ``texture_factor (B, B)`` give the logarithms of
    ``retinagan.eye.texture``; ``light_codes (N, K)`` and ``texture_logs (N, B)`` are those of :data:`KEPT_EYES`
    training eyes, which new ones are drawn near to.
    """

    light_mean: torch.Tensor
    light_components: torch.Tensor
    light_codes: torch.Tensor
    texture_mean: torch.Tensor
    texture_factor: torch.Tensor
    texture_logs: torch.Tensor

    def __init__(self, components: int) -> None:
        super().__init__()
        side = LIGHT_SIDE
        self.register_buffer("light_mean", torch.full((3, side, side), 0.4))
        self.register_buffer("light_components", torch.zeros(components, 3, side, side))
        self.register_buffer(
            "light_codes", torch.randn(KEPT_EYES, components, generator=torch.Generator().manual_seed(0))
        )
        logs = [-4.0] * TEXTURE_BANDS + [math.log(VESSEL_UNIT)]
        self.register_buffer("texture_mean", torch.tensor(logs))
        self.register_buffer("texture_factor", torch.zeros(TEXTURE_BANDS + 1, TEXTURE_BANDS + 1))
        self.register_buffer("texture_logs", torch.tensor([logs] * KEPT_EYES))
