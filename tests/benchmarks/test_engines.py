"""Joints per second of each engine and of the whole scorer, with the shipped model. Run by `make bench`."""

import hashlib

import numpy as np
import pytest

from scoring.inference.engine import available_cpus
from scoring.inference.engines import choose_engine
from scoring.inference.openvino_engine import OpenVinoEngine
from scoring.inference.scorer import score_images
from scoring.model_store.store import SHIPPED_VERSION, find_model
from scoring.phantom.joint_image import joint_jpeg

pytestmark = pytest.mark.slow

N = 512


@pytest.fixture(scope="module")
def model():
    return find_model(SHIPPED_VERSION, "no-such-store")


@pytest.fixture(scope="module")
def batch():
    return np.random.default_rng(0).random((N, 128, 128, 1), dtype=np.float32)


def _report(benchmark):
    benchmark.extra_info["joints_per_second"] = round(N / benchmark.stats["median"])
    benchmark.extra_info["cpus"] = available_cpus()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_engine_predicts(benchmark, model, batch, precision):
    engine = OpenVinoEngine(model, 128, precision)
    engine.predict(batch[:128])
    cdf = benchmark.pedantic(engine.predict, (batch,), rounds=5)
    _report(benchmark)
    assert cdf.shape == (N, 101)


def test_tensorflow_engine_predicts(benchmark, model, batch):
    engine = choose_engine("tensorflow", model, 128)
    engine.predict(batch[:128])
    cdf = benchmark.pedantic(engine.predict, (batch,), rounds=3)
    _report(benchmark)
    assert cdf.shape == (N, 101)


def test_score_images_from_jpeg_to_parquet(benchmark, model, tmp_path):
    data = joint_jpeg(1, "00001", "1.2", "hand_left_6", 10.0)
    rows = [(hashlib.sha256(data).hexdigest(), "1.2", "hand_left_6", str(i)) for i in range(N)]
    engine = choose_engine("openvino", model)
    out = str(tmp_path / "shard.parquet")
    result = benchmark.pedantic(score_images, (rows, engine, out), {"read": lambda _: data}, rounds=5, warmup_rounds=1)
    _report(benchmark)
    assert result.n_scored == N
