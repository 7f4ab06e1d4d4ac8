"""Train a network by a recipe on a training set, and choose its best epoch on a validation set."""

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidRequest, TrainingDiverged
from scoring.inference.openvino_engine import cpu_computes_bfloat16
from scoring.networks.readout import N_POINTS
from scoring.networks.weights import Weights, get_weights, set_weights
from scoring.progress import Progress, no_progress
from scoring.training import checkpoint
from scoring.training.data.joint_set import JointSet
from scoring.training.evaluation import metrics
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.recipes import TrainingRecipe
from scoring.training.sampling import prior_shift, sample_epoch, times_shown

logger = logging.getLogger(__name__)

_PREDICT_BATCH = 128

# Name of the head over the readings' grid, and of its layer.
_GRID = "grid"
# More steps than any epoch has.
_MAX_STEPS = 1_000_000


@dataclass(frozen=True)
class Epoch:
    """The result of one epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Mean loss of its steps.
        score: `accuracy_and_kappa` of the validation set (`evaluation.metrics.confusion_measures`), by the read-out
            rule that the model would have after this epoch. The best epoch has the highest score, among equal ones the
            lowest CRPS.
        validation: The measures of `evaluation.metrics.evaluate` on the validation set.
    """

    epoch: int
    loss: float
    score: float
    validation: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """A trained network with the weights of its best epoch in float32, and its history."""

    network: Any
    history: list[Epoch]
    best_epoch: int
    precision: str


def train(
    recipe: TrainingRecipe,
    training: JointSet,
    validation: JointSet,
    *,
    start: Weights | None = None,
    prior_readings: NDArray[np.float32] | None = None,
    work_dir: Path | None = None,
    progress: Progress = no_progress,
) -> Trained:
    """Train a network and keep the weights of its best epoch.

    All randomness derives from the recipe's seed and the number of the epoch, so a resumed training takes the same
    steps as an uninterrupted one. Several visible GPUs share every batch (`devices.strategy_for`).

    `start` are weights of a network of the same architecture to start from (fine-tuning); by default, they are random.
    `prior_readings` are those of `candidate.TrainingData`. `work_dir` is a folder for a checkpoint after each epoch and
    for the learning curves; a checkpoint of the same recipe and data is resumed.

    Raises:
        InvalidRequest: A set is too small, a patient is in both, the weights to start from do not fit, or the
            checkpoint belongs to another recipe, start or data.
        TrainingDiverged: The loss became NaN or infinite.
    """
    if len(training) < recipe.batch_size or not len(validation):
        raise InvalidRequest(
            f"There are {len(training)} joints for training and {len(validation)} for validation; at least "
            f"{recipe.batch_size} and 1 are needed. Use more patients."
        )
    if shared := set(training.patient_id) & set(validation.patient_id):
        raise InvalidRequest(f"{len(shared)} patients are both in the training and the validation set. Separate them.")
    import keras

    from scoring.networks.architecture import build
    from scoring.training.devices import precision_for, strategy_for, visible_gpus

    gpus = visible_gpus()
    strategy = strategy_for(gpus, recipe.batch_size)
    precision = precision_for(recipe.precision, n_gpus=len(gpus), cpu_has_bfloat16=cpu_computes_bfloat16())
    logger.info("training_begins joints=%d gpus=%d precision=%s", len(training), len(gpus), precision)
    policy_of_caller = keras.mixed_precision.dtype_policy()
    try:
        keras.mixed_precision.set_dtype_policy(precision)
        with strategy.scope():
            run = TrainingRun(recipe, training, validation, strategy, start, prior_readings, work_dir)
            while not run.finished:
                run.run_epoch(progress)
        keras.mixed_precision.set_dtype_policy("float32")
        network = build(recipe.architecture, dict(recipe.arguments))
        set_weights(network, run.best)
        return Trained(network, run.history, run.best_epoch, precision)
    finally:
        keras.mixed_precision.set_dtype_policy(policy_of_caller)


def predict(network: Any, images: NDArray[np.uint8], *, stretched: bool = False) -> NDArray[np.float32]:
    """Return the raw output of a keras network for images, such as distribution functions, float32 `(n, 101)`.

    The images are uint8 `(n, side, side)`. Their grey levels are stretched first if the recipe says so.
    """
    from scoring.training.augment import stretch

    parts = []
    for at in range(0, len(images), _PREDICT_BATCH):
        batch = images[at : at + _PREDICT_BATCH, ..., np.newaxis].astype(np.float32) / np.float32(255)
        output = np.asarray(network.predict_on_batch(stretch(batch) if stretched else batch))
        # A network mirrored on several GPUs returns the whole batch once per GPU.
        parts.append(output[: len(batch)])
    return np.concatenate(parts).astype(np.float32)


