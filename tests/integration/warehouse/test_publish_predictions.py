"""Publishing images, predictions and correlations, and reading them for the steps and the report of a run."""

from datetime import date

import pandas as pd
import pytest

from scoring.errors import BadInput
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish.analytics import publish_correlation
from scoring.warehouse.publish.predictions import PredictionCounts
from scoring.warehouse.queries import nightly, nightly_report, runs
from tests.lib.staged import (
    BATCH,
    MODEL,
    NEXT_BATCH,
    PREPROCESSING,
    RUN,
    SECOND_RUN,
    consultation,
    image,
    prediction,
    publish_images,
    publish_records,
)
from tests.lib.warehouse import rows


def test_publish_predictions_counts_an_image_without_prediction_as_missing(published):
    counts = publish_images(published, [image("1.2.3", "hand_left_3", "3" * 64)], [])
    assert counts == PredictionCounts(scored=0, already_scored=0, missing=1)


def test_publish_predictions_scores_an_image_in_two_batches_once(published):
    earlier = date(2026, 11, 20)
    seen = [image("1.2.3", "hand_left_3", "3" * 64), image("1.2.3", "hand_left_3", "3" * 64, earlier)]
    counts = publish_images(published, seen, [prediction(seen[0], 1.0)])
    assert counts == PredictionCounts(scored=1, already_scored=1, missing=0)
    assert rows(published, "SELECT batch_date FROM imaging.joint_image WHERE joint = 'hand_left_3'") == [(earlier,)]


@pytest.mark.parametrize(("sop_iuid", "sha256"), [("1.2.3", "9" * 64), ("1.2.9", "1" * 64)])
def test_publish_predictions_rejects_an_image_that_conflicts_with_a_published_one(published, sop_iuid, sha256):
    conflicting = image(sop_iuid, "hand_left_1", sha256, NEXT_BATCH)
    with pytest.raises(BadInput, match=r"Clear the task `validate`") as error:
        publish_images(published, [conflicting], [prediction(conflicting, 1.0)], SECOND_RUN)
    assert f"conflict: 2026-11-22/joints/{sop_iuid}_hand_left_1.jpg." in str(error.value)
    assert rows(published, "SELECT count(*) FROM imaging.joint_image") == [(2,)]


def test_run_facts_list_all_engines_of_the_shards(engine):
    publish_records(engine, [consultation("1")])
    seen = [image("f", "hand_left_1", "1" * 64), image("f", "hand_left_2", "2" * 64)]
    publish_images(engine, seen, [prediction(seen[0], 1.0), prediction(seen[1], 1.0, "tensorflow/float32")])
    assert rows(engine, "SELECT engine FROM scoring.joint_prediction ORDER BY joint") == [
        ("openvino/float32",),
        ("tensorflow/float32",),
    ]
    with transaction(engine) as connection:
        assert runs.run_facts(connection, RUN).engine == "openvino/float32, tensorflow/float32"


# ---- queries of the nightly run


def test_nightly_queries_find_what_is_published(published):
    found = nightly.known_images(published, ["1.2.3", "9.9"])
    assert found.to_dict("records") == [{"sop_iuid": "1.2.3", "joint": "hand_left_1", "image_sha256": "1" * 64}]
    assert list(nightly.known_images(published, (), ["2" * 64])["sop_iuid"]) == ["1.2.4"]
    assert list(nightly.known_images(published, ["1.2.3"], ["2" * 64])["sop_iuid"]) == ["1.2.3", "1.2.4"]
    assert nightly.known_images(published, []).empty
    radiographs = nightly.known_radiographs(published, ["1.2.3", "9.9"])
    assert radiographs.to_dict("records") == [{"sop_iuid": "1.2.3", "patient_id": "00123"}]
    with transaction(published) as connection:
        assert nightly.already_scored(connection, ["1" * 64, "9" * 64], MODEL, PREPROCESSING) == {"1" * 64}
        assert nightly.already_scored(connection, ["1" * 64], MODEL, "other") == set()
    file = "2026-11-21/joints/1.2.3_hand_left_1.jpg"
    keys = [(file, "1" * 64), (file, "2" * 64), (file.replace("21", "20"), "1" * 64)]
    assert nightly.settled_files(published, keys) == {(file, "1" * 64)}


def test_nightly_report_queries_find_grades_and_severe_and_uncertain_joints(published):
    with transaction(published) as connection:
        grades = nightly_report.grade_distribution(connection, n_batches=7)
        assert grades[["predicted_grade", "n", "share"]].to_numpy().tolist() == [[1, 1, 0.5], [2, 1, 0.5]]
        assert nightly_report.grade_distribution(connection, n_batches=7, until=date(2020, 1, 1)).empty
        severe = nightly_report.most_severe_joints(connection, BATCH, 1)
        assert severe["image_uri"].tolist() == ["landing/2026-11-21/joints/1.2.3_hand_left_1.jpg"]
        uncertain = nightly_report.most_uncertain_joints(connection, BATCH, 5)
        assert uncertain["interval_width"].tolist() == [10.0, 7.0]


# ---- correlations


def correlation(**values: object) -> dict[str, object]:
    row = {"damage": "reported_rau", "activity": "das28_esr4", "method": "pearson", "confidence": 0.95}
    return row | {"estimate": 0.15, "ci_low": 0.1, "ci_high": 0.2, "n_visits": 200, "n_patients": 100} | values


def test_publish_correlation_keeps_one_row_per_date_and_model(engine):
    frame = pd.DataFrame([correlation()])
    with transaction(engine) as connection:
        assert publish_correlation(connection, BATCH, MODEL, RUN, frame) == UpsertCounts(new=1)
        assert publish_correlation(connection, BATCH, MODEL, SECOND_RUN, frame) == UpsertCounts(unchanged=1)
        table = nightly_report.correlation_table(connection, BATCH, MODEL)
    assert table["estimate"].tolist() == [0.15]
    assert table["trained_on_synthetic"].tolist() == [True]


def test_correlation_view_suppresses_figures_of_fewer_than_5_patients(engine):
    few = correlation(n_visits=9, n_patients=4)
    frame = pd.DataFrame([few, few | {"method": "kendall", "n_patients": 5}])
    with transaction(engine) as connection:
        publish_correlation(connection, BATCH, MODEL, RUN, frame)
    assert rows(
        engine,
        "SELECT method, estimate, ci_low, ci_high, n_visits, n_patients, suppressed FROM analyst.correlation"
        " ORDER BY method",
    ) == [("kendall", 0.15, 0.1, 0.2, 9, 5, False), ("pearson", None, None, None, None, None, True)]
