"""Rules about consultations and readings, each with rows that break it and rows that pass."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

GOOD_CONSULTATIONS = {
    "plain": {},
    "of the same day": {"date_x_text": "2026-11-21", "date_x": date(2026, 11, 21), "date_y_text": None, "date_y": None},
    "read on the day of the radiograph": {"date_y_text": "2026-11-01", "date_y": date(2026, 11, 1)},
    "of 1900": {"date_x_text": "1900-01-01", "date_x": date(1900, 1, 1)},
    "without radiograph, body part and score": {
        "sop_iuid": None,
        "body_part": None,
        "rau_score_text": None,
        "rau_score": None,
    },
    "with a pseudonym for a radiograph": {"sop_iuid": "RADIOGRAPH-A1"},
    "with ids of 64 characters": {"id_x": "c" * 64, "patient_id": "p" * 64, "sop_iuid": "1" * 64},
    "with a score of 0": {"rau_score_text": "0", "rau_score": 0.0},
    "with the highest score": {"rau_score_text": "190", "rau_score": 190.0},
}

BAD_CONSULTATIONS = {
    "id_present": {"id_x": None},
    "patient_present": {"patient_id": None},
    "id_x_not_too_long": {"id_x": "c" * 65},
    "patient_id_not_too_long": {"patient_id": "p" * 65},
    "patient_is_pseudonym": {"patient_id": "Muster, Anna"},
    "date_x_present": {"date_x_text": None, "date_x": None, "date_y_text": None, "date_y": None},
    "date_x_readable": {"date_x_text": "21.11.2026", "date_x": None},
    "date_x_not_ancient": {"date_x_text": "1899-12-31", "date_x": date(1899, 12, 31)},
    "date_y_readable": {"date_y_text": "10/11/2026", "date_y": None},
    "date_y_not_before_date_x": {"date_y_text": "2026-10-31", "date_y": date(2026, 10, 31)},
    "date_y_not_future": {"date_y_text": "2026-11-22", "date_y": date(2026, 11, 22)},
    "radiograph_id_well_formed": {"sop_iuid": "../../etc/passwd"},
    "rau_readable": {"rau_score_text": "n/a", "rau_score": None},
    "rau_in_range": {"rau_score_text": "190.5", "rau_score": 190.5},
}


@pytest.mark.parametrize("row", GOOD_CONSULTATIONS.values(), ids=GOOD_CONSULTATIONS)
def test_consultations_suite_accepts_valid_rows(build, row):
    verdict = build.judge(consultations=build.consultations(row)).consultations
    assert len(verdict.accepted) == 1
    assert verdict.quarantine.empty


def test_consultations_suite_excludes_only_the_row_that_breaks_a_rule(build):
    rows = [{"id_x": f"c{n}", "sop_iuid": f"1.2.{n}", **row} for n, row in enumerate(BAD_CONSULTATIONS.values())]
    verdict = build.judge(consultations=build.consultations(*rows, {"id_x": "good", "sop_iuid": "9"})).consultations
    assert build.broken_rules(verdict) == {(f"{n}", rule) for n, rule in enumerate(BAD_CONSULTATIONS, start=2)}
    assert list(verdict.accepted["id_x"]) == ["good"]
    assert set(verdict.quarantine["severity"]) == {"critical"}


def test_consultations_suite_rejects_a_radiograph_after_the_batch_date(build):
    row = {"date_x_text": "2026-11-22", "date_x": date(2026, 11, 22), "date_y_text": None, "date_y": None}
    verdict = build.judge(consultations=build.consultations(row)).consultations
    assert verdict.counts == {"consultations.date_x_not_future": 1}


def test_consultations_suite_rejects_ids_over_64_characters_without_quoting_them(build):
    text = "x" * 9000
    verdicts = build.judge(consultations=build.consultations({"id_x": text, "patient_id": text, "sop_iuid": text}))
    assert build.broken_rules(verdicts.consultations) == {
        ("2", "id_x_not_too_long"),
        ("2", "patient_id_not_too_long"),
        ("2", "radiograph_id_well_formed"),
    }
    assert not verdicts.consultations.quarantine["reason"].str.contains("xx").any()
    visits = build.judge(activity=build.activity({"patient_id": "p" * 65}, {"patient_id": "p" * 64})).disease_activity
    assert visits.counts == {"disease_activity.patient_id_not_too_long": 1}
    assert list(visits.accepted["patient_id"]) == ["p" * 64]


@pytest.mark.parametrize("radiograph", ["1.2/3", "a\\b", ".hidden", "x" * 65, "1.2.3\n", "1 2", ""])
def test_consultations_suite_rejects_radiograph_ids_with_characters_of_paths(build, radiograph):
    verdict = build.judge(consultations=build.consultations({"sop_iuid": radiograph})).consultations
    assert verdict.counts == {"consultations.radiograph_id_well_formed": 1}


def test_consultations_suite_quarantines_all_different_rows_with_the_same_id(build):
    rows = build.consultations({}, {"body_part": "HAND_RIGHT"}, {"id_x": "c2", "sop_iuid": "1.2.2"})
    verdict = build.judge(consultations=rows).consultations
    assert build.broken_rules(verdict) == {("2", "id_unique"), ("3", "id_unique")}
    assert list(verdict.accepted["id_x"]) == ["c2"]


def test_validate_batch_treats_rows_that_differ_in_one_joint_as_different(build):
    rows = build.consultations({}, {})
    readings = build.readings(rows, {"of": 0}, {"of": 1, "reading_percent": 15.0})
    verdict = build.validate_batch(consultations=rows, readings=readings)
    assert verdict.consultations.counts == {"consultations.id_unique": 2}
    assert verdict.readings.counts == {"readings.consultation_accepted": 2}


@pytest.mark.slow
def test_validate_batch_keeps_the_first_of_exact_copies_in_any_order(build):
    rows = build.consultations({}, {}, {})
    readings = build.readings(rows, {"of": 0}, {"of": 1}, {"of": 2})
    for order in ([0, 1, 2], [2, 1, 0]):
        verdict = build.validate_batch(consultations=rows.iloc[order], readings=readings)
        assert build.broken_rules(verdict.consultations) == {("3", "exact_copy"), ("4", "exact_copy")}
        assert list(verdict.consultations.accepted["row_number"]) == [2]
        assert list(verdict.readings.accepted["row_number"]) == [2]


def test_consultations_suite_treats_a_number_in_another_notation_as_a_copy(build):
    rows = build.consultations({}, {"rau_score_text": "19,0"})
    assert build.judge(consultations=rows).consultations.counts == {"consultations.exact_copy": 1}


def test_consultations_suite_accepts_the_same_id_in_a_later_batch(build):
    rows = build.consultations({"batch_date": build.earlier}, {"body_part": "HAND_RIGHT"})
    assert len(build.judge(consultations=rows).consultations.accepted) == 2


def test_consultations_suite_rejects_a_radiograph_of_two_patients(build):
    rows = build.consultations({}, {"id_x": "c2", "patient_id": "2"}, {"id_x": "c3", "sop_iuid": "1.2.3"})
    verdict = build.judge(consultations=rows).consultations
    assert build.broken_rules(verdict) == {("2", "radiograph_one_patient"), ("3", "radiograph_one_patient")}


def test_consultations_suite_rejects_a_radiograph_of_another_patient_in_the_warehouse(build):
    radiographs = build.known_radiographs(**{"1_2_1": "someone else"})
    assert build.judge(radiographs=radiographs).consultations.counts == {"consultations.radiograph_one_patient": 1}
    assert not build.judge(radiographs=build.known_radiographs(**{"1_2_1": "00123"})).consultations.counts


def test_consultations_suite_keeps_and_lists_a_radiograph_with_two_dates(build):
    rows = build.consultations({}, {"id_x": "c2", "date_x": pd.Timestamp("2019-01-01"), "date_x_text": "2019-01-01"})
    verdict = build.judge(consultations=rows.assign(sop_iuid="1.2.3")).consultations
    assert verdict.kept_counts == {"consultations.radiograph_one_date": 2}
    assert len(verdict.accepted) == 2
    # A date in a newer batch corrects the date in an earlier batch.
    rows = rows.assign(sop_iuid="1.2.3", batch_date=[build.earlier, build.batch_date])
    assert build.judge(consultations=rows).consultations.quarantine.empty


def test_consultations_suite_keeps_and_lists_an_unknown_body_part(build):
    verdict = build.judge(consultations=build.consultations({"body_part": "KNEE"})).consultations
    assert verdict.kept_counts == {"consultations.body_part_known": 1}
    assert not verdict.counts
    assert len(verdict.accepted) == 1
    assert verdict.quarantine["kept"].all()


@pytest.mark.parametrize(
    ("percents", "rau", "possible"),
    [
        ([100.0] * 10, 50.0, True),  # nothing else eroded
        ([100.0] * 10, 49.0, False),
        ([100.0] * 10, 190.0, True),  # everything else destroyed, or extrapolated from ten joints
        ([0.0] * 10, 140.0, True),
        ([0.0] * 10, 141.0, False),
        ([], 141.0, True),
    ],
)
def test_consultations_suite_lists_a_rau_score_that_contradicts_the_readings(build, percents, rau, possible):
    rows = build.consultations({"rau_score": rau, "rau_score_text": f"{rau:g}"})
    cells = [{"joint": f"hand_left_{n}", "reading_percent": value} for n, value in enumerate(percents, start=1)]
    verdict = build.judge(consultations=rows, readings=build.readings(rows, *cells)).consultations
    assert verdict.kept_counts == ({} if possible else {"consultations.rau_possible": 1})
    assert len(verdict.accepted) == 1


def test_readings_suite_excludes_only_the_rows_that_break_a_rule(build):
    rows = build.consultations({}, {"id_x": None, "sop_iuid": "1.2.2"})
    readings = build.readings(
        rows,
        {"joint": "hand_left_1", "reading_percent": 0.0},
        {"joint": "hand_left_2", "reading_percent": 100.0},
        {"joint": "hand_left_3", "reading_percent": 120.0},
        {"joint": "hand_left_4", "reading_percent": -5.0},
        {"joint": "hand_left_5", "reading_percent": np.nan, "reading_percent_text": "n/a"},
        {"joint": "hand_left_6", "reading_percent": 58.0},
        {"joint": "knee_1"},
        {"of": 1},
    )
    verdict = build.validate_batch(consultations=rows, readings=readings).readings
    assert build.broken_rules(verdict) == {
        ("2:hand_left_3", "percent_in_range"),
        ("2:hand_left_4", "percent_in_range"),
        ("2:hand_left_5", "percent_readable"),
        ("2:hand_left_6", "percent_on_grid"),
        ("2:knee_1", "joint_known"),
        ("3:hand_left_1", "consultation_accepted"),
    }
    assert list(verdict.accepted["joint"]) == ["hand_left_1", "hand_left_2", "hand_left_6"]
    inherited = verdict.quarantine.set_index("rule").loc["readings.consultation_accepted"]
    assert inherited["reason"] == "The consultation of this reading was quarantined."
