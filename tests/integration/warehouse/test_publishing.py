"""From accepted frames to tables: what a night writes, and that writing it again changes nothing."""

import hashlib
import itertools
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from scoring.clinical import das28, ratingen
from scoring.errors import BadInput, InvalidRequest, ModelRejected
from scoring.settings import sql_dir
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import (
    association,
    correlation,
    forecast,
    predictions,
    promotions,
    registry,
    rescoring,
    runs,
)
from scoring.warehouse.queries import images, nightly_report, runs

RUN = UUID(int=1)
SECOND_RUN = UUID(int=2)
NIGHT = date(2026, 11, 21)
MANIFEST = {
    "version": "test-1",
    "architecture": "cdf-regressor",
    "input_side": 128,
    "preprocessing_version": "grey128-v1",
    "files": {"weights.npz": {"sha256": "a" * 64}},
    "trained_on_synthetic": True,
    "metrics": {"qwk": 0.7},
}


@pytest.fixture
def engine(warehouse) -> Engine:
    engine = warehouse.engine()
    promotions.register_model(engine, MANIFEST)
    promotions.promote(engine, "test-1", "a steward", "first model")
    for run_id in (RUN, SECOND_RUN):
        open_run(engine, run_id)
    return engine


def open_run(engine: Engine, run_id: UUID) -> bool:
    return runs.open_run(
        engine, run_id, NIGHT, trigger="cli", triggered_by="tester", code_revision="abc", model_version="test-1"
    )


def consultation(
    id_x: str, patient_id: str, sop_iuid: str, *, folder: date = NIGHT, row: int = 2, rau: float = np.nan, read_on=None
) -> dict[str, object]:
    file = f"{folder}/consultations.csv"
    return {
        "source_file": file,
        "row_number": row,
        "batch_date": folder,
        "row_key": f"{file}:{row}",
        "id_x": id_x,
        "patient_id": patient_id,
        "date_x": date(2020, 1, 1),
        "date_y": read_on or date(2020, 2, 1),
        "sop_iuid": sop_iuid,
        "body_part": "HAND_LEFT",
        "rau_score": rau,
    }


def reading(of: dict[str, object], joint: str, percent: float) -> dict[str, object]:
    kept = {name: of[name] for name in ("source_file", "row_number", "batch_date", "id_x", "patient_id", "sop_iuid")}
    return kept | {"row_key": f"{of['row_key']}:{joint}", "joint": joint, "reading_percent": percent}


def activity(patient_id: str, *, folder: date = NIGHT, row: int = 2, **measures: float) -> dict[str, object]:
    file = f"{folder}/disease_activity.csv"
    names = (
        "physician_global_disease_activity",
        "global_patient_estimate_disease_activity",
        "das28bsr_score",
        "das283crp_score",
        "swollen_28",
        "tender_28",
        "esr",
        "crp",
    )
    return {
        "source_file": file,
        "row_number": row,
        "batch_date": folder,
        "row_key": f"{file}:{row}",
        "patient_id": patient_id,
        "date": date(2020, 1, 1),
    } | {name: measures.get(name, np.nan) for name in names}


def image(sop_iuid: str, joint: str, sha256: str, folder: date = NIGHT) -> dict[str, object]:
    name = f"{sop_iuid}_{joint}.jpg"
    return {
        "source_file": f"{folder}/joints/{name}",
        "row_number": 0,
        "batch_date": folder,
        "row_key": f"{folder}/joints/{name}",
        "file_name": name,
        "uri": f"landing/{folder}/joints/{name}",
        "size_bytes": 4000,
        "sha256": sha256,
        "sop_iuid": sop_iuid,
        "joint": joint,
        "color_space": "Gray",
        "width": 150,
        "height": 150,
        "brightness": 90.5,
        "contrast": 30.25,
    }


def prediction(of: dict[str, object], mean: float) -> dict[str, object]:
    return {
        "image_sha256": of["sha256"],
        "sop_iuid": of["sop_iuid"],
        "joint": of["joint"],
        "predicted_percent": np.float32(mean),
        "predicted_median": np.float32(mean),
        "predicted_q05": np.float32(max(mean - 5, 0)),
        "predicted_q95": np.float32(mean + 5),
        "predicted_grade": int(ratingen.grade(mean)),
        "grade_probability": np.array([0.1, 0.5, 0.2, 0.1, 0.05, 0.05], dtype=np.float32),
        "engine": "openvino/float32",
    }


def prediction_run(run_id: UUID = RUN) -> predictions.PredictionRun:
    return predictions.PredictionRun(run_id, NIGHT, "test-1", "grey128-v1", "abc")


def publish_night(engine: Engine, run_id: UUID = RUN) -> tuple[dict[str, UpsertCounts], predictions.PredictionCounts]:
    consulted = [
        consultation("1", "00123", "1.2.3", row=2, rau=10.0),
        consultation("2", "00123", "1.2.3", row=3, rau=12.0, read_on=date(2021, 5, 1)),
        consultation("3", "00124", "1.2.4", row=4),
    ]
    read = [
        reading(consulted[0], "hand_left_1", 20.0),
        reading(consulted[1], "hand_left_1", 25.0),
        reading(consulted[2], "hand_left_2", 0.0),
    ]
    active = [
        activity("00123", das28bsr_score=4.2, swollen_28=4.0, tender_28=9.0, esr=20.0, crp=8.0),
        activity("00124", row=3, swollen_28=4.0, tender_28=9.0, esr=20.0, global_patient_estimate_disease_activity=50),
    ]
    seen = [image("1.2.3", "hand_left_1", "1" * 64), image("1.2.4", "hand_left_2", "2" * 64)]
    with transaction(engine) as connection:
        runs.publish_lock(connection)
        counts = registry.publish_registry(
            connection, run_id, pd.DataFrame(consulted), pd.DataFrame(read), pd.DataFrame(active), pd.DataFrame(read)
        )
        scored = predictions.publish_predictions(
            connection,
            prediction_run(run_id),
            pd.DataFrame(seen),
            pd.DataFrame([prediction(seen[0], 30.0), prediction(seen[1], 2.0)]),
        )
        joints = predictions.radiograph_predictions(connection, "test-1", "grey128-v1", ["1.2.3", "1.2.4"])
        predictions.publish_rau(connection, prediction_run(run_id), rau_of(joints))
    return counts, scored


