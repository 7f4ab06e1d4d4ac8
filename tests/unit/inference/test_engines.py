import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.inference import engines
from scoring.networks.openvino_graph import import_openvino


@pytest.fixture
def dev(tmp_path):
    (tmp_path / "null").touch()
    return tmp_path


def test_no_device_file_no_gpu(dev):
    assert not engines.gpu_may_be_there({}, dev)


@pytest.mark.parametrize("name", ["nvidia0", "nvidiactl", "dxg", "kfd"])
def test_a_device_file_makes_it_worth_asking(dev, name):
    (dev / name).touch()
    assert engines.gpu_may_be_there({}, dev)


@pytest.mark.parametrize(
    ("visible", "expected"), [("", False), ("-1", False), ("-1,0", False), ("0", True), ("1,2", True)]
)
def test_hidden_devices_are_not_there(dev, visible, expected):
    (dev / "nvidia0").touch()
    assert engines.gpu_may_be_there({"CUDA_VISIBLE_DEVICES": visible}, dev) is expected


@given(st.integers(0, 13), st.integers(1, 5))
def test_batches_are_padded_and_cut(n, batch_size):
    images = np.arange(1, n + 1, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1), np.float32)
    shapes = []

    def run(part):
        shapes.append(part.shape)
        return np.repeat(part[:, 0, 0], 101, axis=1)

    cdf = engines.predict_in_batches(run, images, batch_size, 2)
    assert cdf.shape == (n, 101)
    assert cdf[:, 7].tolist() == list(range(1, n + 1))
    assert set(shapes) <= {(batch_size, 2, 2, 1)}


def test_results_survive_the_engines_own_buffer():
    """OpenVINO returns its output buffer, which the next call overwrites."""
    buffer = np.zeros((1, 101), np.float32)

    def run(part):
        buffer[:] = part[0, 0, 0, 0]
        return buffer

    images = np.arange(3, dtype=np.float32)[:, None, None, None]
    assert engines.predict_in_batches(run, images, 1, 1)[:, 0].tolist() == [0, 1, 2]


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"expected images of shape \(n, 128, 128, 1\), got \(1, 64, 64, 1\)"):
        engines.predict_in_batches(lambda part: part, np.zeros((1, 64, 64, 1), np.float32), 2, 128)


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
def test_cpus_respect_the_container(tmp_path, monkeypatch, files, quota):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    expected = 8 if quota is None else max(1, int(np.ceil(quota)))
    assert engines.available_cpus(tmp_path) == expected


def test_importing_openvino_reports_to_nobody(tmp_path):
    """A plain `import openvino` opens a connection to Google Analytics and leaves an id in the home folder."""
    code = """
import socket, threading
tried = []
socket.socket.connect = lambda self, address: tried.append(address)
socket.getaddrinfo = lambda *a, **k: tried.append(a) or []
from scoring.networks.openvino_graph import import_openvino
ov = import_openvino()
ov.Core().available_devices
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
assert not tried, tried
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_openvino_imported_elsewhere_is_noticed(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino_telemetry", object())
    with pytest.raises(RuntimeError, match="import openvino by import_openvino"):
        import_openvino()


def test_deciding_for_the_cpu_does_not_import_tensorflow():
    code = """
import os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = ""
from scoring.inference.engines import choose_engine
from scoring.model_store.store import SHIPPED_VERSION, find_model
engine = choose_engine("auto", find_model(SHIPPED_VERSION, "nowhere"), 1)
assert engine.name == "openvino"
assert not {"tensorflow", "keras"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
