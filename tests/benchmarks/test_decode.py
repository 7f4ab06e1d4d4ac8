"""Time and memory of decoding and staging. Times depend on the machine; the assertions are on ratios and memory."""

import io
import time
import tracemalloc
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from scoring.imaging.decode import decode_grey
from scoring.imaging.inspect import inspect_image
from scoring.imaging.preprocess import to_network_input
from scoring.landing.discovery import discover
from scoring.landing.staging import StagedBatch, stage_batch
from scoring.settings import IMAGE_PATTERN

BATCH_DATE = date(2026, 11, 21)


@pytest.fixture(scope="module")
def crop() -> bytes:
    """A grey 160 x 160 JPEG, smooth with some noise like a radiograph: 5 to 6 kB, the size of real joint images."""
    rng = np.random.default_rng(7)
    smooth = np.asarray(Image.fromarray(rng.integers(40, 220, (12, 12), np.uint8)).resize((160, 160)), float)
    buffer = io.BytesIO()
    Image.fromarray((smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)).save(
        buffer, "JPEG", quality=85
    )
    return buffer.getvalue()


def test_decode_grey_of_one_image(benchmark: BenchmarkFixture, crop: bytes) -> None:
    assert benchmark(decode_grey, crop).shape == (160, 160)


def test_inspect_image_of_one_image(benchmark: BenchmarkFixture, crop: bytes) -> None:
    assert benchmark(inspect_image, crop).decodes


def test_to_network_input_of_one_image(benchmark: BenchmarkFixture, crop: bytes) -> None:
    assert benchmark(to_network_input, decode_grey(crop)).shape == (128, 128)


def test_decode_grey_is_about_as_fast_as_pillow(benchmark: BenchmarkFixture, crop: bytes) -> None:
    def with_pillow() -> None:
        np.asarray(Image.open(io.BytesIO(crop)).convert("L"))

    def ratio() -> float:
        return best_time(lambda: decode_grey(crop)) / best_time(with_pillow)

    slower = benchmark.pedantic(ratio, rounds=3)
    benchmark.extra_info["decode_grey / Pillow"] = round(slower, 2)
    assert slower < 1.5


def test_stage_batch_keeps_no_bytes_of_images(benchmark: BenchmarkFixture, crop: bytes, tmp_path: Path) -> None:
    few, many = landing_with(tmp_path / "few", crop, 500), landing_with(tmp_path / "many", crop, 4000)
    tracemalloc.start()
    peak_few, peak_many = peak_memory(lambda: stage(few)), peak_memory(lambda: stage(many))
    tracemalloc.stop()
    staged = benchmark.pedantic(lambda: stage(many), rounds=2, warmup_rounds=1)
    assert staged.counts["images"] == 4000
    benchmark.extra_info["images per second"] = round(4000 / benchmark.stats.stats.min)
    benchmark.extra_info["bytes per image"] = round((peak_many - peak_few) / 3500)
    # The list of files grows with the batch; the bytes of the images must not be kept.
    assert peak_many - peak_few < 3500 * len(crop) / 2


def best_time(call: Callable[[], object], repeats: int = 5, loops: int = 100) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        for _ in range(loops):
            call()
        times.append(time.perf_counter() - started)
    return min(times)


def peak_memory(call: Callable[[], object]) -> int:
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    call()
    return tracemalloc.get_traced_memory()[1] - before


def landing_with(landing: Path, crop: bytes, n_images: int) -> Path:
    joints = landing / BATCH_DATE.isoformat() / "joints"
    joints.mkdir(parents=True)
    for n in range(n_images):
        (joints / f"1.2.{n // 10}_hand_left_{n % 10 + 1}.jpg").write_bytes(crop)
    (joints.parent / "_SUCCESS").touch()
    return landing


def stage(landing: Path) -> StagedBatch:
    files = discover(str(landing), BATCH_DATE, lookback_days=0, success_marker="_SUCCESS")
    return stage_batch(
        files,
        str(landing) + "-staging",
        image_pattern=IMAGE_PATTERN,
        already_accepted=lambda _keys: set(),
    )