def rau_of(joints: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (patient_id, visit_date), visit in joints.groupby(["patient_id", "visit_date"]):
        rau = float(visit["predicted_grade"].sum() * 38 / len(visit))
        for scope, sop_iuid in (
            ("visit", ""),
            *(("radiograph", radiograph) for radiograph in sorted(set(visit["sop_iuid"]))),
        ):
            rows.append(
                {
                    "scope": scope,
                    "patient_id": patient_id,
                    "visit_date": visit_date,
                    "sop_iuid": sop_iuid,
                    "rau_expected": rau,
                    "rau_median": rau,
                    "rau_q05": max(rau - 10, 0),
                    "rau_q95": rau + 10,
                    "rau_from_grades": rau,
                    "n_scored": len(visit),
                }
            )
    return pd.DataFrame(rows)


def rows(engine: Engine, query: str) -> list[tuple]:
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_a_night_is_written_and_counted(engine):
    counts, scored = publish_night(engine)
    assert counts == {
        "consultations": UpsertCounts(new=3),
        "readings": UpsertCounts(new=3),
        "disease_activity": UpsertCounts(new=2),
    }
    assert scored == predictions.PredictionCounts(scored=2, already_scored=0, missing=0)
    assert rows(engine, "SELECT sop_iuid, patient_id FROM registry.radiograph ORDER BY 1") == [
        ("1.2.3", "00123"),
        ("1.2.4", "00124"),
    ]


def test_the_same_night_again_changes_no_row(engine):
    publish_night(engine)
    before = correlation.digest(engine)
    counts, scored = publish_night(engine, SECOND_RUN)
    assert counts == {
        "consultations": UpsertCounts(unchanged=3),
        "readings": UpsertCounts(unchanged=3),
        "disease_activity": UpsertCounts(unchanged=2),
    }
    assert scored == predictions.PredictionCounts(scored=0, already_scored=2, missing=0)
    assert correlation.digest(engine) == before
    assert before["registry.consultation"][0] == 3


def test_digest_sees_a_single_changed_value(engine, warehouse):
    publish_night(engine)
    before = correlation.digest(engine)
    with transaction(warehouse.engine(warehouse.owner_url)) as connection:
        connection.execute(sa.text("UPDATE registry.consultation SET row_number = 99 WHERE id_x = '1'"))
    after = correlation.digest(engine)
    assert [table for table in before if before[table] != after[table]] == ["registry.consultation"]


def test_das28_is_computed_where_all_components_are_there(engine):
    publish_night(engine)
    (first, second) = rows(
        engine,
        "SELECT das28_esr4, das28_esr3, das28_crp4, das28_crp3 FROM registry.disease_activity ORDER BY patient_id",
    )
    assert first == (
        None,
        pytest.approx(das28.das28_esr(9, 4, 20)),
        None,
        pytest.approx(das28.das28_crp(9, 4, 8)),
    )
    assert second == (
        pytest.approx(das28.das28_esr(9, 4, 20, 50)),
        pytest.approx(das28.das28_esr(9, 4, 20)),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("column", "largest"),
    [
        ("das28_esr_reported", das28.MAX_DAS28),
        ("das28_crp3_reported", das28.MAX_DAS28),
        ("esr", das28.MAX_ESR),
        ("crp", das28.MAX_CRP),
        ("patient_global", das28.MAX_PATIENT_GLOBAL),
        ("swollen_28", das28.N_JOINTS),
        ("tender_28", das28.N_JOINTS),
    ],
)
def test_the_tables_hold_what_the_formulae_take(engine, column, largest):
    insert = sa.text(
        f"INSERT INTO registry.disease_activity (patient_id, visit_date, {column}, batch_date, first_batch_date,"  # noqa: S608 - names of this module
        " run_id, source_file, row_number) VALUES ('p', '2020-01-01', :value, :night, :night, :run_id, 'x.csv', 2)"
        f" ON CONFLICT (patient_id, visit_date) DO UPDATE SET {column} = excluded.{column}"
    )
    with transaction(engine) as connection:
        for value in (0, largest):
            connection.execute(insert, {"value": value, "night": NIGHT, "run_id": str(RUN)})
    for value in (-0.01, largest + 0.01):
        with pytest.raises(sa.exc.IntegrityError, match=f"disease_activity_{column}_check"), transaction(engine) as c:
            c.execute(insert, {"value": value, "night": NIGHT, "run_id": str(RUN)})


def test_a_value_outside_its_range_is_refused_without_repeating_it(engine):
    wrong = pd.DataFrame([consultation("id-77", "patient-55", "f", rau=4711.0)])
    read = pd.DataFrame([reading(wrong.iloc[0], "hand_left_1", 1.0)])
    with pytest.raises(BadInput, match=r"registry\.consultation.*check_violation \(23514\)") as refused:
        publish(engine, wrong, read)
    shown = "".join(traceback.format_exception(refused.value))
    assert "consultation_reported_rau_check" in shown
    assert not [value for value in ("4711", "id-77", "patient-55", "DETAIL") if value in shown]


def test_a_text_that_fits_no_index_is_refused_without_repeating_it(engine):
    # Compressed it would fit.
    long = hashlib.shake_256(b"long").hexdigest(10_000)
    wrong = pd.DataFrame([consultation("1", "p", long)])
    with pytest.raises(BadInput, match=r"registry\.radiograph: program_limit_exceeded \(54000\)") as refused:
        publish(engine, wrong, pd.DataFrame([reading(wrong.iloc[0], "hand_left_1", 1.0)])[:0])
    assert long[:20] not in "".join(traceback.format_exception(refused.value))


def publish(engine: Engine, consulted: pd.DataFrame, read: pd.DataFrame, landed: pd.DataFrame | None = None) -> None:
    """A late or corrected consultations.csv, as its night publishes it."""
    with transaction(engine) as connection:
        registry.publish_registry(
            connection,
            RUN,
            consulted,
            read,
            pd.DataFrame([activity("p")])[:0],
            read if landed is None else landed,
        )
        radiographs = sorted(set(consulted["sop_iuid"]))
        joints = predictions.radiograph_predictions(connection, "test-1", "grey128-v1", radiographs)
        if len(joints):
            predictions.publish_rau(connection, prediction_run(), rau_of(joints))


def test_an_image_without_prediction_is_counted_as_missing(engine):
    publish_night(engine)
    seen = pd.DataFrame([image("1.2.3", "hand_left_3", "3" * 64)])
    with transaction(engine) as connection:
        counts = predictions.publish_predictions(
            connection, prediction_run(), seen, pd.DataFrame([prediction(seen.iloc[0], 1.0)])[:0]
        )
    assert counts == predictions.PredictionCounts(scored=0, already_scored=0, missing=1)


def test_an_image_from_two_folders_is_scored_once(engine):
    publish_night(engine)
    seen = [image("1.2.3", "hand_left_3", "3" * 64), image("1.2.3", "hand_left_3", "3" * 64, date(2026, 11, 20))]
    with transaction(engine) as connection:
        counts = predictions.publish_predictions(
            connection, prediction_run(), pd.DataFrame(seen), pd.DataFrame([prediction(seen[0], 1.0)])
        )
    assert counts == predictions.PredictionCounts(scored=1, already_scored=1, missing=0)
    assert rows(engine, "SELECT batch_date FROM imaging.joint_image WHERE joint = 'hand_left_3'") == [
        (date(2026, 11, 20),)
    ]


def test_what_is_known_can_be_asked(engine):
    publish_night(engine)
    assert images.known_images(engine, ["1.2.3", "9.9"]).to_dict("records") == [
        {"sop_iuid": "1.2.3", "joint": "hand_left_1", "image_sha256": "1" * 64}
    ]
    assert list(images.known_images(engine, (), ["2" * 64])["sop_iuid"]) == ["1.2.4"]
    assert images.already_scored(engine, ["1" * 64, "9" * 64], "test-1", "grey128-v1") == {"1" * 64}
    assert images.already_scored(engine, ["1" * 64], "test-1", "other") == set()
    assert registry.known_radiographs(engine, ["1.2.3", "9.9"]).to_dict("records") == [
        {"sop_iuid": "1.2.3", "patient_id": "00123"}
    ]
    assert images.known_images(engine, []).empty
    assert list(images.known_images(engine, ["1.2.3"], ["2" * 64])["sop_iuid"]) == ["1.2.3", "1.2.4"]
    place = "2026-11-21/joints/1.2.3_hand_left_1.jpg"
    keys = [(place, "1" * 64), (place, "2" * 64), (place.replace("21", "20"), "1" * 64)]
    assert images.settled_files(engine, keys) == {(place, "1" * 64)}


def test_a_table_file_is_remembered_by_its_content(engine):
    file = "2026-11-21/consultations.csv"
    with transaction(engine) as connection:
        assert registry.publish_landed_files(connection, RUN, {file: "a" * 64}) == UpsertCounts(new=1)
        assert registry.publish_landed_files(connection, SECOND_RUN, {file: "a" * 64}) == UpsertCounts(unchanged=1)
        assert registry.publish_landed_files(connection, SECOND_RUN, {}) == UpsertCounts()
        assert registry.landing_files(connection, [file, "other"]) == {file: "a" * 64}
    assert registry.landing_files(engine, [file]) == {file: "a" * 64}


def test_two_consultations_of_a_visit_are_one_visit_to_correlate(engine):
    publish_night(engine)
    visits = correlation.visits_for_correlation(engine, NIGHT, "test-1")
    assert list(visits["patient_id"]) == ["00123", "00124"]
    assert visits["reported_rau"].iloc[0] == 12.0  # by the later reading
    assert visits["predicted_rau"].tolist() == [76.0, 38.0]
    assert visits["das28_esr4"].tolist() == [4.2, pytest.approx(das28.das28_esr(9, 4, 20, 50))]
    assert np.isnan(visits["das28_crp4"]).all()
    assert correlation.visits_for_correlation(engine, date(2026, 11, 20), "test-1").empty


def test_correlations_are_kept_by_date_and_model(engine):
    frame = pd.DataFrame(
        [
            {
                "damage": "reported_rau",
                "activity": "das28_esr4",
                "method": "pearson",
                "estimate": 0.15,
                "ci_low": 0.1,
                "ci_high": 0.2,
                "confidence": 0.95,
                "n_visits": 200,
                "n_patients": 100,
            }
        ]
    )
    with transaction(engine) as connection:
        assert correlation.publish_correlation(connection, NIGHT, "test-1", RUN, frame) == UpsertCounts(new=1)
        assert correlation.publish_correlation(connection, NIGHT, "test-1", SECOND_RUN, frame) == UpsertCounts(
            unchanged=1
        )
    table = nightly_report.correlation_table(engine, NIGHT, "test-1")
    assert table["estimate"].tolist() == [0.15]
    assert table["trained_on_synthetic"].tolist() == [True]


def quarantined(rule: str = "images.decodes") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "dataset": "images",
                "row_key": "2026-11-21/joints/x.jpg",
                "record_id": None,
                "source_file": "2026-11-21/joints/x.jpg",
                "row_number": 0,
                "batch_date": NIGHT,
                "rule": rule,
                "severity": "critical",
                "kept": False,
                "reason": "The file ends before the image is complete.",
                "remedy": "Have the extractor write it again.",
                "content_sha256": None,
            }
        ]
    )


