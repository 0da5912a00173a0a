"""Layers that several networks share."""

import pytest
import torch
import torch.nn.functional as F

from retinagan.models import layers


@pytest.mark.parametrize("height", [40, 64, 70])
def test_strips_make_what_the_whole_makes(height):
    generator = torch.Generator().manual_seed(0)
    coarse, fine = (torch.randn(2, 4, height // f, 20 // f, generator=generator) for f in (2, 1))
    convolution = torch.nn.Conv2d(8, 3, 3, padding=1)
    heights = []

    def run(coarse, fine):
        heights.append(fine.shape[2])
        return convolution(torch.cat([F.interpolate(coarse, scale_factor=2, mode="bilinear"), fine], 1))

    with torch.no_grad():
        stripped = layers.in_strips(run, 6, 2, coarse, fine)
        assert len(heights) > 2 and max(heights) == 2 * (6 + 2 * 2)
        torch.testing.assert_close(stripped, run(coarse, fine), atol=1e-6, rtol=0)
    heights.clear()
    layers.in_strips(run, 6, 2, coarse, fine)  # with gradients: at once
    assert heights == [height]


@pytest.mark.parametrize("kernel", [3, 4])
def test_a_convolution_of_an_enlarged_image_without_the_enlarged_image(kernel):
    generator = torch.Generator().manual_seed(0)
    convolution = torch.nn.Conv2d(4, 3, kernel, padding=1)
    x = torch.randn(2, 4, 5, 7, generator=generator)
    large = F.interpolate(x, scale_factor=2, mode="nearest")
    expected = convolution(F.pad(large, (0, kernel - 3, 0, kernel - 3)))
    torch.testing.assert_close(layers.conv_of_upsampled(x, convolution), expected, atol=1e-5, rtol=1e-5)
