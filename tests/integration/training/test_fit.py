"""Real training of a tiny network: seconds, most of them TensorFlow's import."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from scoring.errors import InvalidRequest, ModelRejected, TrainingDiverged
from scoring.imaging.preprocess import PREPROCESSING_VERSION
from scoring.inference.engines import choose_engine
from scoring.model_store.stored_model import StoredModel
from scoring.networks.weights import get_weights
from scoring.training import export_model
from scoring.training.augment import EpochBatches, augment, class_weights, stretch
from scoring.training.data.joint_set import JointSet, split
from scoring.training.devices import strategy_for
from scoring.training.evaluation import metrics
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.fit import TENSORBOARD, TrainingRecipe, _Run, predict, train

ARGUMENTS = {"side": 16, "filters": [4, 8], "dense": [16], "dropout": 0.2}
RECIPE = TrainingRecipe(
    epochs=3, batch_size=16, learning_rate=0.01, warmup_steps=5, precision="float32", arguments=ARGUMENTS, seed=3,
    rotation=3, zoom=0.02, shift=0.01,
)  # fmt: skip


STILL = replace(RECIPE, rotation=0, zoom=0, shift=0, contrast=0, brightness=0, mirror=False)


@pytest.fixture(scope="module")
def bars():
    """Joints whose erosion is the height of a bright bar."""
    rng = np.random.default_rng(0)
    reading = rng.choice([0, 0, 10, 30, 50, 70, 90], 200).astype(np.float32)
    images = rng.integers(0, 40, (200, 16, 16), dtype=np.uint8)
    for image, percent in zip(images, reading, strict=True):
        image[: round(percent * 0.16)] = 200
    patients = np.array([f"{i // 4:05d}" for i in range(200)])
    radiographs = np.char.add("2.25.", patients)
    joints = np.array(["hand_left_1"] * 200)
    return split(JointSet(images, reading, reading, patients, joints, radiographs, np.full(200, 2016)))


@pytest.fixture(scope="module")
def trained(bars):
    return train(RECIPE, bars["train"], bars["validation"])


def test_a_tiny_network_learns_by_heart(bars):
    """Enough epochs on 48 joints: the network, the loss, the targets and the read-out fit together."""
    few = bars["train"].take(np.arange(48))
    recipe = replace(
        RECIPE, epochs=40, patience=40, learning_rate=0.02, arguments=ARGUMENTS | {"dropout": 0.0},
        rotation=0, zoom=0, shift=0, contrast=0, brightness=0,
    )  # fmt: skip
    learnt = train(recipe, few, bars["validation"])
    cdf = predict(learnt.network, few.images)
    assert metrics.evaluate(cdf, few.reading)["mae"] < 6
    assert min(epoch.loss for epoch in learnt.history) < 0.2 * learnt.history[0].loss


def test_the_same_seed_gives_the_same_weights(bars, trained):
    again = train(RECIPE, bars["train"], bars["validation"])
    other = train(replace(RECIPE, seed=4), bars["train"], bars["validation"])
    first, second, third = (get_weights(run.network) for run in (trained, again, other))
    assert all((first[name] == second[name]).all() for name in first)
    assert not all((first[name] == third[name]).all() for name in first)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(bars, trained, tmp_path):
    class PowerCut(Exception):
        pass

    def cut(epoch):
        if epoch.epoch == 2:
            raise PowerCut

    with pytest.raises(PowerCut):
        train(RECIPE, bars["train"], bars["validation"], work_dir=tmp_path, on_epoch=cut)
    epochs = []
    resumed = train(RECIPE, bars["train"], bars["validation"], work_dir=tmp_path, on_epoch=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [3]
    assert resumed.history == trained.history
    weights, expected = get_weights(resumed.network), get_weights(trained.network)
    assert all((weights[name] == expected[name]).all() for name in expected)


def test_the_curves_of_a_training_can_be_looked_at(bars, trained, tmp_path):
    train(RECIPE, bars["train"], bars["validation"], work_dir=tmp_path)
    curves: dict[str, list[float]] = {}
    for file in sorted((tmp_path / TENSORBOARD).iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                curves.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
    assert curves["loss"] == pytest.approx([epoch.loss for epoch in trained.history])
    assert curves["validation/crps"] == pytest.approx([epoch.validation["crps"] for epoch in trained.history])


def test_fine_tuning_goes_on_from_the_given_weights(bars, trained):
    known = get_weights(trained.network)
    still = replace(RECIPE, epochs=1, learning_rate=1e-9, schedule="constant", weight_decay=0.0)
    tuned = get_weights(train(still, bars["train"], bars["validation"], start=known).network)
    np.testing.assert_allclose(tuned["block1_conv1/kernel"], known["block1_conv1/kernel"], atol=1e-6)
    fresh = get_weights(train(still, bars["train"], bars["validation"]).network)
    assert not np.allclose(fresh["block1_conv1/kernel"], known["block1_conv1/kernel"], atol=1e-2)


GRID = replace(RECIPE, balance=1.0, loss="grid_crossentropy", calibrated=True, arguments=ARGUMENTS | {"head": "grid"})


def test_fine_tuning_on_other_proportions_does_not_correct_the_prior_twice(bars):
    known = get_weights(train(GRID, bars["train"], bars["validation"]).network)
    still = replace(GRID, epochs=1, learning_rate=1e-9, schedule="constant", weight_decay=0.0)
    tuned = get_weights(train(still, bars["train"], bars["validation"], start=known).network)
    np.testing.assert_allclose(tuned["grid/bias"], known["grid/bias"], atol=1e-5)


def test_the_best_epoch_is_chosen_by_the_rule_that_the_model_will_use(bars):
    learnt = train(GRID, bars["train"], bars["validation"])
    cdf = predict(learnt.network, bars["validation"].images)
    rule = calibrated_rule(cdf, bars["validation"].reading)
    best = learnt.history[learnt.best_epoch - 1]
    assert best.score == pytest.approx(metrics.evaluate(cdf, bars["validation"].reading, rule)["accuracy_and_kappa"])
    assert best.score != pytest.approx(metrics.evaluate(cdf, bars["validation"].reading)["accuracy_and_kappa"])


def test_of_epochs_with_one_score_the_better_distribution_is_kept(bars, monkeypatch):
    whole = metrics.evaluate
    monkeypatch.setattr(metrics, "evaluate", lambda *given: whole(*given) | {"accuracy_and_kappa": 0.1})
    learnt = train(RECIPE, bars["train"], bars["validation"])
    assert learnt.best_epoch == min(learnt.history, key=lambda epoch: epoch.validation["crps"]).epoch


def test_layers_drop_units_of_their_own_in_each_epoch(bars):
    """The masks of two layers of one size, in two epochs; none is another's, nor another's a step later."""
    recipe = replace(RECIPE, epochs=2, arguments=ARGUMENTS | {"dense": [16, 16], "dropout": 0.5})
    masks = []

    def note(*_):
        drawing = [layer.seed_generator for layer in run.network.layers if hasattr(layer, "seed_generator")]
        masks.extend(keras.random.dropout(np.ones((1, 64)), 0.5, seed=seed).numpy().tobytes() for seed in drawing)

    run = _Run(recipe, bars["train"], bars["validation"], None, None, None, strategy_for([], recipe.batch_size))
    run.one_epoch(note)
    run.one_epoch(note)
    assert len(set(masks)) == len(masks) >= 4


def test_weights_of_another_shape_to_start_from_are_refused(bars, trained):
    other = replace(RECIPE, arguments={**ARGUMENTS, "dense": [8]})
    with pytest.raises(
        InvalidRequest, match="to start from is not a erosion_cdf_network like this: weight dense1/kernel"
    ):
        train(other, bars["train"], bars["validation"], start=get_weights(trained.network))


AVERAGED = replace(RECIPE, average=0.9)


def test_an_averaged_training_that_was_stopped_goes_on_too(bars, trained, tmp_path):
    whole = train(AVERAGED, bars["train"], bars["validation"])

    class PowerCut(Exception):
        pass

    def cut(epoch):
        if epoch.epoch == 2:
            raise PowerCut

    with pytest.raises(PowerCut):
        train(AVERAGED, bars["train"], bars["validation"], work_dir=tmp_path / "cut", on_epoch=cut)
    resumed = train(AVERAGED, bars["train"], bars["validation"], work_dir=tmp_path / "cut")
    assert resumed.history == whole.history
    # The steps are those of the training without averages: averaging only changes what is kept.
    assert [epoch.loss for epoch in whole.history] == [epoch.loss for epoch in trained.history]
    assert whole.history[-1].validation["crps"] != trained.history[-1].validation["crps"]


def test_a_training_of_few_steps_does_not_keep_its_random_start(bars):
    """A site's first retraining has a dozen steps an epoch, and an average over a hundred would be half its start."""
    averaged = train(replace(RECIPE, epochs=8, average=0.99), bars["train"], bars["validation"])
    last = train(replace(RECIPE, epochs=8), bars["train"], bars["validation"])
    kept, usual = (min(epoch.validation["crps"] for epoch in run.history) for run in (averaged, last))
    assert kept < 1.5 * usual