def test_last_nights_quarantine_is_what_its_runs_refused_whatever_ran_after_them(engine):
    with transaction(engine) as connection:
        late = quarantined().assign(batch_date=date(2026, 11, 19), row_key="late.jpg", source_file="late.jpg")
        registry.publish_quarantine(connection, RUN, pd.concat([quarantined(), late]))
    runs.open_run(
        engine,
        UUID(int=3),
        date(2026, 11, 30),
        trigger="cli",
        triggered_by="t",
        code_revision="abc",
        model_version="test-1",
        job="correlate",
    )
    query = (sql_dir() / "queries" / "quarantined_last_night.sql").read_text()
    assert {row[0] for row in rows(engine, query)} == {NIGHT, date(2026, 11, 19)}


def test_correlations_of_few_patients_are_not_shown(engine):
    row = {"damage": "reported_rau", "activity": "das28_esr4", "method": "pearson", "confidence": 0.95}
    frame = pd.DataFrame(
        [
            row | {"estimate": 0.5, "ci_low": 0.1, "ci_high": 0.8, "n_visits": 9, "n_patients": 4},
            row | {"estimate": 0.4, "ci_low": 0.2, "ci_high": 0.6, "n_visits": 9, "n_patients": 5, "method": "kendall"},
        ]
    )
    with transaction(engine) as connection:
        correlation.publish_correlation(connection, NIGHT, "test-1", RUN, frame)
    assert rows(
        engine,
        "SELECT method, estimate, ci_low, ci_high, n_visits, n_patients, suppressed FROM analyst.correlation"
        " ORDER BY method",
    ) == [("kendall", 0.4, 0.2, 0.6, 9, 5, False), ("pearson", None, None, None, None, None, True)]


def test_quarantine_opens_resolves_and_opens_again(engine):
    with transaction(engine) as connection:
        assert registry.publish_quarantine(connection, RUN, quarantined()) == UpsertCounts(new=1)
    before = correlation.digest(engine)
    with transaction(engine) as connection:
        assert registry.publish_quarantine(connection, SECOND_RUN, quarantined()) == UpsertCounts(unchanged=1)
    assert correlation.digest(engine) == before
    assert len(nightly_report.quarantine_of_run(engine, SECOND_RUN)) == 1  # the second run's report shows it as well

    with transaction(engine) as connection:
        assert registry.resolve_quarantine(connection, SECOND_RUN, ["2026-11-21/joints/x.jpg", "other"], []) == 1
        assert registry.resolve_quarantine(connection, SECOND_RUN, ["2026-11-21/joints/x.jpg"], []) == 0
    assert rows(engine, "SELECT count(*) FROM analyst.quarantine_open") == [(0,)]

    with transaction(engine) as connection:
        assert registry.publish_quarantine(connection, SECOND_RUN, quarantined()) == UpsertCounts(updated=1)
    assert rows(engine, "SELECT run_id FROM analyst.quarantine_open") == [(SECOND_RUN,)]


