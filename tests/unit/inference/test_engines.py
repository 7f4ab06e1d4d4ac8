"""Choice of the engine, batches of fixed size, available CPUs, and the import of OpenVINO."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.inference.engine import FixedBatchEngine, available_cpus
from scoring.inference.engines import gpu_may_be_present
from scoring.networks.openvino_graph import import_openvino


def run_python(code, **options):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def dev(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "null").touch()
    return tmp_path


def test_gpu_may_be_present_is_false_without_a_device_file(dev):
    assert not gpu_may_be_present(dev)


@pytest.mark.parametrize("name", ["nvidia0", "nvidiactl", "dxg", "kfd"])
def test_gpu_may_be_present_is_true_with_a_device_file(dev, name):
    (dev / name).touch()
    assert gpu_may_be_present(dev)


@pytest.mark.parametrize(
    ("visible", "expected"), [("", False), ("-1", False), ("-1,0", False), ("0", True), ("1,2", True)]
)
def test_gpu_may_be_present_respects_hidden_devices(dev, monkeypatch, visible, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    (dev / "nvidia0").touch()
    assert gpu_may_be_present(dev) is expected


class FakeEngine(FixedBatchEngine):
    """Predicts the brightness of the first pixel at every point, in one buffer, as OpenVINO does."""

    def __init__(self, batch_size, side):
        self.batch_size, self.side = batch_size, side
        self.buffer = np.zeros((batch_size, 101), np.float32)
        self.shapes = set()

    def _run(self, images):
        self.shapes.add(images.shape)
        self.buffer[:] = images[:, 0, 0]
        return self.buffer


@given(st.integers(0, 13), st.integers(1, 5))
def test_fixed_batch_engine_pads_batches_and_copies_the_buffer_of_the_engine(n, batch_size):
    images = np.arange(1, n + 1, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1), np.float32)
    engine = FakeEngine(batch_size, 2)
    cdf = engine.predict(images)
    assert cdf.shape == (n, 101)
    assert cdf[:, 7].tolist() == list(range(1, n + 1))
    assert engine.shapes <= {(batch_size, 2, 2, 1)}


def test_fixed_batch_engine_rejects_images_of_another_size():
    with pytest.raises(ValueError, match=r"Expected images of shape \(n, 128, 128, 1\), got \(1, 64, 64, 1\)"):
        FakeEngine(2, 128).predict(np.zeros((1, 64, 64, 1), np.float32))


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_available_cpus_respects_the_quota_of_the_container(tmp_path, monkeypatch, files, quota):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    expected = 8 if quota is None else max(1, int(np.ceil(quota)))
    assert available_cpus(tmp_path) == expected


def test_import_openvino_reports_no_usage(tmp_path):
    """A plain `import openvino` connects to Google Analytics and writes an id into the home folder."""
    code = """
import socket, threading
connections = []
socket.socket.connect = lambda self, address: connections.append(address)
socket.getaddrinfo = lambda *a, **k: connections.append(a) or []
from scoring.networks.openvino_graph import import_openvino
ov = import_openvino()
ov.Core().available_devices
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
assert not connections, connections
"""
    run_python(code, env={"HOME": str(tmp_path)})
    assert not list(tmp_path.iterdir())


def test_import_openvino_rejects_an_earlier_import_with_reporting(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino_telemetry", object())
    with pytest.raises(RuntimeError, match=r"Import it with import_openvino\(\)"):
        import_openvino()


def test_engines_imports_no_heavy_package():
    run_python("""
import sys
import scoring.inference.engines
assert not {"tensorflow", "keras", "openvino"} & set(sys.modules)
""")


def test_choose_engine_without_a_gpu_does_not_import_tensorflow():
    code = """
import os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = ""
from scoring.inference.engines import choose_engine
from scoring.model_store.store import SHIPPED_VERSION, find_model
engine = choose_engine("auto", find_model(SHIPPED_VERSION, "nowhere"), 1)
assert engine.name == "openvino"
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    run_python(code)
