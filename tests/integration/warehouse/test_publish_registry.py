"""Publishing accepted registry records: counts, derived values, and errors that do not repeat values of patients."""

import hashlib
import itertools
import traceback
from datetime import date

import pytest
import sqlalchemy as sa

from scoring.clinical import das28, ratingen
from scoring.errors import BadInput
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish import predictions, registry
from scoring.warehouse.queries import nightly
from scoring.warehouse.queries.analysis import visits_for_correlation
from scoring.warehouse.queries.checksum import checksums
from tests.lib.staged import (
    BATCH,
    LATER_VISIT,
    MODEL,
    NEXT_BATCH,
    RUN,
    SECOND_RUN,
    VISIT,
    activity,
    consultation,
    image,
    prediction,
    publish_batch,
    publish_images,
    publish_records,
    reading,
)
from tests.lib.warehouse import execute, rows

VISITS = "SELECT patient_id, visit_date, n_radiographs, n_scored FROM analyst.rau_by_visit ORDER BY 1, 2"
RADIOGRAPHS = "SELECT sop_iuid, visit_date FROM analyst.rau_by_radiograph ORDER BY sop_iuid"


def test_publish_writes_and_counts_a_batch(engine):
    counts, scored = publish_batch(engine)
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


def test_publish_of_the_same_batch_changes_no_row(published):
    before = checksums(published)
    counts, scored = publish_batch(published, SECOND_RUN)
    assert counts == {
        "consultations": UpsertCounts(unchanged=3),
        "readings": UpsertCounts(unchanged=3),
        "disease_activity": UpsertCounts(unchanged=2),
    }
    assert scored == predictions.PredictionCounts(scored=0, already_scored=2, missing=0)
    assert checksums(published) == before
    assert before["registry.consultation"][0] == 3


def test_publish_of_an_empty_batch_writes_nothing(engine):
    assert set(publish_records(engine).values()) == {UpsertCounts()}
    assert publish_images(engine, [], []) == predictions.PredictionCounts(0, 0, 0)


def test_checksums_detect_a_single_changed_value(published, batch_warehouse):
    before = checksums(published)
    execute(
        batch_warehouse.engine(batch_warehouse.owner_url),
        "UPDATE registry.consultation SET row_number = 99 WHERE id_x = '1'",
    )
    after = checksums(published)
    assert [table for table in before if before[table] != after[table]] == ["registry.consultation"]


def test_publish_landing_files_remembers_files_by_content(engine):
    file = "2026-11-21/consultations.csv"
    with transaction(engine) as connection:
        assert registry.publish_landing_files(connection, RUN, {file: "a" * 64}) == UpsertCounts(new=1)
        assert registry.publish_landing_files(connection, SECOND_RUN, {file: "a" * 64}) == UpsertCounts(unchanged=1)
        assert registry.publish_landing_files(connection, SECOND_RUN, {}) == UpsertCounts()
    assert nightly.landing_files(engine, [file, "other"]) == {file: "a" * 64}


# ---- derived values


def test_publish_computes_das28_if_all_components_are_present(published):
    first, second = rows(
        published,
        "SELECT das28_esr4, das28_esr3, das28_crp4, das28_crp3 FROM registry.disease_activity ORDER BY patient_id",
    )
    esr3 = pytest.approx(das28.das28_esr(9, 4, 20))
    assert first == (None, esr3, None, pytest.approx(das28.das28_crp(9, 4, 8)))
    assert second == (pytest.approx(das28.das28_esr(9, 4, 20, 50)), esr3, None, None)


def test_disease_activity_by_visit_prefers_computed_forms_to_reported_ones(engine):
    complete = {"swollen_28": 4.0, "tender_28": 9.0, "esr": 20.0, "crp": 8.0}
    reported = {"das28bsr_score": 4.2, "das283crp_score": 3.3}
    records = [
        activity("1", **complete, **reported, global_patient_estimate_disease_activity=50.0),
        activity("2", row=3, **complete, **reported),
        activity("3", row=4, **reported),
        activity("4", row=5),
    ]
    publish_records(engine, disease_activity=records)
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