class TrainingRun:
    """The state of a training, as a checkpoint keeps it, and the steps of an epoch. Takes the arguments of `train`."""

    def __init__(  # noqa: PLR0917 - the arguments of `train`, in their order
        self,
        recipe: TrainingRecipe,
        training: JointSet,
        validation: JointSet,
        strategy: Any,
        start: Weights | None = None,
        prior_readings: NDArray[np.float32] | None = None,
        work_dir: Path | None = None,
    ) -> None:
        import keras

        from scoring.networks.architecture import build
        from scoring.training.augment import EpochBatches

        self.recipe, self.training, self.validation, self.strategy = recipe, training, validation, strategy
        self.steps_per_epoch = len(training) // recipe.batch_size
        self.history: list[Epoch] = []
        keras.utils.set_random_seed(recipe.seed)
        self.network = build(recipe.architecture, dict(recipe.arguments))
        self.prior_shift = _prior_shift(recipe, training, prior_readings)
        if start is not None:
            try:
                set_weights(self.network, start)
            except ValueError as error:
                reason = f"The model to start from does not fit the recipe's {recipe.architecture}: {error}"
                raise InvalidRequest(reason) from error
            # The given weights predict by the natural prior; training uses that of the sampled joints.
            self._shift_prior(-1)
        self._compile(frozen=recipe.frozen_epochs > 0)
        self.batches = EpochBatches(recipe, training)
        self.best: Weights = get_weights(self.network)
        self.work_dir = work_dir
        if work_dir is not None:
            self.identity = checkpoint.training_sha256(recipe, training, validation, start, prior_readings)
            if (work_dir / checkpoint.CHECKPOINT).exists():
                self._restore(work_dir / checkpoint.CHECKPOINT)

    @property
    def finished(self) -> bool:
        """True if no epoch remains, or the patience is used up."""
        if not self.history:
            return False
        # The scores of the frozen epochs do not predict those of the whole network.
        since = len(self.history) - max(self.best_epoch, self.recipe.frozen_epochs)
        return len(self.history) >= self.recipe.epochs or since >= self.recipe.patience

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch."""
        return max(self.history, key=lambda epoch: (epoch.score, -epoch.validation["crps"])).epoch

    def run_epoch(self, progress: Progress) -> Epoch:
        """Train for one epoch, evaluate it on the validation set and write the checkpoint."""
        number = len(self.history) + 1
        if self.frozen and number > self.recipe.frozen_epochs:
            self._compile(frozen=False)
        loss = self._fit_epoch(number, progress)
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"The loss became {loss} in epoch {number} (learning rate {self.recipe.learning_rate}). Look for "
                "damaged images or readings in the training set, or use another recipe."
            )
        trained = get_weights(self.network)
        if self.recipe.average:
            self.network.optimizer.finalize_variable_values(self.network.trainable_variables)
        self._shift_prior(1)
        cdf = predict(self.network, self.validation.images, stretched=self.recipe.stretch)
        # Another rule than the model's may have another best epoch.
        rule = calibrated_rule(cdf, self.validation.reading) if self.recipe.calibrated else self.recipe.rule
        measures = metrics.evaluate(cdf, self.validation.reading, rule)
        epoch = Epoch(number, loss, measures["accuracy_and_kappa"], measures)
        self.history.append(epoch)
        if self.best_epoch == number:
            self.best = get_weights(self.network)
        if self.recipe.average or self.prior_shift is not None:
            set_weights(self.network, trained)
        if self.work_dir is not None:
            self._save(self.work_dir, epoch)
        crps = measures["crps"]
        logger.info("epoch_done epoch=%d loss=%.5f score=%.4f crps=%.5f", number, loss, epoch.score, crps)
        return epoch

    def _fit_epoch(self, number: int, progress: Progress) -> float:
        """Take the steps of an epoch and return their mean loss."""
        from scoring.training.devices import split_batch

        # Every layer has its own random stream in each epoch. Otherwise, all layers would drop the same units.
        random_layers = [layer for layer in self.network.layers if hasattr(layer, "seed_generator")]
        for i, layer in enumerate(random_layers):
            layer.seed_generator.state.assign([self.recipe.seed * len(random_layers) + i, number * _MAX_STEPS])
        rng = np.random.default_rng([self.recipe.seed, number])
        order = sample_epoch(self.training.grades, self.recipe.balance, rng)
        losses = []
        done = (number - 1) * self.steps_per_epoch
        for step, batch in enumerate(self.batches.epoch(order, number), start=1):
            losses.append(self.network.train_on_batch(*split_batch(batch, self.strategy), return_dict=True)["loss"])
            if step % 10 == 0 or step == self.steps_per_epoch:
                progress("training", done + step, self.recipe.epochs * self.steps_per_epoch)
        return float(np.mean(losses))

    def _shift_prior(self, sign: int) -> None:
        """Replace the prior of the sampled joints by the natural one (1), or the reverse (-1), where they differ."""
        if self.prior_shift is not None:
            bias = self.network.get_layer(_GRID).bias
            bias.assign(bias + sign * self.prior_shift)

    def _compile(self, *, frozen: bool) -> None:
        """Begin a phase. A change of the frozen layers takes effect only when the network is compiled."""
        import keras

        from scoring.networks.architecture import TRANSFERRED
        from scoring.networks.losses import LOSSES

        recipe = self.recipe
        if recipe.frozen_epochs:
            self.network.get_layer(TRANSFERRED).trainable = not frozen
        epochs = recipe.frozen_epochs if frozen else recipe.epochs - recipe.frozen_epochs
        optimizer = keras.optimizers.AdamW(
            _learning_rate(recipe, epochs * self.steps_per_epoch),
            recipe.weight_decay,
            use_ema=recipe.average > 0,
            ema_momentum=min(recipe.average, 1 - 1 / self.steps_per_epoch),
        )
        # Weight decay would only bias the biases and the parameters of batch normalisation, which makes the scale of
        # the preceding layer irrelevant.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        # XLA would compile first, and makes no step faster on a CPU: tests/benchmarks/test_training.py.
        self.network.compile(optimizer, loss=LOSSES[recipe.loss], jit_compile=False)
        optimizer.build(self.network.trainable_variables)
        if self.strategy.num_replicas_in_sync > 1:
            # Keras builds its loss at the first batch, but cannot if that is split.
            n, shape = recipe.batch_size, self.network.input_shape[1:]
            blank = np.zeros((n, *shape), np.float32), np.ones((n, N_POINTS), np.float32)
            self.network.evaluate(*blank, sample_weight=np.ones(n, np.float32), batch_size=n, verbose=0)
        self.frozen = frozen

    def _save(self, folder: Path, epoch: Epoch) -> None:
        optimizer = {str(i): np.asarray(variable) for i, variable in enumerate(self.network.optimizer.variables)}
        checkpoint.write_checkpoint(
            folder / checkpoint.CHECKPOINT,
            self.identity,
            [asdict(each) for each in self.history],
            {"now": get_weights(self.network), "best": self.best, "optimizer": optimizer},
        )
        curves = {"loss": epoch.loss} | {f"validation/{name}": value for name, value in epoch.validation.items()}
        checkpoint.log_curves(folder / checkpoint.TENSORBOARD, epoch.epoch, curves)

    def _restore(self, path: Path) -> None:
        history, arrays = checkpoint.read_checkpoint(path, self.identity)
        self.history = [Epoch(**epoch) for epoch in history]
        if self.frozen and len(self.history) > self.recipe.frozen_epochs:
            self._compile(frozen=False)
        set_weights(self.network, arrays["now"])
        self.best = arrays["best"]
        for i, variable in enumerate(self.network.optimizer.variables):
            variable.assign(arrays["optimizer"][str(i)])
        logger.info("training_resumed epochs_done=%d", len(self.history))


def _learning_rate(recipe: TrainingRecipe, total: int) -> Any:
    import keras

    if recipe.schedule == "constant":
        return recipe.learning_rate
    decay, warmup = keras.optimizers.schedules.CosineDecay, min(recipe.warmup_steps, total // 2)
    if not warmup:
        return decay(recipe.learning_rate, total)
    return decay(0.0, total - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup)


def _prior_shift(
    recipe: TrainingRecipe, training: JointSet, prior_readings: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """Return the correction of the grid's logits; None if the priors are equal, or for the heads of the thesis."""
    if recipe.arguments.get("head") != _GRID or (recipe.balance == 0 and prior_readings is None):
        return None
    weight = times_shown(training.grades, recipe.balance)
    return prior_shift(training.reading, weight, training.reading if prior_readings is None else prior_readings)
