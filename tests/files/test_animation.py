"""GIF and WebP files, read back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from retinagan.files.animation import COMMENT, caption, encode_gif, encode_webp


@pytest.fixture
def frames():
    """A lit disc on black, red to orange, whose spot moves."""
    y, x = np.mgrid[:96, :96] / 96 - 0.5
    base = np.zeros((96, 96, 3), np.uint8)
    inside = np.hypot(x, y) < 0.48
    base[inside] = np.stack([180 + 60 * x, 80 + 50 * y, 30 + 0 * x], axis=-1)[inside].astype(np.uint8)
    frames = []
    for number in range(4):
        frame = base.copy()
        frame[40:50, 20 + 10 * number : 28 + 10 * number] = (90, 10, 10)
        frames.append(frame)
    return frames


@pytest.mark.parametrize("encode", [encode_gif, encode_webp])
def test_an_animation_holds_its_frames_its_times_and_says_synthetic(frames, encode):
    content = encode(frames, [500, 100, 100, 900])
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.n_frames == 4 and picture.info["loop"] == 0
        times = []
        for number, frame in enumerate(frames):
            picture.seek(number)
            picture.load()
            times.append(picture.info["duration"])
            shown = np.asarray(picture.convert("RGB")).astype(float)
            assert np.abs(shown - frame).mean() < 6, "colours stay"
    assert times == [500, 100, 100, 900]
    with Image.open(io.BytesIO(content)) as picture:
        said = picture.info["comment"].decode() if encode is encode_gif else picture.getexif()[0x010E]
    assert said == COMMENT and "not for diagnosis" in said


def test_what_does_not_change_does_not_flicker(frames):
    with Image.open(io.BytesIO(encode_gif(frames, 100))) as picture:
        shown = []
        for number in range(4):
            picture.seek(number)
            shown.append(np.asarray(picture.convert("RGB")))
    still = (np.stack(frames) == frames[0]).all(axis=(0, 3))
    assert still.mean() > 0.8 and all(np.array_equal(frame[still], shown[0][still]) for frame in shown)


def test_the_caption_is_in_the_pixels(frames):
    plain = np.zeros((256, 256, 3), np.uint8)
    told = caption(plain, "Grade 3")
    assert not plain.any() and told[-30:, :80].max() > 230 and told[-30:, -90:].max() > 150
    assert not told[:-30].any()
    gif = Image.open(io.BytesIO(encode_gif([told], 100))).convert("RGB")
    assert np.asarray(gif)[-30:, :80].min(axis=2).max() > 230, "white stays white among 256 colours"


def test_what_is_no_animation_is_refused(frames):
    with pytest.raises(ValueError, match="1 to 60 frames, got 0"):
        encode_gif([], 100)
    with pytest.raises(ValueError, match="of one size"):
        encode_webp([frames[0], frames[0][:50]], 100)
    with pytest.raises(ValueError, match="durations"):
        encode_gif(frames, [100])
    with pytest.raises(ValueError, match="at least 20 ms"):
        encode_gif(frames, 5)
