from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoring.phantom.difficulty import LIFELIKE, PLAIN, Difficulty
from scoring.phantom.readers import N_READERS, read_erosion, read_radiograph, reader_bias

radiographs = st.lists(st.floats(0, 100), min_size=1, max_size=20)
difficulties = st.sampled_from([PLAIN, LIFELIKE, replace(LIFELIKE, name="confused", copied=0.3, blunders=0.3)])


@given(radiographs, st.integers(0, 1000), difficulties)
def test_read_radiograph_returns_multiples_of_5_from_0_to_100(
    truth: list[float], seed: int, difficulty: Difficulty
) -> None:
    read = read_radiograph(np.array(truth), np.random.default_rng(seed), seed, "2.25.1", difficulty)
    assert ((read >= 0) & (read <= 100) & (read % 5 == 0)).all()


@given(radiographs, st.integers(0, 1000))
def test_read_radiograph_uses_equally_many_random_numbers_at_any_difficulty(truth: list[float], seed: int) -> None:
    after = []
    for difficulty in (PLAIN, LIFELIKE):
        rng = np.random.default_rng(seed)
        read_radiograph(np.array(truth), rng, seed, "2.25.1", difficulty)
        after.append(rng.random())
    assert after[0] == after[1]


def test_read_erosion_errs_least_at_0_and_100_percent() -> None:
    rng = np.random.default_rng(1)
    spread = [read_erosion(np.full(4000, percent), rng).std() for percent in (0.0, 50.0, 100.0)]
    assert spread[1] > 3 * max(spread[0], spread[2])


def test_read_radiograph_with_halo_shifts_readings_towards_the_mean() -> None:
    def mean_reading(others: float, halo: float) -> float:
        truth = np.array([30.0] + [others] * 9)
        difficulty = replace(PLAIN, name="halo", halo=halo)
        rng = np.random.default_rng(1)
        return float(np.mean([read_radiograph(truth, rng, 1, str(n), difficulty)[0] for n in range(400)]))

    assert mean_reading(90, 0.2) - mean_reading(0, 0.2) > 10
    assert abs(mean_reading(90, 0.0) - mean_reading(0, 0.0)) < 2


def test_read_radiograph_overlooks_small_erosions_only() -> None:
    difficulty = replace(PLAIN, name="overlooking", overlooked=5.0)

    def zeros(percent: float) -> float:
        rng = np.random.default_rng(1)
        return float(
            np.mean([read_radiograph(np.full(10, percent), rng, 1, str(n), difficulty) == 0 for n in range(200)])
        )

    assert 0.25 < zeros(6) < 0.6
    assert zeros(40) < 0.01


def _readings(truth: list[float], **parameters: float) -> np.ndarray:
    difficulty = replace(PLAIN, name="confused", **parameters)
    rng = np.random.default_rng(1)
    return np.array(
        [read_radiograph(np.array(truth), rng, 1, str(radiograph), difficulty) for radiograph in range(600)]
    )


def test_read_radiograph_copies_readings_within_the_radiograph() -> None:
    half_destroyed = [0.0] * 5 + [100.0] * 5
    clear, copied = _readings(half_destroyed), _readings(half_destroyed, copied=0.4)
    assert (clear[:, :5] > 80).mean() == 0
    assert 0.15 < (copied[:, :5] > 80).mean() < 0.25
    assert (_readings([0.0] * 10, copied=0.4) == _readings([0.0] * 10)).mean() > 0.95


def test_read_radiograph_blunders_do_not_depend_on_the_joint() -> None:
    changed = _readings([0.0] * 10, blunders=0.2) != _readings([0.0] * 10)
    assert 0.15 < changed.mean() < 0.25
    blunders = _readings([0.0] * 10, blunders=0.2)[changed]
    assert 40 < blunders.mean() < 60
    assert (blunders % 5 == 0).all()


def test_reader_bias_is_constant_per_reader() -> None:
    biases = [reader_bias(1, str(radiograph), LIFELIKE) for radiograph in range(400)]
    assert len(set(biases)) == N_READERS
    assert 0.4 * LIFELIKE.reader_bias < np.std(biases) < 1.6 * LIFELIKE.reader_bias
    assert {reader_bias(1, str(radiograph), PLAIN) for radiograph in range(50)} == {0.0}
