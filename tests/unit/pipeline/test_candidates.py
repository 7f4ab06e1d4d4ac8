from dataclasses import replace
from datetime import date

from scoring.pipeline.candidates import candidate_version
from scoring.pipeline.snapshot import Snapshot
from scoring.training.recipes import TrainingRecipe

TAKEN = Snapshot("a" * 64, 100, 20, [50, 10, 10, 10, 10, 10], {}, 0, synthetic=False)
RECIPE = TrainingRecipe()


def test_candidate_version_identifies_recipe_data_and_code():
    def named(recipe=RECIPE, taken=TAKEN, revision="abc"):
        return candidate_version("grid-residual", recipe, taken, date(2026, 11, 21), revision)

    assert named() == named()
    assert named().startswith("grid-residual-2026-11-21-")
    others = {
        named(recipe=replace(RECIPE, seed=1)),
        named(recipe=replace(RECIPE, epochs=9)),
        named(taken=replace(TAKEN, sha256="b" * 64)),
        # The same pixels from synthetic phantoms are not data of patients.
        named(taken=replace(TAKEN, synthetic=True)),
        named(revision="abd"),
    }
    assert len(others | {named()}) == 6