def test_joint_reading_grades_as_ratingen_does(engine):
    percents = [0.0, 1e-9, 0.5, 20.0, 20.0000001, 40.0, 40.5, 60.0, 61.0, 80.0, 80.1, 100.0]
    consulted = consultation("1")
    publish_records(engine, [consulted], [reading(consulted, f"j{n:02}", each) for n, each in enumerate(percents)])
    found = [grade for (grade,) in rows(engine, "SELECT reading_grade FROM registry.joint_reading ORDER BY joint")]
    assert found == ratingen.grade(percents).tolist()


# ---- invalid values


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
def test_disease_activity_accepts_the_ranges_of_the_formulas(engine, column, largest):
    insert = sa.text(
        f"INSERT INTO registry.disease_activity (patient_id, visit_date, {column}, batch_date, first_batch_date,"  # noqa: S608
        " run_id, source_file, row_number) VALUES ('p', '2020-01-01', :value, :batch, :batch, :run_id, 'x.csv', 2)"
        f" ON CONFLICT (patient_id, visit_date) DO UPDATE SET {column} = excluded.{column}"
    )
    values = {"batch": BATCH, "run_id": str(RUN)}
    with transaction(engine) as connection:
        for value in (0, largest):
            connection.execute(insert, {"value": value, **values})
        for value in (-0.01, largest + 0.01):
            constraint = f"disease_activity_{column}_check"
            with pytest.raises(sa.exc.IntegrityError, match=constraint), connection.begin_nested():
                connection.execute(insert, {"value": value, **values})


def test_publish_rejects_a_value_outside_its_range_without_repeating_it(engine):
    consulted = consultation("id-77", "patient-55", rau=4711.0)
    with pytest.raises(BadInput, match=r"registry\.consultation.*check_violation \(23514\)") as error:
        publish_records(engine, [consulted], [reading(consulted)])
    shown = "".join(traceback.format_exception(error.value))
    assert "consultation_reported_rau_check" in shown
    assert not [value for value in ("4711", "id-77", "patient-55", "DETAIL") if value in shown]


def test_publish_rejects_a_text_too_long_for_an_index_without_repeating_it(engine):
    # Random, because a text that compresses well would fit.
    long = hashlib.shake_256(b"long").hexdigest(10_000)
    with pytest.raises(BadInput, match=r"registry\.radiograph: program_limit_exceeded \(54000\)") as error:
        publish_records(engine, [consultation("1", sop_iuid=long)])
    assert long[:20] not in "".join(traceback.format_exception(error.value))


def test_publish_rejects_a_consultation_that_is_twice_in_one_batch(engine):
    with pytest.raises(BadInput, match=r"registry\.consultation repeat the key \(id_x\)"):
        publish_records(engine, [consultation("1", row=2), consultation("1", row=3)])
    assert rows(engine, "SELECT count(*) FROM registry.radiograph") == [(0,)]


# ---- radiographs that are moved to another visit


def move(engine, sop_iuid: str = "1.2.3", patient_id: str = "00123") -> None:
    """Deliver a radiograph with another date in a newer batch."""
    corrected = consultation("9", patient_id, sop_iuid, batch=NEXT_BATCH, visit=LATER_VISIT)
    publish_records(engine, [corrected], [reading(corrected, "hand_left_9", 0.0)])


def second_radiograph(engine, *, scored: bool) -> None:
    """Add another radiograph to the visit of 1.2.3."""
    consulted = consultation("5", "00123", "1.2.5", row=6)
    publish_records(engine, [consulted], [reading(consulted, "hand_left_3")])
    if scored:
        seen = image("1.2.5", "hand_left_3", "5" * 64)
        publish_images(engine, [seen], [prediction(seen, 50.0)])


