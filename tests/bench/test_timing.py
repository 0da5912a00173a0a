"""How times are taken: in which order, of which unit, with which multiply-adds."""

from __future__ import annotations

import time

import pytest
import torch

from retinagan import checkpoints
from retinagan.bench.timing import Clock, Seconds, Work, in_round, interleaved, multiply_adds
from retinagan.bench.yardstick import MULTIPLY_ADDS, yardsticks
from retinagan.resources import DEFAULT_MODEL

CPU = torch.device("cpu")


def test_rounds_go_over_all_works_and_every_other_over_the_heavy_ones():
    called = []

    def work(name: str, heavy: bool = False) -> Work:
        return Work(name, lambda number: called.append((name, number)), heavy=heavy)

    def seconds(work: Work, number: int) -> float:
        work.call(number)
        return number / 10

    told: list[str] = []
    works = [work("a"), work("b", heavy=True), work("c")]
    times = interleaved(works, 4, seconds, told.append)
    order = [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("c", 2), ("a", 3), ("b", 3), ("c", 3), ("a", 4), ("c", 4)]
    assert called == order
    assert told == [name for name, _ in order]
    assert times == {"a": [0.1, 0.2, 0.3, 0.4], "b": [0.1, 0.3], "c": [0.1, 0.2, 0.3, 0.4]}
    assert [len(in_round(works, number)) for number in (1, 2, 3, 4)] == [3, 2, 3, 2]


def test_median_and_quartiles():
    seconds = Seconds.of([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (seconds.lower_quartile, seconds.median, seconds.upper_quartile) == (2.0, 3.0, 4.0)
    assert seconds.times == [5.0, 1.0, 2.0, 4.0, 3.0]
    alone = Seconds.of([7.0])
    assert (alone.lower_quartile, alone.median, alone.upper_quartile, alone.times) == (7.0, 7.0, 7.0, [7.0])


def test_the_clock_times_one_unit_and_believes_a_work_that_times_itself():
    slept = Clock(CPU).seconds(Work("sleep", lambda number: time.sleep(0.04), units=4), 1)
    assert slept >= 0.01
    assert Clock(CPU).seconds(Work("itself", lambda number: 12.5 * number), 2) == 25.0


def test_multiply_adds_are_counted():
    conv = torch.nn.Conv2d(3, 5, 3, padding=1)

    @torch.inference_mode()
    def call(number: int = 0) -> None:
        conv(torch.zeros(1, 3, 8, 8)) @ torch.zeros(8, 4)

    one = 3 * 5 * 9 * 64 + 5 * 8 * 8 * 4
    assert multiply_adds(call) == one
    assert Work("half of it", call, units=2).warm_up() == one / 2
    assert Work("elsewhere", pytest.fail, counted=call, units=2).warm_up() == one
    assert Work("thrice", pytest.fail, counted=call, parts=3).warm_up() == 3 * one


def test_the_yardstick_is_one_large_convolution_in_float32():
    (yardstick,) = yardsticks(CPU)
    assert yardstick.warm_up() == MULTIPLY_ADDS == 256 * 256 * 9 * 128 * 128


def test_the_default_photo_generator_has_8_7_gmac():
    photos, _ = checkpoints.load(DEFAULT_MODEL / "photos.safetensors", "photos")
    config = photos.config
    onehot = torch.zeros(1, 7, config.size, config.size, device="meta")
    guidance = torch.zeros(1, config.guidance_channels, config.size, config.size, device="meta")
    photos = photos.eval().to("meta")
    with torch.no_grad():
        macs = multiply_adds(lambda: photos(onehot, torch.zeros(1, config.latent_dim, device="meta"), guidance))
    assert macs == pytest.approx(8.7e9, rel=0.05)
