"""Rules about disease activity, each with rows that break it and rows that pass."""

from datetime import date

import numpy as np
import pytest

from scoring.clinical import das28


def test_disease_activity_suite_excludes_only_the_rows_that_break_a_rule(build):
    day = {"date_text": "2026-11-02", "date": date(2026, 11, 2)}
    rows = build.activity(
        {"patient_id": None},
        {"patient_id": "p3", "date_text": None, "date": None},
        {"patient_id": "p4", "date_text": "01.11.2026", "date": None},
        {"patient_id": "p5", "date_text": "2026-11-22", "date": date(2026, 11, 22)},
        {"patient_id": "p6", **day},
        {"patient_id": "p6", **day, "esr_text": "21", "esr": 21.0},
        {"patient_id": "p8", **day},
        {"patient_id": "p8", **day},
        {"patient_id": "p10", "swollen_28": 2.5, "swollen_28_text": "2.5"},
        {"patient_id": "p11"},
        {"patient_id": "p11", **day},
    )
    verdict = build.judge(activity=rows).disease_activity
    assert {rule for rule in build.broken_rules(verdict) if not rule[1].endswith("_agrees")} == {
        ("2", "patient_present"),
        ("3", "date_present"),
        ("4", "date_readable"),
        ("5", "date_not_future"),
        ("6", "visit_unique"),
        ("7", "visit_unique"),
        ("9", "exact_copy"),
        ("10", "swollen_28_whole"),
    }
    assert list(verdict.accepted["patient_id"]) == ["p8", "p11", "p11"]


def test_disease_activity_suite_checks_range_and_number_of_each_measure(build):
    rows, expected = [], set()
    for measure in build.measures:
        for value, rule in ((-1.0, "in_range"), (2000.0, "in_range"), (np.nan, "readable")):
            rows.append({"patient_id": f"p{len(rows)}", measure: value, f"{measure}_text": "?"})
            expected.add((str(len(rows) + 1), f"{measure}_{rule}"))
    verdict = build.judge(activity=build.activity(*rows)).disease_activity
    assert {rule for rule in build.broken_rules(verdict) if not rule[1].endswith("_agrees")} == expected
    assert verdict.accepted.empty


@pytest.mark.parametrize(
    ("measure", "maximum"),
    [
        ("physician_global_disease_activity", 100),
        ("global_patient_estimate_disease_activity", das28.MAX_PATIENT_GLOBAL),
        ("das28bsr_score", das28.MAX_DAS28),
        ("das283crp_score", das28.MAX_DAS28),
        ("swollen_28", das28.N_JOINTS),
        ("tender_28", das28.N_JOINTS),
        ("esr", das28.MAX_ESR),
        ("crp", das28.MAX_CRP),
    ],
)
def test_disease_activity_suite_accepts_the_ranges_of_the_das28_formulas(build, measure, maximum):
    values = (0.0, float(maximum), maximum + 1.0)
    rows = build.activity(
        *({"patient_id": str(n), measure: value, f"{measure}_text": f"{value:g}"} for n, value in enumerate(values))
    )
    verdict = build.judge(activity=rows).disease_activity
    assert verdict.counts == {f"disease_activity.{measure}_in_range": 1}
    assert list(verdict.accepted[measure]) == list(values[:2])


def test_disease_activity_suite_accepts_a_visit_without_measures(build):
    nothing = {
        name: value for measure in build.measures for name, value in ((measure, np.nan), (f"{measure}_text", None))
    }
    assert not build.judge(activity=build.activity(nothing)).disease_activity.counts


def test_disease_activity_suite_lists_a_das28_that_contradicts_its_components(build):
    # 0.56 sqrt(4) + 0.28 sqrt(3) + 0.70 ln(20) + 0.014 * 30 = 4.122
    # CRP of 5: (1.12 + 0.485 + 0.36 ln 6) * 1.10 + 1.15 = 3.625
    rows = build.activity(
        {"das28bsr_score": 4.12, "das283crp_score": 3.63},
        {"das28bsr_score": 4.16, "das283crp_score": 3.6, "patient_id": "2"},
        {"das28bsr_score": 4.6, "das283crp_score": 3.6, "patient_id": "3"},
        {"das28bsr_score": 4.12, "das283crp_score": 2.9, "patient_id": "4"},
        {"das28bsr_score": 9.0, "esr": np.nan, "esr_text": None, "das283crp_score": 3.6, "patient_id": "5"},
    )
    verdict = build.judge(activity=rows).disease_activity
    assert build.broken_rules(verdict) == {("4", "das28_esr_agrees"), ("5", "das28_crp_agrees")}
    assert len(verdict.accepted) == 5


def test_disease_activity_suite_names_the_expected_form_of_das28(build):
    # Global assessment of 80 mm: four variables with ESR 4.822, with CRP 4.330; three variables 4.145 and 3.625.
    high = {"global_patient_estimate_disease_activity": 80.0, "global_patient_estimate_disease_activity_text": "80"}
    missing = {
        "global_patient_estimate_disease_activity": np.nan,
        "global_patient_estimate_disease_activity_text": None,
    }
    rows = build.activity(
        {"das28bsr_score": 4.82, "das283crp_score": 3.63, **high},
        {"das28bsr_score": 4.15, "das283crp_score": 3.63, "patient_id": "2", **high},
        {"das28bsr_score": 4.82, "das283crp_score": 4.33, "patient_id": "3", **high},
        {"das28bsr_score": 9.0, "das283crp_score": 3.63, "patient_id": "4", **missing},
        {"das28bsr_score": 4.15, "das283crp_score": 2.9, "patient_id": "5", **missing},
    )
    verdict = build.judge(activity=rows).disease_activity
    assert build.broken_rules(verdict) == {
        ("3", "das28_esr_agrees"),
        ("4", "das28_crp_agrees"),
        ("6", "das28_crp_agrees"),
    }
    remedies = verdict.quarantine.drop_duplicates("rule").set_index("rule")["remedy"]
    form = "the DAS28 form that the registry exports (required: {}-variable DAS28-{})"
    assert form.format("four", "ESR") in remedies["disease_activity.das28_esr_agrees"]
    assert form.format("three", "CRP") in remedies["disease_activity.das28_crp_agrees"]
