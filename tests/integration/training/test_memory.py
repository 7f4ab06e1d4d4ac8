"""Memory of a training, in a process of its own, where no other test allocates memory."""

from pathlib import Path

import pytest

from tests.lib.processes import run_in_process

STATM = Path("/proc/self/statm")

TRAINING = """
import json, resource
from pathlib import Path

import numpy as np

from scoring.progress import no_progress
from scoring.training.devices import strategy_for
from scoring.training.fit import TrainingRun
from scoring.training.recipes import TrainingRecipe
from tests.lib.joint_sets import joint_set

def joints(n, first_patient):
    rng = np.random.default_rng(first_patient)
    return joint_set(
        rng.choice([0, 10, 30, 50], n),
        images=rng.integers(0, 255, (n, 128, 128), dtype=np.uint8),
        patient_id=np.array([f"{first_patient + i:05d}" for i in range(n)]),
    )

recipe = TrainingRecipe(epochs=8, arguments={"side": 128, "filters": [], "dense": [], "dropout": 0.0, "shrink": 2})
run = TrainingRun(recipe, joints(256, 0), joints(32, 1000), strategy_for([], recipe.batch_size))
resident = []
while len(run.history) < recipe.epochs:
    run.run_epoch(no_progress)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    resident.append(pages * resource.getpagesize() / 2**20)
print(json.dumps(resident))
"""


@pytest.mark.slow
@pytest.mark.skipif(not STATM.exists(), reason="reads the resident memory from Linux's /proc")
def test_training_run_keeps_memory_constant_over_epochs():
    """The batches of an epoch take 16 MiB: if they were kept, those of the last five epochs would take 80."""
    resident = run_in_process(TRAINING, timeout=400)
    assert resident[-1] - resident[2] < 40, resident
