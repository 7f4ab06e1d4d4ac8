"""Fit the network: a recipe and two joint sets in, trained weights and the history of the epochs out."""

import hashlib
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.errors import InvalidRequest, TrainingDiverged
from scoring.networks.readout import N_POINTS, USUAL_RULE, ReadOutRule
from scoring.progress import Progress, no_progress
from scoring.storage import atomic_write
from scoring.training.data.joint_set import JointSet, snapshot_sha256
from scoring.training.evaluation import metrics
from scoring.training.evaluation.calibration import calibrated_rule
from scoring.training.sampling import sample_epoch

logger = logging.getLogger(__name__)

_PREDICT_BATCH = 128

# Name of the head that tells apart the readings of the grid, and of its layer.
_GRID = "grid"
_MOST_STEPS = 1_000_000  # of an epoch, far from reached

CHECKPOINT = "checkpoint.npz"
"""File that a training which was stopped goes on from."""

TENSORBOARD = "tensorboard"
"""Folder beside the checkpoint with the curves of the training: `tensorboard --logdir` shows them."""


@dataclass(frozen=True)
class TrainingRecipe:
    """All that decides how a network is trained, besides the data; it stands in the manifest.

    Attributes:
        epochs: An epoch shows as many joints as the training set has, whatever the sampling.
        batch_size: Joints a step.
        learning_rate: At its highest, after the warm-up.
        schedule: `cosine`, it then falls to zero, or `constant`.
        warmup_steps: Steps over which the learning rate rises from zero, if it falls afterwards.
        weight_decay: Of AdamW, on kernels only; 0 makes it Adam.
        loss: A key of `scoring.networks.losses.LOSSES`.
        class_weights: Whether a joint's loss weighs the more, the rarer its grade, see `augment.class_weights`.
        average: Momentum of a running average of the weights, which is what is kept instead of the last ones; 0 for
            none. It looks back over an epoch at most: with fewer steps than that it would still hold the random start
            when training stops for want of a better epoch.
        balance: How much more often rare grades are shown, 0 as they are to 1 equally, see `dataset.sample_epoch`. A
            network that learns the grid of readings is told afterwards how often they occur, see `prior.prior_shift`.
        patience: Epochs without a better validation score after which training stops; frozen ones do not count.
        precision: Keras's policy while training. bfloat16 halves the memory traffic; weights stay float32. A processor
            without bfloat16 trains in float32, see `scoring.training.devices.precision_for`.
        frozen_epochs: Epochs in which the layers of a network that was trained before (InceptionV3) stand still; then
            all are trained, with a fresh optimiser.
        rule: How grades are read from what the network gives.
        calibrated: Whether weights of the grades and interval are fitted to the validation joints afterwards, see
            `scoring.training.evaluation.calibration.calibrated_rule`.
        stretch: Whether the grey levels of each image are stretched to 0..1 first.
        augment_repeats_only: Whether a joint is augmented only when it comes again within an epoch, as the copies that
            make rare grades as frequent as common ones.
        rotation: Largest rotation of the augmentation, in degrees.
        shear: Largest shear, in radians.
        zoom: Largest change of size, as a share.
        shift: Largest shift, as a share of the side.
        contrast: Largest change of contrast, as a share.
        brightness: Largest change of brightness, as a share of the grey range.
        mirror: Whether half of the images are mirrored left to right: an erosion counts the same on either side, and a
            right hand is a left hand mirrored.
        seed: Of the weights, the sampling, the augmentation and the dropout.
        architecture: A key of `scoring.networks.architecture.ARCHITECTURES`.
        arguments: Its arguments.
    """

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup_steps: int = 100
    weight_decay: float = 1e-4
    loss: str = "crps"
    class_weights: bool = False
    average: float = 0.0
    balance: float = 0.0
    patience: int = 5
    precision: str = "mixed_bfloat16"
    frozen_epochs: int = 0
    rule: ReadOutRule = USUAL_RULE
    calibrated: bool = False
    stretch: bool = False
    augment_repeats_only: bool = False
    rotation: float = 10.0
    shear: float = 0.0
    zoom: float = 0.10
    shift: float = 0.05
    contrast: float = 0.20
    brightness: float = 0.10
    mirror: bool = True
    seed: int = 0
    architecture: str = "erosion_cdf_network"
    arguments: dict[str, Any] = field(
        default_factory=lambda: {
            "side": 128,
            "filters": [32, 32, 64, 64, 128, 128],
            "dense": [512, 256],
            "dropout": 0.5,
        }
    )

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise InvalidRequest("a recipe needs at least 1 epoch and a batch of at least 2")
        if not 0 <= self.balance <= 1:
            raise InvalidRequest(f"balance is {self.balance}; it must lie between 0 (as they are) and 1 (equal)")
        if self.schedule not in {"cosine", "constant"}:
            raise InvalidRequest(f"schedule is {self.schedule!r}; it is 'cosine' or 'constant'")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingRecipe":
        """The recipe of a manifest, as JSON gives it back; what an older one does not know is as it was by default."""
        rule = values.get("rule")
        return cls(**{**values, "rule": USUAL_RULE if rule is None else ReadOutRule.from_dict(rule)})


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: mean loss of its steps, and `score`, which the best epoch is chosen by.

    The score is `accuracy_and_kappa` of the validation set (`scoring.training.evaluation.metrics.of_confusions`), with grades read
    as the model would read them if this were its last epoch; of equal scores the one with the lower CRPS is better.
    """

    epoch: int
    loss: float
    score: float
    validation: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """A trained network, holding the weights of its best epoch in float32, and how it got there."""

    network: Any
    history: list[Epoch]
    best_epoch: int
    precision: str


def train(
    recipe: TrainingRecipe,
    training: JointSet,
    validation: JointSet,
    *,
    start: Mapping[str, NDArray[np.floating[Any]]] | None = None,
    prior_readings: NDArray[np.float32] | None = None,
    work_dir: Path | None = None,
    progress: Progress = no_progress,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a network and keep the weights of its best epoch.

    Everything random is drawn from the recipe's seed and the number of the epoch, so a run that was stopped and resumed
    takes the same steps as one that was not. Where several GPUs are visible, they share every batch
    (`scoring.training.devices.strategy_for`).

    Args:
        recipe: How.
        training: What the network learns from.
        validation: What the best epoch is chosen by; other patients.
        start: Weights of a network of the same architecture to go on from (fine-tuning); None begins with fresh ones.
        prior_readings: Readings as they occur, per cent, if those of the training set were enriched; None: those are.
        work_dir: Where a checkpoint is kept after each epoch, and the curves for TensorBoard. If it holds a checkpoint
            of the same recipe and data, training goes on from there.
        progress: Called during training.
        on_epoch: Called after each epoch.

    Raises:
        InvalidRequest: A set is too small, a patient is in both, the weights to start from do not fit, or the
            checkpoint is of another recipe, start or data.
        TrainingDiverged: The loss became NaN or infinite.
    """
    _check(recipe, training, validation)
    from scoring.inference.openvino_engine import cpu_computes_bfloat16
    from scoring.training.devices import precision_for, strategy_for, visible_gpus

    gpus = visible_gpus()
    strategy = strategy_for(gpus, recipe.batch_size)
    precision = precision_for(recipe.precision, n_gpus=len(gpus), cpu_has_bfloat16=cpu_computes_bfloat16())
    logger.info("training_begins joints=%d gpus=%d precision=%s", len(training), len(gpus), precision)
    with _policy(precision):
        with strategy.scope():
            run = _Run(recipe, training, validation, start, prior_readings, work_dir, strategy)
        while not run.finished:
            with strategy.scope():
                epoch = run.one_epoch(progress)
            logger.info(
                "epoch_done epoch=%d loss=%.5f score=%.4f crps=%.5f", epoch.epoch, epoch.loss, epoch.score,
                epoch.validation["crps"],
            )  # fmt: skip
            if on_epoch is not None:
                on_epoch(epoch)
    with _policy("float32"):
        network = run.best_network()
    return Trained(network, run.history, run.best_epoch, precision)


@contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Keras's policy for what is built within; the caller's is the caller's again afterwards."""
    import keras

    previous = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(previous)


def predict(network: Any, images: NDArray[np.uint8], *, stretched: bool = False) -> NDArray[np.float32]:
    """Raw distribution functions of a keras network, float32 `(n, 101)`, for images as uint8 `(n, side, side)`."""
    from scoring.training.augment import stretch

    parts = []
    for start in range(0, len(images), _PREDICT_BATCH):
        batch = _scale(images[start : start + _PREDICT_BATCH])
        given = np.asarray(network.predict_on_batch(stretch(batch) if stretched else batch))
        # A network that is mirrored on several GPUs gives each one's answers to the whole batch.
        parts.append(given[: len(batch)])
    return np.concatenate(parts).astype(np.float32)


def _scale(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def _check(recipe: TrainingRecipe, training: JointSet, validation: JointSet) -> None:
    if len(training) < recipe.batch_size or not len(validation):
        raise InvalidRequest(
            f"{len(training)} joints to train on and {len(validation)} to validate on: at least {recipe.batch_size} and"
            " 1 are needed; ask for more patients"
        )
    if shared := set(training.patient_id) & set(validation.patient_id):
        raise InvalidRequest(f"{len(shared)} patients are in the training set and in the validation set")


class _Run:
    """The state of one training run: what a checkpoint holds, and how an epoch changes it."""

    def __init__(  # noqa: PLR0917 - what `train` was given, in its order
        self,
        recipe: TrainingRecipe,
        training: JointSet,
        validation: JointSet,
        start: Mapping[str, NDArray[np.floating[Any]]] | None,
        prior_readings: NDArray[np.float32] | None,
        work_dir: Path | None,
        strategy: Any,
    ) -> None:
        import keras

        from scoring.networks.architecture import build
        from scoring.training.augment import EpochBatches

        self.recipe, self.training, self.validation = recipe, training, validation
        self.strategy = strategy
        self.steps_per_epoch = len(training) // recipe.batch_size
        self.history: list[Epoch] = []
        keras.utils.set_random_seed(recipe.seed)
        self.network = build(recipe.architecture, dict(recipe.arguments))
        self.shift = _prior_shift(recipe, training, prior_readings)
        if start is not None:
            self._start_from(start)
            # It answers as often as readings occur; here it learns from them as often as they are shown.
            self._move_grid(-1)
        self._compile(frozen=recipe.frozen_epochs > 0)
        self.batches = EpochBatches(recipe, training)
        self.best = self._weights()
        self.checkpoint = None if work_dir is None else work_dir / CHECKPOINT
        if self.checkpoint is not None:
            self.identity = _identity(recipe, training, validation, start, prior_readings)
            if self.checkpoint.exists():
                self._restore(self.checkpoint)

    def _start_from(self, start: Mapping[str, NDArray[np.floating[Any]]]) -> None:
        from scoring.networks.weights import set_weights

        try:
            set_weights(self.network, start)
        except ValueError as error:
            raise InvalidRequest(
                f"the model to start from is not a {self.recipe.architecture} like this: {error}"
            ) from error

    def _move_grid(self, sign: int) -> None:
        """Answer by the prior of what occurs (1), or of what is shown (-1), if the two differ."""
        if self.shift is not None:
            bias = self.network.get_layer(_GRID).bias
            bias.assign(bias + sign * self.shift)

    def _compile(self, *, frozen: bool) -> None:
        """Begin a phase: what stands still is only left out of training by compiling anew."""
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
        # Batch normalisation makes the scale of what precedes it irrelevant; decaying its own parameters and the biases
        # only biases them.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        # XLA would have to compile first and makes no step faster on a CPU: tests/benchmarks/test_training.py.
        self.network.compile(optimizer, loss=LOSSES[recipe.loss], jit_compile=False)
        optimizer.build(self.network.trainable_variables)
        if self.strategy.num_replicas_in_sync > 1:
            self._build_loss()
        self.frozen = frozen

    def _build_loss(self) -> None:
        """Let Keras build its loss, which it does by itself from the first batch, but cannot from a divided one."""
        n, shape = self.recipe.batch_size, self.network.input_shape[1:]
        nothing = np.zeros((n, *shape), np.float32), np.ones((n, N_POINTS), np.float32)
        self.network.evaluate(*nothing, sample_weight=np.ones(n, np.float32), batch_size=n, verbose=0)

    @property
    def finished(self) -> bool:
        if not self.history:
            return False
        epochs = len(self.history)
        # What the new layers come to on frozen ones says nothing about what all of them will.
        since = max(self.best_epoch, self.recipe.frozen_epochs)
        return epochs >= self.recipe.epochs or epochs - since >= self.recipe.patience

    def one_epoch(self, progress: Progress) -> Epoch:
        from scoring.networks.weights import set_weights

        number = len(self.history) + 1
        if self.frozen and number > self.recipe.frozen_epochs:
            self._compile(frozen=False)
        loss = self._fit_once(number, progress)
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss became {loss} in epoch {number}: look for damaged images or readings in the training set, or"
                f" train by another recipe than this one (learning rate {self.recipe.learning_rate})"
            )
        trained = self._weights()
        if self.recipe.average:
            self.network.optimizer.finalize_variable_values(self.network.trainable_variables)
        self._move_grid(1)
        cdf = predict(self.network, self.validation.images, stretched=self.recipe.stretch)
        # As the model will read grades: of a rule that it never uses the best epoch is another one.
        rule = calibrated_rule(cdf, self.validation.reading) if self.recipe.calibrated else self.recipe.rule
        measures = metrics.evaluate(cdf, self.validation.reading, rule)
        epoch = Epoch(number, loss, measures["accuracy_and_kappa"], measures)
        self.history.append(epoch)
        if self.best_epoch == number:
            self.best = self._weights()
        if self.recipe.average or self.shift is not None:
            set_weights(self.network, trained)
        if self.checkpoint is not None:
            self._save(self.checkpoint)
            _log_curves(self.checkpoint.parent / TENSORBOARD, epoch)
        return epoch

    def best_network(self) -> Any:
        """A network with the best epoch's weights, under the policy of the moment."""
        from scoring.networks.architecture import build
        from scoring.networks.weights import set_weights

        network = build(self.recipe.architecture, dict(self.recipe.arguments))
        set_weights(network, self.best)
        return network

    @property
    def best_epoch(self) -> int:
        return max(self.history, key=lambda epoch: (epoch.score, -epoch.validation["crps"])).epoch

    def _fit_once(self, number: int, progress: Progress) -> float:
        from scoring.training.devices import divided

        # A stream of its own for each layer and epoch, whatever was drawn before: else layers drop the same units.
        drawing = [layer for layer in self.network.layers if hasattr(layer, "seed_generator")]
        for i, layer in enumerate(drawing):
            layer.seed_generator.state.assign([self.recipe.seed * len(drawing) + i, number * _MOST_STEPS])
        rng = np.random.default_rng([self.recipe.seed, number])
        order = sample_epoch(self.training.grades, self.recipe.balance, rng)
        losses = []
        done = (number - 1) * self.steps_per_epoch
        for step, batch in enumerate(self.batches.epoch(order, number), start=1):
            losses.append(self.network.train_on_batch(*divided(batch, self.strategy), return_dict=True)["loss"])
            if step % 10 == 0 or step == self.steps_per_epoch:
                progress("training", done + step, self.recipe.epochs * self.steps_per_epoch)
        return float(np.mean(losses))

    def _weights(self) -> dict[str, NDArray[np.float32]]:
        from scoring.networks.weights import get_weights

        return get_weights(self.network)

    def _save(self, path: Path) -> None:
        arrays = {f"now:{name}": values for name, values in self._weights().items()}
        arrays |= {f"best:{name}": values for name, values in self.best.items()}
        arrays |= {
            f"optimizer:{i}": np.asarray(variable) for i, variable in enumerate(self.network.optimizer.variables)
        }
        record = json.dumps({"identity": self.identity, "history": [asdict(epoch) for epoch in self.history]})
        with atomic_write(path) as file:
            np.savez(file, allow_pickle=False, record=np.array(record), **arrays)

    def _restore(self, path: Path) -> None:
        from scoring.networks.weights import set_weights

        with np.load(path, allow_pickle=False) as stored:
            record = json.loads(str(stored["record"]))
            if record["identity"] != self.identity:
                raise InvalidRequest(
                    f"{path} is the checkpoint of another recipe or of other data; delete it or choose another folder"
                )
            arrays = {name: stored[name] for name in stored.files if name != "record"}
        self.history = [Epoch(**epoch) for epoch in record["history"]]
        if self.frozen and len(self.history) > self.recipe.frozen_epochs:
            self._compile(frozen=False)
        set_weights(self.network, {k.removeprefix("now:"): v for k, v in arrays.items() if k.startswith("now:")})
        self.best = {k.removeprefix("best:"): v for k, v in arrays.items() if k.startswith("best:")}
        for i, variable in enumerate(self.network.optimizer.variables):
            variable.assign(arrays[f"optimizer:{i}"])
        logger.info("training_resumed epochs_done=%d", len(self.history))