def test_an_empty_night_is_written_as_nothing(engine):
    consulted = consultation("1", "p", "f")
    with transaction(engine) as connection:
        counts = registry.publish_registry(
            connection,
            RUN,
            pd.DataFrame([consulted])[:0],
            pd.DataFrame([reading(consulted, "hand_left_1", 1.0)])[:0],
            pd.DataFrame([activity("p")])[:0],
            pd.DataFrame([reading(consulted, "hand_left_1", 1.0)])[:0],
        )
        registry.publish_quarantine(connection, RUN, quarantined()[:0])
        seen = image("f", "hand_left_1", "1" * 64)
        scored = predictions.publish_predictions(
            connection, prediction_run(), pd.DataFrame([seen])[:0], pd.DataFrame([prediction(seen, 1.0)])[:0]
        )
    assert set(counts.values()) == {UpsertCounts()}
    assert scored == predictions.PredictionCounts(0, 0, 0)


def test_the_same_consultation_twice_in_one_folder_is_refused(engine):
    twice = pd.DataFrame([consultation("1", "p", "f", row=2), consultation("1", "p", "f", row=3)])
    none_read = pd.DataFrame([reading(consultation("1", "p", "f"), "hand_left_1", 1.0)])[:0]
    with pytest.raises(BadInput, match=r"registry\.consultation repeat the key \(id_x\)"), transaction(engine) as c:
        registry.publish_registry(c, RUN, twice, none_read, pd.DataFrame([activity("p")])[:0], none_read)
    assert rows(engine, "SELECT count(*) FROM registry.radiograph") == [(0,)]


def test_a_model_version_keeps_its_weights(engine):
    assert promotions.register_model(engine, MANIFEST) is False
    with pytest.raises(ModelRejected, match="needs a new version"):
        promotions.register_model(engine, MANIFEST | {"files": {"weights.npz": {"sha256": "b" * 64}}})
    with pytest.raises(ModelRejected, match="lacks 'architecture'"):
        promotions.register_model(engine, {name: MANIFEST[name] for name in MANIFEST if name != "architecture"})


def other_model(engine: Engine, version: str = "test-2") -> str:
    promotions.register_model(engine, MANIFEST | {"version": version, "files": {"weights.npz": {"sha256": "b" * 64}}})
    return version


def test_without_a_history_the_champion_is_the_last_promoted_model(engine):
    assert promotions.champion(engine)["version"] == "test-1"
    assert promotions.promote(engine, other_model(engine), "a steward", "better on held-out patients") is True
    assert promotions.promote(engine, "test-2", "a steward", "again") is True
    assert rows(engine, "SELECT count(*) FROM scoring.promotion") == [(2,)]
    found = promotions.champion(engine)
    assert (found["version"], found["promoted_by"], found["trained_on_synthetic"]) == ("test-2", "a steward", True)
    with pytest.raises(InvalidRequest, match="not registered"):
        promotions.promote(engine, "test-3", "a steward", "why not")


def test_the_views_keep_the_champion_until_the_history_of_the_promoted_model_is_complete(engine):
    publish_night(engine)
    assert promotions.promote(engine, other_model(engine), "a steward", "better") is False
    assert promotions.promote(engine, "test-2", "a steward", "again") is False
    assert (promotions.champion(engine)["version"], promotions.promoted(engine)["version"]) == ("test-1", "test-2")
    assert rows(engine, "SELECT DISTINCT model_version FROM analyst.current_joint_prediction") == [("test-1",)]
    with transaction(engine) as connection:
        assert rescoring.n_waiting(connection, "test-2") == 2
        promotions.activate(connection, "test-2", run_id=RUN, n_missing=2)
    assert rows(engine, "SELECT model_version, n_missing FROM analyst.champion") == [("test-2", 2)]
    assert rows(engine, "SELECT count(*) FROM analyst.current_joint_prediction") == [(0,)]
    assert rows(engine, "SELECT count(*), bool_or(is_champion) FROM analyst.lineage") == [(2, False)]


def test_of_two_promotions_at_once_the_last_one_counts(warehouse, engine):
    versions = [other_model(engine, f"test-{number}") for number in range(2, 6)]
    with ThreadPoolExecutor(len(versions)) as pool:
        assert all(
            pool.map(lambda version: promotions.promote(warehouse.engine(), version, "a steward", "x"), versions)
        )
    assert promotions.champion(engine) == promotions.promoted(engine)
    assert rows(engine, "SELECT count(*) FROM scoring.activation") == [(5,)]


def test_an_activation_of_a_model_that_is_not_promoted_is_refused(engine):
    other_model(engine)
    with (
        pytest.raises(InvalidRequest, match="test-2 is not the promoted model any more, test-1 is"),
        transaction(engine) as connection,
    ):
        promotions.activate(connection, "test-2", run_id=None, n_missing=0)


@pytest.mark.parametrize("lacking", ["image", "rau", "correlation"])
def test_a_model_that_lacks_anything_of_the_history_waits(engine, lacking):
    publish_night(engine)
    promotions.promote(engine, other_model(engine), "a steward", "better")
    publish_correlation(engine, "test-1")
    run = predictions.PredictionRun(RUN, NIGHT, "test-2", "grey128-v1", "abc")
    with transaction(engine) as connection:
        (planned,) = rescoring.waiting_images(connection, "test-2", rows_per_frame=10)
        seen = [row | {"sha256": row["image_sha256"]} for row in planned.to_dict("records")]
        given = pd.DataFrame([prediction(row, 5.0) for row in seen[: 1 if lacking == "image" else 2]])
        counts = rescoring.publish_shard(connection, run, planned, given, {})
        joints = predictions.radiograph_predictions(connection, "test-2", "grey128-v1", list(planned["sop_iuid"]))
        predictions.publish_rau(connection, run, rau_of(joints if lacking != "rau" else joints[:1]))
    if lacking != "correlation":
        publish_correlation(engine, "test-2")
    assert counts == rescoring.ShardCounts(2, len(given), 0, 0)
    with transaction(engine) as connection:
        assert not rescoring.is_complete(connection, "test-2")
        assert rescoring.is_complete(connection, "test-1")
        assert rescoring.n_waiting(connection, "test-2") == (1 if lacking == "image" else 0)
        assert rescoring.radiographs_without_rau(connection, "test-2") == (["1.2.4"] if lacking == "rau" else [])
        assert rescoring.dates_without_correlation(connection, "test-2") == (
            [NIGHT] if lacking == "correlation" else []
        )


def publish_correlation(engine: Engine, model_version: str) -> None:
    frame = pd.DataFrame(
        {
            "damage": ["predicted_rau"],
            "activity": ["das28_crp3"],
            "method": ["spearman"],
            "estimate": [0.1],
            "ci_low": [0.0],
            "ci_high": [0.2],
            "confidence": [0.95],
            "n_visits": [2],
            "n_patients": [2],
        }
    )
    with transaction(engine) as connection:
        correlation.publish_correlation(connection, NIGHT, model_version, RUN, frame)