def test_only_copies_are_augmented_when_only_copies_should(bars):
    recipe = replace(RECIPE, augment_repeats_only=True, contrast=0.2)
    order = np.arange(16)
    order[12:] = order[:4]
    ((images, _, weights),) = EpochBatches(recipe, bars["train"]).epoch(order, 1)
    shown = bars["train"].images[order] / np.float32(255)
    same = [np.allclose(a, b, atol=1e-6) for a, b in zip(np.asarray(images)[..., 0], shown, strict=True)]
    assert same == [True] * 12 + [False] * 4
    np.testing.assert_array_equal(np.asarray(weights), 1)


def test_class_weights_make_all_grades_weigh_alike(bars):
    grades = bars["train"].grades
    weights = class_weights(grades)
    assert weights.mean() == pytest.approx(1)
    sums = [weights[grades == grade].sum() for grade in np.unique(grades)]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-5)
    ((_, _, given),) = EpochBatches(replace(RECIPE, class_weights=True), bars["train"]).epoch(np.arange(16), 1)
    np.testing.assert_array_equal(np.asarray(given), weights[:16])


def test_stretched_images_reach_from_black_to_white(bars):
    ((images, _, _),) = EpochBatches(replace(STILL, stretch=True), bars["train"]).epoch(np.arange(16), 1)
    assert np.asarray(images).min(axis=(1, 2, 3)) == pytest.approx(0)
    assert np.asarray(images).max(axis=(1, 2, 3)) == pytest.approx(1)
    assert np.isfinite(np.asarray(stretch(np.full((1, 4, 4, 1), 0.5, np.float32)))).all()