def _log_curves(folder: Path, epoch: Epoch) -> None:
    import tensorflow as tf

    with tf.summary.create_file_writer(str(folder)).as_default(step=epoch.epoch):
        tf.summary.scalar("loss", epoch.loss)
        for name, value in epoch.validation.items():
            tf.summary.scalar(f"validation/{name}", value)


def _learning_rate(recipe: TrainingRecipe, total: int) -> Any:
    import keras

    if recipe.schedule == "constant":
        return recipe.learning_rate
    warmup = min(recipe.warmup_steps, total // 2)
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, total)
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )


def _prior_shift(
    recipe: TrainingRecipe, training: JointSet, prior_readings: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    """What the logits of the grid are moved by before the network answers; None for other heads, as in the thesis."""
    if recipe.arguments.get("head") != _GRID or (recipe.balance == 0 and prior_readings is None):
        return None
    from scoring.training.prior import prior_shift, times_shown

    weight = times_shown(training.grades, recipe.balance)
    return prior_shift(training.reading, weight, training.reading if prior_readings is None else prior_readings)


def _identity(
    recipe: TrainingRecipe,
    training: JointSet,
    validation: JointSet,
    start: Mapping[str, NDArray[np.floating[Any]]] | None,
    prior_readings: NDArray[np.float32] | None,
) -> str:
    parts = [json.dumps(asdict(recipe), sort_keys=True), snapshot_sha256(training), snapshot_sha256(validation)]
    arrays = dict(start or {}) | ({} if prior_readings is None else {"prior_readings": prior_readings})
    for name, values in sorted(arrays.items()):
        parts += [name, hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