def test_frames_of_waiting_images_follow_each_other_without_a_gap(engine):
    publish_night(engine)
    other_model(engine)
    with transaction(engine) as connection:
        frames = list(rescoring.waiting_images(connection, "test-2", rows_per_frame=1))
    assert [list(frame["sop_iuid"]) for frame in frames] == [["1.2.3"], ["1.2.4"]]
    assert [list(frame["night"]) for frame in frames] == [[NIGHT], [NIGHT]]


def test_a_radiograph_that_moves_to_another_patient_leaves_its_old_rau_out_of_the_views(engine):
    publish_night(engine)
    moved = consultation("1", "00999", "1.2.3", folder=date(2026, 11, 22), row=2)
    with transaction(engine) as connection:
        registry.publish_registry(
            connection,
            RUN,
            pd.DataFrame([moved]),
            pd.DataFrame([reading(moved, "hand_left_1", 20.0)]),
            pd.DataFrame([activity("p")])[:0],
            pd.DataFrame([reading(moved, "hand_left_1", 20.0)]),
        )
    assert rows(engine, "SELECT patient_id, sop_iuid FROM analyst.rau_by_radiograph") == [("00124", "1.2.4")]
    assert rows(engine, "SELECT patient_id, rau_expected FROM analyst.rau_by_visit ORDER BY 1") == [
        ("00124", 38.0),
        ("00999", None),
    ]


def visits(engine: Engine) -> list[tuple]:
    return rows(
        engine,
        "SELECT patient_id, visit_date, n_radiographs, n_scored FROM analyst.rau_by_visit ORDER BY patient_id, visit_date",
    )


def radiographs(engine: Engine) -> list[tuple]:
    return rows(engine, "SELECT sop_iuid, visit_date FROM analyst.rau_by_radiograph ORDER BY sop_iuid")


NEXT = date(2026, 11, 22)
OLD_DATE, NEW_DATE = date(2020, 1, 1), date(2020, 3, 5)


def moved(sop_iuid: str, patient_id: str, id_x: str = "9") -> tuple[pd.DataFrame, pd.DataFrame]:
    corrected = consultation(id_x, patient_id, sop_iuid, folder=NEXT) | {"date_x": NEW_DATE}
    return pd.DataFrame([corrected]), pd.DataFrame([reading(corrected, "hand_left_9", 0.0)])


def test_a_radiograph_that_moves_alone_takes_its_rau_with_it(engine):
    publish_night(engine)
    publish(engine, *moved("1.2.3", "00123"))
    assert radiographs(engine) == [("1.2.3", NEW_DATE), ("1.2.4", OLD_DATE)]
    assert visits(engine) == [("00123", NEW_DATE, 1, 1), ("00124", OLD_DATE, 1, 1)]
    with transaction(engine) as connection:
        both = pd.DataFrame([activity("00123", esr=10), activity("00123", row=3, esr=10) | {"date": NEW_DATE}])
        none = pd.DataFrame([consultation("1", "p", "f")])[:0]
        read = pd.DataFrame([reading(consultation("1", "p", "f"), "x", 1.0)])[:0]
        registry.publish_registry(connection, RUN, none, read, both, read)
    correlated = correlation.visits_for_correlation(engine, NEXT, "test-1").set_index(["patient_id", "visit_date"])
    assert ("00123", OLD_DATE) not in correlated.index
    assert correlated.loc[("00123", NEW_DATE), "predicted_rau"] == 76.0


def second_radiograph(engine: Engine, *, scored: bool) -> None:
    """Another radiograph at the visit of 1.2.3."""
    consulted = pd.DataFrame([consultation("5", "00123", "1.2.5", row=6)])
    publish(engine, consulted, pd.DataFrame([reading(consulted.iloc[0], "hand_left_3", 1.0)]))
    if scored:
        seen = image("1.2.5", "hand_left_3", "5" * 64)
        with transaction(engine) as connection:
            predictions.publish_predictions(
                connection, prediction_run(), pd.DataFrame([seen]), pd.DataFrame([prediction(seen, 50.0)])
            )
            joints = predictions.radiograph_predictions(connection, "test-1", "grey128-v1", ["1.2.5"])
            predictions.publish_rau(connection, prediction_run(), rau_of(joints))


def test_a_radiograph_that_moves_leaves_a_rau_of_what_stays(engine):
    publish_night(engine)
    second_radiograph(engine, scored=True)
    assert visits(engine)[0] == ("00123", OLD_DATE, 2, 2)
    publish(engine, *moved("1.2.3", "00123"))
    assert radiographs(engine) == [("1.2.3", NEW_DATE), ("1.2.4", OLD_DATE), ("1.2.5", OLD_DATE)]
    assert visits(engine)[:2] == [("00123", OLD_DATE, 1, 1), ("00123", NEW_DATE, 1, 1)]
    # Grade 3 of the radiograph that stayed alone: without the grade 2 of the one that went.
    assert rows(engine, "SELECT rau_expected FROM analyst.rau_by_visit WHERE visit_date = '2020-01-01'")[0] == (114.0,)
    before = correlation.digest(engine)
    publish(engine, *moved("1.2.3", "00123"))
    assert correlation.digest(engine) == before


def test_a_radiograph_that_moves_leaves_no_rau_where_nothing_else_was_scored(engine):
    publish_night(engine)
    second_radiograph(engine, scored=False)
    publish(engine, *moved("1.2.3", "00123"))
    assert visits(engine)[:2] == [("00123", OLD_DATE, 1, None), ("00123", NEW_DATE, 1, 1)]


def deliver(engine: Engine, folder: date, esr: float, rau: float, percent: float, **measures: float) -> None:
    """The same records in the export of another day, with other values."""
    consulted = consultation("1", "p", "f", folder=folder, rau=rau)
    read = pd.DataFrame([reading(consulted, "hand_left_1", percent)])
    with transaction(engine) as connection:
        registry.publish_registry(
            connection,
            RUN,
            pd.DataFrame([consulted]),
            read,
            pd.DataFrame([activity("p", folder=folder, esr=esr, **measures)]),
            read,
        )


CORRECTIONS = (
    "SELECT dataset, record_id, value_name, old_value, new_value, batch_date, replaced_in FROM analyst.correction"
    " ORDER BY correction_id, value_name"
)


def test_what_a_newer_folder_replaces_is_kept(engine):
    first, again, second, third = (date(2026, 11, day) for day in (1, 2, 3, 4))
    deliver(engine, first, 10.0, 12.0, 10.0)
    deliver(engine, again, 10.0, 12.0, 10.0)
    assert rows(engine, CORRECTIONS) == []
    deliver(engine, second, 20.0, 12.0, 30.0)
    deliver(engine, third, 20.0, 14.0, 30.0)
    found = rows(engine, CORRECTIONS)
    assert found == [
        ("joint_reading", "1 hand_left_1", "reading_percent", "10", "30", again, second),
        ("joint_reading", "1 hand_left_1", "reading_grade", "1", "2", again, second),
        ("disease_activity", "p 2020-01-01", "esr", "10", "20", again, second),
        ("consultation", "1", "reported_rau", "12", "14", second, third),
    ]
    # Neither the same folder again nor an older one corrects anything.
    before = correlation.digest(engine)
    deliver(engine, third, 20.0, 14.0, 30.0)
    deliver(engine, first, 10.0, 12.0, 10.0)
    assert correlation.digest(engine) == before


