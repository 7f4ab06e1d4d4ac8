"""Promotions and their reversal: which model the views show, and which one nightly runs score with."""

import pytest

from scoring.model_store.store import SHIPPED_VERSION
from tests.lib.history import BATCHES, OTHER, everything_of, frame, promote, rescore, run_batch, scalar, shown, values


def n_predictions(history, model):
    engine = history.engine
    return scalar(engine, "SELECT count(*) FROM scoring.joint_prediction WHERE model_version = :model", model=model)


@pytest.mark.slow
def test_promote_leaves_nightly_runs_to_the_champion_until_the_history_is_rescored(history):
    promote(history.site)
    run_batch(history.site, BATCHES[2])
    assert n_predictions(history, OTHER) == 0
    assert n_predictions(history, SHIPPED_VERSION) == history.n_images()


def test_promote_switches_at_once_if_every_image_has_a_prediction(rescored):
    site = rescored.site
    assert promote(site, SHIPPED_VERSION) is None
    assert shown(rescored) == everything_of(SHIPPED_VERSION)
    pairs = frame(
        rescored.analyst,
        "SELECT DISTINCT old_model, new_model, is_champion FROM analyst.model_comparison ORDER BY old_model",
    )
    assert pairs.to_numpy().tolist() == [[OTHER, SHIPPED_VERSION, True], [SHIPPED_VERSION, OTHER, False]]

    # And back again; but now a batch arrives that only the new champion scores.
    assert promote(site) is None
    run_batch(site, BATCHES[2])
    assert n_predictions(rescored, OTHER) == rescored.n_images()
    assert n_predictions(rescored, SHIPPED_VERSION) == rescored.n_images(2)
    assert promote(site, SHIPPED_VERSION) == OTHER
    assert shown(rescored) == everything_of(OTHER)
    assert rescore(site)["scored"] == rescored.batches[2].n_images
    assert shown(rescored) == everything_of(SHIPPED_VERSION)


def test_promote_takes_back_a_promotion_before_the_history_is_rescored(history):
    promote(history.site)
    assert promote(history.site, SHIPPED_VERSION) is None
    assert "promoted" not in values(history)
    assert rescore(history.site)["planned"] == 0
    assert n_predictions(history, OTHER) == 0