def test_the_policy_of_the_caller_stays_the_callers(bars):
    import keras

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoring.inference.openvino_engine.cpu_computes_bfloat16", lambda: True)
        previous = keras.mixed_precision.dtype_policy()
        keras.mixed_precision.set_dtype_policy("mixed_float16")
        try:
            learnt = train(replace(RECIPE, epochs=1, precision="mixed_bfloat16"), bars["train"], bars["validation"])
            assert keras.mixed_precision.dtype_policy().name == "mixed_float16"
        finally:
            keras.mixed_precision.set_dtype_policy(previous)
    assert learnt.precision == "mixed_bfloat16"
    # What is kept computes in float32, whatever it was trained in.
    assert {layer.compute_dtype for layer in learnt.network.layers} == {"float32"}


def test_a_checkpoint_of_another_recipe_is_refused(bars, tmp_path):
    short = replace(RECIPE, epochs=1)
    train(short, bars["train"], bars["validation"], work_dir=tmp_path)
    with pytest.raises(InvalidRequest, match=r"checkpoint.npz is the checkpoint of another recipe"):
        train(replace(short, seed=9), bars["train"], bars["validation"], work_dir=tmp_path)


def test_the_best_epoch_is_kept(bars, trained):
    best = max(trained.history, key=lambda epoch: epoch.score)
    assert trained.best_epoch == best.epoch
    cdf = predict(trained.network, bars["validation"].images)
    again = metrics.evaluate(cdf, bars["validation"].reading)
    assert {name: again[name] for name in best.validation} == pytest.approx(best.validation, abs=1e-5)