@pytest.mark.parametrize(("day", "esr"), [(1, 10.0), (2, 10.0), (3, 20.0), (4, None), (5, None)])
def test_a_value_can_be_read_as_of_a_folder(engine, day, esr):
    deliver(engine, date(2026, 11, 1), 10.0, 12.0, 10.0)
    deliver(engine, date(2026, 11, 3), 20.0, 12.0, 10.0)
    deliver(engine, date(2026, 11, 4), np.nan, 12.0, 10.0)
    as_of = date(2026, 11, day)
    assert rows(
        engine,
        "SELECT (jsonb_populate_record(a, coalesce(old.was, '{}'))).esr FROM registry.disease_activity AS a"  # noqa: S608
        " LEFT JOIN LATERAL (SELECT jsonb_object_agg(v.key, v.value ORDER BY c.correction_id DESC) AS was"
        " FROM registry.correction AS c CROSS JOIN LATERAL jsonb_each(c.was) AS v"
        " WHERE c.dataset = 'disease_activity' AND c.record_key = ARRAY[a.patient_id, a.visit_date::text]"
        f" AND c.replaced_in > '{as_of}') AS old ON TRUE",
    ) == [(esr,)]


def as_told(engine: Engine, day: int) -> list[tuple[float, float]]:
    """Reported score and DAS28-ESR of the one visit, as of a day."""
    found = correlation.visits_for_correlation(engine, date(2026, 11, day), "test-1")
    return list(found[["reported_rau", "das28_esr4"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(("day", "esr", "rau"), [(1, 10.0, 12.0), (2, 10.0, 12.0), (3, 20.0, 12.0), (5, 20.0, 14.0)])
def test_what_is_computed_as_of_a_folder_has_the_values_of_then(engine, day, esr, rau):
    measures = {"tender_28": 4, "swollen_28": 2, "global_patient_estimate_disease_activity": 40}
    for folder, told in {1: (10.0, 12.0), 3: (20.0, 12.0), 4: (20.0, 14.0)}.items():
        deliver(engine, date(2026, 11, folder), told[0], told[1], 10.0, **measures)
    assert as_told(engine, day) == [(rau, pytest.approx(float(das28.das28_esr(4, 2, esr, 40))))]


def test_a_score_that_came_after_its_consultation_was_not_there_before(engine):
    for folder, rau in {1: np.nan, 3: 40.0}.items():
        deliver(engine, date(2026, 11, folder), 10.0, rau, 10.0)
    with transaction(engine) as connection:
        for day, found in {1: [], 2: [], 3: [40.0]}.items():
            as_of = date(2026, 11, day)
            assert list(association.radiographs_as_of(connection, as_of, "test-1")["reported_rau"]) == found
            assert list(forecast.series(connection, as_of, "test-1")["rau"]) == found


def readings_of_one_radiograph(*of: tuple[str, int, date, float]) -> pd.DataFrame:
    """Consultations of the radiograph `f`: id_x, day of the folder, date of the radiograph, reported score."""
    return pd.DataFrame(
        [
            consultation(id_x, "p", "f", folder=DAYS[day], row=row, rau=rau) | {"date_x": radiograph}
            for row, (id_x, day, radiograph, rau) in enumerate(of, start=2)
        ]
    )


def progression(engine: Engine) -> list[tuple]:
    return rows(engine, "SELECT from_date, to_date FROM analyst.rau_progression WHERE damage = 'reported_rau'")


FIRST_READING, SECOND_READING = ("1", 1, OLD_DATE, 20.0), ("2", 3, NEW_DATE, 27.0)


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST_READING, SECOND_READING])))
def test_a_radiograph_that_is_read_again_under_another_date_is_one_visit(engine, order):
    for one in order:
        consulted = readings_of_one_radiograph(one)
        publish(engine, consulted, pd.DataFrame([reading(consulted.iloc[0], "hand_left_1", 1.0)]))
    assert rows(engine, "SELECT id_x, visit_date FROM registry.consultation ORDER BY id_x") == [
        ("1", NEW_DATE),
        ("2", NEW_DATE),
    ]
    assert rows(engine, "SELECT visit_date, n_radiographs FROM analyst.rau_by_visit") == [(NEW_DATE, 1)]
    assert progression(engine) == []
    before = correlation.digest(engine)
    for one in order:
        consulted = readings_of_one_radiograph(one)
        publish(engine, consulted, pd.DataFrame([reading(consulted.iloc[0], "hand_left_1", 1.0)]))
    assert correlation.digest(engine) == before


def test_the_date_that_a_radiograph_had_by_an_earlier_reading_is_kept_as_corrected(engine):
    for one in (FIRST_READING, SECOND_READING):
        consulted = readings_of_one_radiograph(one)
        publish(engine, consulted, pd.DataFrame([reading(consulted.iloc[0], "hand_left_1", 1.0)]))
    assert rows(
        engine,
        "SELECT dataset, record_id, old_value, new_value FROM analyst.correction WHERE value_name = 'visit_date'"
        " ORDER BY 1",
    ) == [("consultation", "1", "2020-01-01", "2020-03-05"), ("radiograph", "f", "2020-01-01", "2020-03-05")]


DAYS = {day: date(2026, 11, day) for day in (1, 2, 3, 4)}


def export(engine: Engine, day: int, accepted: str, refused: str = "") -> None:
    """The export of a day, with readings of the joints that are named by one letter each."""
    consulted = consultation("1", "p", "f", folder=DAYS[day])
    landed = pd.DataFrame(
        [reading(consulted, joint, 1.0) for joint in accepted + refused] or [reading(consulted, "x", 1.0)]
    )[: len(accepted + refused)]
    with transaction(engine) as connection:
        registry.publish_registry(
            connection,
            RUN,
            pd.DataFrame([consulted]),
            landed[: len(accepted)],
            pd.DataFrame([activity("p")])[:0],
            landed,
        )
        bad = landed[len(accepted) :]
        if len(bad):
            names = ["row_key", "source_file", "row_number", "batch_date"]
            rest = quarantined("readings.in_range").drop(columns=names).assign(dataset="readings")
            registry.publish_quarantine(connection, RUN, bad[names].merge(rest, how="cross"))


def standing(engine: Engine) -> dict[str, date | None]:
    return dict(rows(engine, "SELECT joint, withdrawn_on FROM registry.joint_reading ORDER BY joint"))


