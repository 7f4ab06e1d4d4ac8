"""Training of tiny networks. Most of the time is spent on compiling a network, so tests share trained ones."""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from scoring.errors import InvalidRequest, TrainingDiverged
from scoring.networks.weights import get_weights
from scoring.progress import no_progress
from scoring.training.checkpoint import TENSORBOARD
from scoring.training.devices import strategy_for
from scoring.training.evaluation import metrics
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.fit import Epoch, Trained, TrainingRun, predict, train
from scoring.training.recipes import TrainingRecipe
from tests.lib.joint_sets import bar_joints

DENSE = {"side": 8, "filters": [], "dense": [8], "dropout": 0.2}
RECIPE = TrainingRecipe(
    epochs=3, batch_size=16, learning_rate=0.01, warmup_steps=5, precision="float32", arguments=DENSE, seed=3,
    rotation=3, zoom=0.02, shift=0.01,
)  # fmt: skip
AVERAGED = replace(RECIPE, average=0.9)
GRID = replace(RECIPE, balance=1.0, loss="grid_crossentropy", calibrated=True, arguments=DENSE | {"head": "grid"})
# Steps too small to change a weight.
FIXED = {"epochs": 1, "learning_rate": 1e-9, "schedule": "constant", "weight_decay": 0.0}


@dataclass(frozen=True)
class Training:
    """A training, its folder, and the calls of its progress callback."""

    trained: Trained
    folder: Path
    calls: list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def bars():
    return bar_joints(side=8)


@pytest.fixture(scope="module")
def train_on(bars):
    def run(recipe, **options):
        return train(recipe, bars["train"], bars["validation"], **options)

    return run


@pytest.fixture(scope="module")
def run_of(bars):
    """Return a function that starts a training, to be continued by epochs."""

    def start(recipe, **options):
        return TrainingRun(recipe, bars["train"], bars["validation"], strategy_for([], recipe.batch_size), **options)

    return start


@pytest.fixture(scope="module")
def training(train_on, tmp_path_factory):
    folder, calls = tmp_path_factory.mktemp("training"), []
    trained = train_on(RECIPE, work_dir=folder, progress=lambda *call: calls.append(call))
    return Training(trained, folder, calls)


@pytest.fixture(scope="module")
def averaged(train_on):
    return train_on(AVERAGED)


@pytest.fixture(scope="module")
def uninterrupted(training, averaged):
    return {RECIPE.average: training.trained, AVERAGED.average: averaged}


@pytest.fixture(scope="module")
def grid(train_on):
    return train_on(GRID)


def assert_equal_weights(network, expected):
    weights, expected = get_weights(network), get_weights(expected)
    assert all((weights[name] == expected[name]).all() for name in expected)


def test_train_learns_a_small_set_by_heart(bars):
    """Network, loss, targets and read-out fit together."""
    few = bars["train"].take(np.arange(48))
    recipe = replace(
        RECIPE, epochs=40, patience=40, learning_rate=0.02, rotation=0, zoom=0, shift=0, contrast=0, brightness=0,
        arguments={"side": 8, "filters": [4], "dense": [16], "dropout": 0.0},
    )  # fmt: skip
    trained = train(recipe, few, bars["validation"])
    assert metrics.evaluate(predict(trained.network, few.images), few.reading)["mae"] < 6
    assert min(epoch.loss for epoch in trained.history) < 0.2 * trained.history[0].loss


@pytest.mark.parametrize("recipe", [RECIPE, AVERAGED], ids=["last", "averaged"])
def test_train_resumes_as_if_it_had_not_stopped(recipe, run_of, train_on, uninterrupted, tmp_path):
    stopped = run_of(recipe, work_dir=tmp_path)
    for _ in range(2):
        stopped.run_epoch(no_progress)
    calls = []
    resumed = train_on(recipe, work_dir=tmp_path, progress=lambda *call: calls.append(call))
    assert calls[0][1] > 2 * stopped.steps_per_epoch
    assert resumed.history == uninterrupted[recipe.average].history
    assert_equal_weights(resumed.network, uninterrupted[recipe.average].network)