def test_progress_ends_at_the_total(bars):
    steps = []
    train(replace(RECIPE, epochs=1), bars["train"], bars["validation"], on_step=lambda *s: steps.append(s))
    assert steps[-1] == (len(bars["train"]) // 16,) * 2


def test_a_loss_that_is_no_number_is_an_error_in_words(bars):
    spoilt = replace(bars["train"], reading=np.full(len(bars["train"]), 5, np.float32))
    with pytest.raises(TrainingDiverged, match=r"the loss became (nan|inf) in epoch 1: look for damaged images"):
        train(replace(RECIPE, learning_rate=float("nan"), warmup_steps=0), spoilt, bars["validation"])


def test_a_patient_on_both_sides_is_refused(bars):
    with pytest.raises(InvalidRequest, match="patients are in the training set and in the validation set"):
        train(RECIPE, bars["train"], bars["train"])


def test_too_few_joints_are_refused(bars):
    with pytest.raises(InvalidRequest, match="at least 16 and 1 are needed"):
        train(RECIPE, bars["train"].take(np.arange(15)), bars["validation"])


def test_augmentation_is_seeded_bounded_and_moves_what_it_should():
    rng = np.random.default_rng(0)
    images = rng.random((6, 16, 16, 1), dtype=np.float32)
    still = STILL
    np.testing.assert_allclose(augment(images, [1, 2], still), images, atol=1e-6)
    one, same, other = (np.asarray(augment(images, seed, RECIPE)) for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1
    mirrored = np.asarray(augment(images, [1, 2], replace(still, mirror=True)))
    flipped = [np.allclose(a, b[:, ::-1], atol=1e-5) for a, b in zip(mirrored, images, strict=True)]
    kept = [np.allclose(a, b, atol=1e-5) for a, b in zip(mirrored, images, strict=True)]
    assert all(np.logical_xor(flipped, kept))
    assert any(flipped)


@pytest.fixture(scope="module")
def model(trained):
    facts = {"version": "bars", "architecture": RECIPE.architecture, "arguments": ARGUMENTS, "input_side": 16,
             "preprocessing_version": PREPROCESSING_VERSION}  # fmt: skip
    return StoredModel(facts, export_model.model_files(trained.network))


def test_exported_files_are_the_network_in_half_precision(bars, trained, model):
    images = bars["test"].images
    engine = choose_engine("tensorflow", model, 8)
    np.testing.assert_allclose(export_model.predict_with(engine, images), predict(trained.network, images), atol=1e-6)


def test_engines_agree(bars, model):
    found = export_model.measure_agreement(model, bars["test"].images)
    assert found[0].precision == "float32"
    assert found[0].cdf < 1e-4
    assert found[0].other_grade == 0
    facts = export_model.agreement_facts(found)
    assert facts["measured"][0]["accepted"] is True


def test_engines_that_disagree_are_refused(bars, model, trained):
    """The graph of one network beside the weights of another."""
    other = train(replace(RECIPE, epochs=1, seed=8), bars["train"], bars["validation"])
    mixed = dict(model.files) | {"weights.npz": export_model.model_files(other.network)["weights.npz"]}
    with pytest.raises(ModelRejected, match="OpenVINO and TensorFlow differ by"):
        export_model.measure_agreement(StoredModel(model.manifest, mixed), bars["test"].images)


def test_weights_that_do_not_fit_the_architecture_are_refused(model):
    wrong = StoredModel(dict(model.manifest) | {"arguments": ARGUMENTS | {"dense": [8]}}, model.files)
    with pytest.raises(ModelRejected, match="model bars: weight dense1/kernel has shape"):
        choose_engine("tensorflow", wrong, 8)


def test_a_graph_that_is_no_graph_is_refused(model):
    broken = StoredModel(model.manifest, dict(model.files) | {"network.xml": b"<net></net>"})
    with pytest.raises(ModelRejected, match=r"OpenVINO cannot load network.xml"):
        choose_engine("openvino", broken, 8)