def test_a_reading_that_a_newer_export_lacks_is_withdrawn_until_it_comes_again(engine):
    export(engine, 1, "ab")
    export(engine, 3, "a")
    assert standing(engine) == {"a": None, "b": DAYS[3]}
    before = correlation.digest(engine)
    export(engine, 3, "a")
    export(engine, 1, "ab")
    assert correlation.digest(engine) == before
    export(engine, 4, "ab")
    assert standing(engine) == {"a": None, "b": None}


def test_a_corrected_export_of_the_same_day_withdraws_too(engine):
    export(engine, 1, "ab")
    export(engine, 1, "a")
    assert standing(engine) == {"a": None, "b": DAYS[1]}
    export(engine, 1, "ab")
    assert standing(engine) == {"a": None, "b": None}


def test_a_refused_new_value_does_not_withdraw_the_old_one(engine):
    export(engine, 1, "ab")
    export(engine, 2, "a", refused="b")
    assert standing(engine) == {"a": None, "b": None}


def test_a_consultation_without_any_reading_withdraws_all(engine):
    export(engine, 1, "ab")
    export(engine, 2, "")
    assert standing(engine) == {"a": DAYS[2], "b": DAYS[2]}


@pytest.mark.parametrize(
    "exports",
    [
        {1: ("ab", ""), 2: ("a", ""), 3: ("ab", "")},
        {1: ("ab", ""), 2: ("ab", ""), 3: ("a", "")},
        {1: ("ab", ""), 2: ("a", "b"), 3: ("a", "b")},
        {1: ("a", ""), 2: ("ab", ""), 4: ("b", "")},
        {1: ("ab", ""), 2: ("a", ""), 3: ("ab", ""), 4: ("a", "")},
    ],
)
def test_withdrawals_do_not_depend_on_the_order_of_nights(warehouse, engine, exports):
    found = []
    owner = warehouse.engine(warehouse.owner_url)
    for order in itertools.permutations(exports):
        with transaction(owner) as connection:
            connection.execute(
                sa.text(
                    "TRUNCATE registry.joint_reading, registry.consultation, registry.radiograph,"
                    " scoring.quarantine CASCADE"
                )
            )
        for day in order:
            export(engine, day, *exports[day])
        found.append(standing(engine))
    assert found == found[:1] * len(found)


def test_withdrawn_readings_are_left_out_of_the_views(engine):
    publish_night(engine)
    shown = "SELECT count(*) FROM analyst.reading_versus_prediction WHERE id_x = '3'"
    read = "SELECT reading_percent FROM analyst.joint_timeline WHERE sop_iuid = '1.2.4'"
    assert (rows(engine, shown), rows(engine, read)) == ([(1,)], [(0.0,)])
    newer = pd.DataFrame([consultation("3", "00124", "1.2.4", folder=NEXT)])
    publish(engine, newer, pd.DataFrame([reading(newer.iloc[0], "hand_left_2", 0.0)])[:0])
    assert (rows(engine, shown), rows(engine, read)) == ([(0,)], [(None,)])


@pytest.mark.parametrize(("sop_iuid", "sha256"), [("1.2.3", "9" * 64), ("1.2.9", "1" * 64)])
def test_an_image_that_another_run_has_rivalled_since_is_refused_by_its_file(engine, sop_iuid, sha256):
    publish_night(engine)
    rival = image(sop_iuid, "hand_left_1", sha256, NEXT)
    with pytest.raises(BadInput, match=r"clear `validate`") as refused, transaction(engine) as connection:
        predictions.publish_predictions(
            connection, prediction_run(SECOND_RUN), pd.DataFrame([rival]), pd.DataFrame([prediction(rival, 1.0)])
        )
    assert f"2026-11-22/joints/{sop_iuid}_hand_left_1.jpg was published" in str(refused.value)
    assert rows(engine, "SELECT count(*) FROM imaging.joint_image") == [(2,)]


def test_shards_may_run_on_different_engines(engine):
    publish(engine, *moved("f", "00123"))
    seen = [image("f", "hand_left_1", "1" * 64), image("f", "hand_left_2", "2" * 64)]
    scored = [prediction(seen[0], 1.0), prediction(seen[1], 1.0) | {"engine": "tensorflow/float32"}]
    with transaction(engine) as connection:
        predictions.publish_predictions(connection, prediction_run(), pd.DataFrame(seen), pd.DataFrame(scored))
    assert rows(engine, "SELECT engine FROM scoring.joint_prediction ORDER BY joint") == [
        ("openvino/float32",),
        ("tensorflow/float32",),
    ]
    assert runs.run_facts(engine, RUN).engine == "openvino/float32, tensorflow/float32"


def test_das28_forms_are_computed_where_they_can_be_else_reported(engine):
    complete = {"swollen_28": 4.0, "tender_28": 9.0, "esr": 20.0, "crp": 8.0}
    reported = {"das28bsr_score": 4.2, "das283crp_score": 3.3}
    active = pd.DataFrame(
        [
            activity("1", **complete, **reported, global_patient_estimate_disease_activity=50.0),
            activity("2", row=3, **complete, **reported),
            activity("3", row=4, **reported),
            activity("4", row=5),
        ]
    )
    none = pd.DataFrame([consultation("1", "p", "f")])[:0]
    read = pd.DataFrame([reading(consultation("1", "p", "f"), "x", 1.0)])[:0]
    with transaction(engine) as connection:
        registry.publish_registry(connection, RUN, none, read, active, read)
    esr4, crp3 = pytest.approx(das28.das28_esr(9, 4, 20, 50)), pytest.approx(das28.das28_crp(9, 4, 8))
    assert rows(
        engine,
        "SELECT das28_esr4, das28_esr4_origin, das28_crp3, das28_crp3_origin"
        " FROM analyst.disease_activity_by_visit ORDER BY patient_id",
    ) == [
        (esr4, "computed", crp3, "computed"),
        (4.2, "reported", crp3, "computed"),
        (4.2, "reported", 3.3, "reported"),
        (None, None, None, None),
    ]


def open_rows(engine: Engine) -> list[str]:
    return [key for (key,) in rows(engine, "SELECT row_key || ' ' || rule FROM analyst.quarantine_open ORDER BY 1")]


def test_what_a_mended_file_no_longer_breaks_is_closed(engine):
    file = "2026-11-21/disease_activity.csv"
    table = quarantined("disease_activity.crp_in_range").assign(dataset="disease_activity", source_file=file)
    critical, warned = (
        table.assign(row_key=f"{file}:2"),
        table.assign(row_key=f"{file}:3", severity="warning", kept=True),
    )
    elsewhere = critical.assign(row_key="other.csv:2", source_file="other.csv")
    with transaction(engine) as connection:
        registry.publish_quarantine(connection, RUN, pd.concat([critical, warned, elsewhere]))
        assert registry.resolve_quarantine(connection, RUN, [], [file]) == 0
    assert len(nightly_report.quarantine_of_run(engine, RUN)) == 3
    # The mended file has one line less; of the run that was cleared and runs again, only the last attempt counts.
    with transaction(engine) as connection:
        registry.publish_quarantine(connection, RUN, critical)
        assert registry.resolve_quarantine(connection, RUN, [], [file]) == 1
    assert open_rows(engine) == [f"{file}:2 disease_activity.crp_in_range", "other.csv:2 disease_activity.crp_in_range"]
    assert sorted(nightly_report.quarantine_of_run(engine, RUN)["row_key"]) == [f"{file}:2", "other.csv:2"]
    with transaction(engine) as connection:
        assert registry.resolve_quarantine(connection, SECOND_RUN, [], [file]) == 1
        assert registry.resolve_quarantine(connection, SECOND_RUN, [], [file]) == 0