def test_publish_of_a_radiograph_with_another_patient_removes_its_rau_score_from_the_views(published):
    moved = consultation("1", "00999", "1.2.3", batch=NEXT_BATCH)
    publish_records(published, [moved], [reading(moved, "hand_left_1", 20.0)], with_rau=False)
    assert rows(published, "SELECT patient_id, sop_iuid FROM analyst.rau_by_radiograph") == [("00124", "1.2.4")]
    assert rows(published, "SELECT patient_id, rau_expected FROM analyst.rau_by_visit ORDER BY 1") == [
        ("00124", 38.0),
        ("00999", None),
    ]


def test_publish_of_a_moved_radiograph_moves_its_rau_score(published):
    move(published)
    assert rows(published, RADIOGRAPHS) == [("1.2.3", LATER_VISIT), ("1.2.4", VISIT)]
    assert rows(published, VISITS) == [("00123", LATER_VISIT, 1, 1), ("00124", VISIT, 1, 1)]
    both = [activity("00123", esr=10), activity("00123", row=3, esr=10, visit=LATER_VISIT)]
    publish_records(published, disease_activity=both)
    with transaction(published) as connection:
        correlated = visits_for_correlation(connection, NEXT_BATCH, MODEL).set_index(["patient_id", "visit_date"])
    assert ("00123", VISIT) not in correlated.index
    assert correlated.loc[("00123", LATER_VISIT), "predicted_rau"] == 76.0


def test_publish_of_a_moved_radiograph_recomputes_the_visit_that_it_left(published):
    second_radiograph(published, scored=True)
    assert rows(published, VISITS)[0] == ("00123", VISIT, 2, 2)
    move(published)
    assert rows(published, RADIOGRAPHS) == [("1.2.3", LATER_VISIT), ("1.2.4", VISIT), ("1.2.5", VISIT)]
    assert rows(published, VISITS)[:2] == [("00123", VISIT, 1, 1), ("00123", LATER_VISIT, 1, 1)]
    # Grade 3 of the remaining radiograph, without the grade 2 of the moved one.
    left = "SELECT rau_expected FROM analyst.rau_by_visit WHERE visit_date = '2020-01-01' ORDER BY patient_id"
    assert rows(published, left)[0] == (114.0,)
    before = checksums(published)
    move(published)
    assert checksums(published) == before


def test_publish_of_a_moved_radiograph_leaves_no_rau_score_if_nothing_else_was_scored(published):
    second_radiograph(published, scored=False)
    move(published)
    assert rows(published, VISITS)[:2] == [("00123", VISIT, 1, None), ("00123", LATER_VISIT, 1, 1)]


# ---- radiographs that are read again under another date

FIRST_READING = consultation("1", batch=date(2026, 11, 1), rau=20.0)
SECOND_READING = consultation("2", batch=date(2026, 11, 3), rau=27.0, visit=LATER_VISIT)


@pytest.mark.parametrize("order", list(itertools.permutations([FIRST_READING, SECOND_READING])))
def test_publish_gives_a_radiograph_one_date_whatever_the_order_of_batches(engine, order):
    for consulted in order:
        publish_records(engine, [consulted], [reading(consulted)])
    assert rows(engine, "SELECT id_x, visit_date FROM registry.consultation ORDER BY id_x") == [
        ("1", LATER_VISIT),
        ("2", LATER_VISIT),
    ]
    assert rows(engine, "SELECT visit_date, n_radiographs FROM analyst.rau_by_visit") == [(LATER_VISIT, 1)]
    assert rows(engine, "SELECT from_date FROM analyst.rau_progression WHERE damage = 'reported_rau'") == []
    before = checksums(engine)
    for consulted in order:
        publish_records(engine, [consulted], [reading(consulted)])
    assert checksums(engine) == before


def test_correction_keeps_the_date_that_a_radiograph_had_by_an_earlier_reading(engine):
    for consulted in (FIRST_READING, SECOND_READING):
        publish_records(engine, [consulted], [reading(consulted)])
    assert rows(
        engine,
        "SELECT dataset, record_id, old_value, new_value FROM analyst.correction WHERE value_name = 'visit_date'"
        " ORDER BY 1",
    ) == [("consultation", "1", "2020-01-01", "2020-03-05"), ("radiograph", "f", "2020-01-01", "2020-03-05")]
