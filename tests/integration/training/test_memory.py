"""Memory of a training, in a process of its own: what other tests allocate and free beside it would drown it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STATM = Path("/proc/self/statm")

TRAINED = """
import json, resource
from pathlib import Path

import numpy as np

from scoring.training import fit
from scoring.training.data.joint_set import JointSet

def joints(n, first_patient):
    rng = np.random.default_rng(first_patient)
    reading = rng.choice([0, 10, 30, 50], n).astype(np.float32)
    names = np.array([f"{first_patient + i:05d}" for i in range(n)])
    images = rng.integers(0, 255, (n, 128, 128), dtype=np.uint8)
    return JointSet(images, reading, reading, names, names, names, np.full(n, 2016))

recipe = fit.TrainingRecipe(
    epochs=8, patience=8, precision="float32", arguments={"side": 128, "filters": [2] * 5, "dense": [4], "dropout": 0.0}
)
resident = []
def look(epoch):
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident.append(pages * resource.getpagesize() / 2**20)
fit.train(recipe, joints(256, 0), joints(32, 1000), on_epoch=look)
print(json.dumps(resident))
"""


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="asks Linux how much memory is resident")
def test_memory_stays_flat_over_the_epochs():
    """An epoch's batches are 16 MiB: if they were kept, those of the last five epochs would be 80."""
    done = subprocess.run([sys.executable, "-c", TRAINED], capture_output=True, text=True, check=True)
    resident = json.loads(done.stdout.splitlines()[-1])
    assert resident[-1] - resident[2] < 40, resident