def test_an_image_that_was_taken_away_is_closed(engine):
    def refused(file: str, folder: date) -> pd.DataFrame:
        name = f"{folder}/joints/{file}"
        return quarantined().assign(row_key=name, source_file=name, batch_date=folder)

    broken = [refused("gone.jpg", NIGHT), refused("there.jpg", NIGHT), refused("gone.jpg", NEXT)]
    table = quarantined("disease_activity.crp_in_range").assign(dataset="disease_activity", row_key="t.csv:2")
    with transaction(engine) as connection:
        registry.publish_quarantine(connection, RUN, pd.concat([*broken, table.assign(source_file="t.csv")]))
        assert registry.resolve_removed(connection, RUN, [NIGHT], ["2026-11-21/joints/there.jpg"]) == 1
        assert registry.resolve_removed(connection, RUN, [], []) == 0
    assert open_rows(engine) == [
        "2026-11-21/joints/there.jpg images.decodes",
        "2026-11-22/joints/gone.jpg images.decodes",
        "t.csv:2 disease_activity.crp_in_range",
    ]
    with transaction(engine) as connection:
        assert registry.resolve_removed(connection, RUN, [NEXT], []) == 1


def test_an_exact_copy_is_settled(engine):
    copy = quarantined("images.exact_copy").assign(content_sha256="c" * 64)
    with transaction(engine) as connection:
        registry.publish_quarantine(connection, RUN, copy)
    assert images.settled_files(engine, [("2026-11-21/joints/x.jpg", "c" * 64)]) == {
        ("2026-11-21/joints/x.jpg", "c" * 64)
    }


def test_a_run_is_opened_once_and_its_last_result_counts(engine):
    assert open_run(engine, RUN) is False
    runs.close_run(engine, RUN, "failed", "no _SUCCESS")
    runs.close_run(engine, RUN, "succeeded")
    assert rows(engine, "SELECT status, message FROM scoring.run_result ORDER BY finished_at") == [
        ("failed", "no _SUCCESS"),
        ("succeeded", ""),
    ]
    assert nightly_report.night_books(engine, RUN)[["status", "message"]].to_numpy().tolist() == [["succeeded", ""]]


def test_the_books_that_were_written_last_count(engine):
    with transaction(engine) as connection:
        runs.record_counts(connection, RUN, "images", [("landed", 2, ""), ("scored", 1, ""), ("already_scored", 0, "")])
        runs.record_counts(connection, RUN, "readings", [("landed", 1, ""), ("new", 1, "")])
    with transaction(engine) as connection:
        runs.record_counts(
            connection, RUN, "images", [("landed", 3, ""), ("scored", 2, ""), ("quarantined", 1, "images.decodes")]
        )
    assert runs.counts_of(engine, RUN) == [
        runs.Count("images", "landed", 3),
        runs.Count("images", "quarantined", 1, "images.decodes"),
        runs.Count("images", "scored", 2),
        runs.Count("readings", "landed", 1),
        runs.Count("readings", "new", 1),
    ]
    books = nightly_report.night_books(engine, RUN)
    assert books[["dataset", "landed", "scored", "quarantined", "balanced"]].to_dict("records") == [
        {"dataset": "images", "landed": 3, "scored": 2, "quarantined": 1, "balanced": True},
        {"dataset": "readings", "landed": 1, "scored": 0, "quarantined": 0, "balanced": True},
    ]


def test_books_that_do_not_balance_are_seen(engine):
    with transaction(engine) as connection:
        runs.record_counts(connection, RUN, "images", [("landed", 3, ""), ("scored", 2, "")])
    assert nightly_report.night_books(engine, RUN)["balanced"].tolist() == [False]


def test_a_file_that_was_refused_for_its_bytes_is_settled_until_the_bytes_change(engine):
    file = "2026-11-21/joints/x.jpg"
    with transaction(engine) as connection:
        registry.publish_quarantine(connection, RUN, quarantined().assign(content_sha256="c" * 64))
    assert images.settled_files(engine, [(file, "c" * 64), (file, "d" * 64)]) == {(file, "c" * 64)}
    with transaction(engine) as connection:
        registry.publish_quarantine(connection, SECOND_RUN, quarantined().assign(content_sha256="d" * 64))
    assert images.settled_files(engine, [(file, "c" * 64), (file, "d" * 64)]) == {(file, "d" * 64)}


def test_a_file_that_lacks_its_radiograph_is_judged_again(engine):
    lacking = pd.concat([quarantined(), quarantined("images.radiograph_known")]).assign(content_sha256="c" * 64)
    with transaction(engine) as connection:
        registry.publish_quarantine(connection, RUN, lacking)
    assert images.settled_files(engine, [("2026-11-21/joints/x.jpg", "c" * 64)]) == set()


def test_the_report_finds_grades_severe_and_doubtful_joints(engine):
    publish_night(engine)
    grades = nightly_report.grade_distribution(engine, nights=7)
    assert grades[["predicted_grade", "n", "share"]].to_numpy().tolist() == [[1, 1, 0.5], [2, 1, 0.5]]
    assert nightly_report.grade_distribution(engine, nights=7, until=date(2020, 1, 1)).empty
    severe = nightly_report.most_severe_joints(engine, NIGHT, 1)
    assert severe["image_uri"].tolist() == ["landing/2026-11-21/joints/1.2.3_hand_left_1.jpg"]
    assert nightly_report.most_doubtful_joints(engine, NIGHT, 5)["interval_width"].tolist() == [10.0, 7.0]


@pytest.mark.parametrize("percent", [0.0, 1e-9, 0.5, 20.0, 20.0000001, 40.0, 40.5, 60.0, 61.0, 80.0, 80.1, 100.0])
def test_sql_grades_as_python_does(engine, percent):
    consulted = consultation("1", "p", "f")
    with transaction(engine) as connection:
        registry.publish_registry(
            connection,
            RUN,
            pd.DataFrame([consulted]),
            pd.DataFrame([reading(consulted, "hand_left_1", percent)]),
            pd.DataFrame([activity("p")])[:0],
            pd.DataFrame([reading(consulted, "hand_left_1", percent)]),
        )
    assert rows(engine, "SELECT reading_grade FROM registry.joint_reading") == [(int(ratingen.grade(percent)),)]