def test_training_run_draws_weights_from_the_seed(run_of):
    first, again, other = (run_of(replace(RECIPE, seed=seed)).network for seed in (3, 3, 4))
    assert_equal_weights(first, again)
    assert not np.array_equal(get_weights(first)["dense1/kernel"], get_weights(other)["dense1/kernel"])


def test_train_with_averaged_weights_takes_the_same_steps(training, averaged):
    """Averaging changes only which weights are kept."""
    plain = training.trained
    assert [epoch.loss for epoch in averaged.history] == [epoch.loss for epoch in plain.history]
    assert averaged.history[-1].validation["crps"] != plain.history[-1].validation["crps"]


def test_run_epoch_averages_over_one_epoch_at_most(run_of, bars):
    """After the few dozen steps of a site's first training, an average over a hundred would be half random start."""
    run = run_of(replace(RECIPE, epochs=8, average=0.99))
    for _ in range(8):
        averaged = run.run_epoch(no_progress).validation["crps"]
    last = metrics.evaluate(predict(run.network, bars["validation"].images), bars["validation"].reading)["crps"]
    assert averaged < 1.5 * last


def test_train_writes_learning_curves(training):
    curves: dict[str, list[float]] = {}
    for file in sorted((training.folder / TENSORBOARD).iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                curves.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    history = training.trained.history
    assert curves["loss"] == pytest.approx([epoch.loss for epoch in history])
    assert curves["validation/crps"] == pytest.approx([epoch.validation["crps"] for epoch in history])


def test_train_reports_progress_up_to_the_total(training, bars):
    total = RECIPE.epochs * (len(bars["train"]) // RECIPE.batch_size)
    assert training.calls[-1] == ("training", total, total)


def test_train_keeps_the_best_epoch(training, bars):
    trained = training.trained
    best = max(trained.history, key=lambda epoch: epoch.score)
    assert trained.best_epoch == best.epoch
    cdf = predict(trained.network, bars["validation"].images)
    again = metrics.evaluate(cdf, bars["validation"].reading)
    assert {name: again[name] for name in best.validation} == pytest.approx(best.validation, abs=1e-5)


def test_train_starts_from_given_weights(training, train_on, run_of):
    recipe = replace(RECIPE, **FIXED)
    known = get_weights(training.trained.network)
    tuned = get_weights(train_on(recipe, start=known).network)
    np.testing.assert_allclose(tuned["dense1/kernel"], known["dense1/kernel"], atol=1e-6)
    fresh = get_weights(run_of(recipe).network)
    assert not np.allclose(fresh["dense1/kernel"], known["dense1/kernel"], atol=1e-2)


def test_train_from_given_weights_does_not_correct_the_prior_twice(grid, train_on):
    known = get_weights(grid.network)
    tuned = get_weights(train_on(replace(GRID, **FIXED), start=known).network)
    np.testing.assert_allclose(tuned["grid/bias"], known["grid/bias"], atol=1e-5)


def test_train_chooses_the_best_epoch_by_the_rule_of_the_model(grid, bars):
    cdf, reading = predict(grid.network, bars["validation"].images), bars["validation"].reading
    best = grid.history[grid.best_epoch - 1]
    by_rule = metrics.evaluate(cdf, reading, calibrated_rule(cdf, reading))["accuracy_and_kappa"]
    assert best.score == pytest.approx(by_rule)
    assert best.score != pytest.approx(metrics.evaluate(cdf, reading)["accuracy_and_kappa"])


def run_with(scores, crps=None, **fields):
    """Return a training run with these scores and no network."""
    run = TrainingRun.__new__(TrainingRun)
    run.recipe = replace(RECIPE, **fields)
    values = zip(scores, crps or [0.1] * len(scores), strict=True)
    run.history = [Epoch(i, 0.1, score, {"crps": each}) for i, (score, each) in enumerate(values, start=1)]
    return run


def test_best_epoch_has_the_lowest_crps_among_equal_scores():
    assert run_with([0.1, 0.1, 0.1], crps=[0.3, 0.1, 0.2]).best_epoch == 2
    assert run_with([0.1, 0.2, 0.1], crps=[0.3, 0.4, 0.2]).best_epoch == 2


@pytest.mark.parametrize(
    ("scores", "fields", "finished"),
    [
        ([], {}, False),
        ([0.5], {"epochs": 1}, True),
        ([0.5, 0.4], {"epochs": 9, "patience": 2}, False),
        ([0.5, 0.4, 0.4], {"epochs": 9, "patience": 2}, True),
        ([0.5, 0.4, 0.6], {"epochs": 9, "patience": 2}, False),
        # Frozen epochs do not use up the patience, even if the first of them remains the best.
        ([0.9, 0.5], {"epochs": 4, "patience": 1, "frozen_epochs": 2}, False),
        ([0.9, 0.5, 0.5], {"epochs": 4, "patience": 1, "frozen_epochs": 2}, True),
    ],
)
def test_finished_after_the_last_epoch_or_without_patience(scores, fields, finished):
    assert run_with(scores, **fields).finished is finished


def test_run_epoch_drops_other_units_in_each_layer_and_epoch(bars):
    """No mask of two layers of equal size, in two epochs, equals another one, nor another one a step later."""
    recipe = replace(RECIPE, arguments=DENSE | {"dense": [8, 8], "dropout": 0.5})
    run = TrainingRun(recipe, bars["train"].take(np.arange(32)), bars["validation"], strategy_for([], 16))
    masks = []

    def note(*_):
        generators = [layer.seed_generator for layer in run.network.layers if hasattr(layer, "seed_generator")]
        masks.extend(keras.random.dropout(np.ones((1, 64)), 0.5, seed=seed).numpy().tobytes() for seed in generators)

    run.run_epoch(note)
    run.run_epoch(note)
    assert len(set(masks)) == len(masks) >= 4


def test_train_restores_the_policy_of_the_caller(bars, monkeypatch):
    monkeypatch.setattr("scoring.training.fit.cpu_computes_bfloat16", lambda: True)
    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        recipe = replace(RECIPE, epochs=1, precision="mixed_bfloat16")
        trained = train(recipe, bars["train"].take(np.arange(16)), bars["validation"].take(np.arange(4)))
        assert keras.mixed_precision.dtype_policy().name == "mixed_float16"
    finally:
        keras.mixed_precision.set_dtype_policy(previous)
    assert trained.precision == "mixed_bfloat16"
    # The kept network computes in float32, whatever the precision of its training.
    assert {layer.compute_dtype for layer in trained.network.layers} == {"float32"}


def test_train_reports_a_loss_that_is_not_finite(bars):
    recipe = replace(RECIPE, learning_rate=float("nan"), warmup_steps=0)
    with pytest.raises(TrainingDiverged, match=r"The loss became (nan|inf) in epoch 1 .*Look for damaged images"):
        train(recipe, bars["train"].take(np.arange(32)), bars["validation"])


def test_train_rejects_a_checkpoint_of_another_recipe(train_on, training):
    with pytest.raises(InvalidRequest, match=r"checkpoint.npz belongs to a training with another recipe"):
        train_on(replace(RECIPE, seed=9), work_dir=training.folder)


def test_train_rejects_weights_of_another_shape_to_start_from(train_on, training):
    known = get_weights(training.trained.network)
    with pytest.raises(InvalidRequest, match=r"does not fit the recipe's erosion_cdf_network: .*dense1/kernel"):
        train_on(replace(RECIPE, arguments={**DENSE, "dense": [4]}), start=known)


def test_train_rejects_a_patient_in_both_sets(bars):
    with pytest.raises(InvalidRequest, match="patients are both in the training and the validation set"):
        train(RECIPE, bars["train"], bars["train"])


def test_train_rejects_too_few_joints(bars):
    with pytest.raises(InvalidRequest, match="at least 16 and 1 are needed"):
        train(RECIPE, bars["train"].take(np.arange(15)), bars["validation"])
