"""Each rule with a row that breaks it and one that keeps it, through the whole night."""

from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pandas as pd
import pytest

from expectations.consultations import consultations as consultations_suite
from expectations.disease_activity import MEASURES
from expectations.disease_activity import disease_activity as disease_activity_suite
from expectations.images import images as images_suite
from scoring.clinical import das28, joints
from scoring.errors import BadInput, ModelRejected
from scoring.validation import facts
from scoring.validation.batch import Known, Staged, Thresholds, check_predictions, validate_batch
from scoring.validation.runner import validate

THRESHOLDS = Thresholds(max_bad_share=0.25, min_rows_for_bad_share=40, min_image_side=48, max_image_side=1024)
EARLIER = date(2026, 11, 20)


class Datasets:
    """Verdicts on single datasets, each reached when asked for: a whole night takes a second, one suite a fraction."""

    def __init__(self, staged, known, night):
        self.staged, self.known, self.night = staged, known, night

    @cached_property
    def consultations(self):
        frame = facts.consultation_facts(self.staged.consultations, self.staged.readings, self.known.radiographs)
        return validate(frame, consultations_suite(self.night), dataset="consultations")

    @cached_property
    def disease_activity(self):
        frame = facts.disease_activity_facts(self.staged.disease_activity, tuple(m.column for m in MEASURES))
        return validate(frame, disease_activity_suite(self.night), dataset="disease_activity")

    @cached_property
    def images(self):
        radiographs = self.staged.consultations["sop_iuid"]
        frame = facts.image_facts(self.staged.images, radiographs, self.known.images)
        suite = images_suite(
            joints=joints.COLUMNS,
            min_side=48,
            max_side=1024,
            min_contrast=4,
            max_dark_share=0.8,
            max_bright_share=0.5,
        )
        return validate(frame, suite, dataset="images")


def stage(build, *, consultations=None, readings=None, activity=None, images=None, radiographs=None, known_images=None):
    consultations = build.consultations({}) if consultations is None else consultations
    staged = Staged(
        consultations,
        build.readings(consultations) if readings is None else readings,
        build.activity() if activity is None else activity,
        build.images() if images is None else images,
    )
    known = Known(
        build.known_radiographs() if radiographs is None else radiographs,
        build.known_images() if known_images is None else known_images,
    )
    return staged, known


def judge(build, **frames):
    return Datasets(*stage(build, **frames), build.night)


def judge_night(build, **frames):
    staged, known = stage(build, **frames)
    return validate_batch(staged, known, THRESHOLDS, build.night)


def broken_rules(verdict):
    """Rules without the dataset's name, by the last part of the row's key."""
    listed = verdict.quarantine
    return {
        (key.split(":", 1)[-1].rsplit("/", 1)[-1], rule.split(".", 1)[1])
        for key, rule in zip(listed["row_key"], listed["rule"], strict=True)
    }


GOOD_CONSULTATIONS = {
    "plain": {},
    "of tonight": {"date_x_text": "2026-11-21", "date_x": date(2026, 11, 21), "date_y_text": None, "date_y": None},
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
def test_good_consultations_are_accepted(build, row):
    verdict = judge(build, consultations=build.consultations(row)).consultations
    assert len(verdict.accepted) == 1
    assert verdict.quarantine.empty


def test_each_rule_about_consultations_excludes_its_row_and_no_other(build):
    rows = [{"id_x": f"c{n}", "sop_iuid": f"1.2.{n}", **row} for n, row in enumerate(BAD_CONSULTATIONS.values())]
    verdict = judge(build, consultations=build.consultations(*rows, {"id_x": "good", "sop_iuid": "9"})).consultations
    assert broken_rules(verdict) == {(f"{n}", rule) for n, rule in enumerate(BAD_CONSULTATIONS, start=2)}
    assert list(verdict.accepted["id_x"]) == ["good"]
    assert set(verdict.quarantine["severity"]) == {"critical"}


def test_radiograph_after_the_batch_date_is_refused(build):
    row = {"date_x_text": "2026-11-22", "date_x": date(2026, 11, 22), "date_y_text": None, "date_y": None}
    verdict = judge(build, consultations=build.consultations(row)).consultations
    assert verdict.counts == {"consultations.date_x_not_future": 1}


def test_an_id_of_a_page_of_text_is_refused_in_each_table(build):
    page = "x" * 9000
    of_page = judge(build, consultations=build.consultations({"id_x": page, "patient_id": page, "sop_iuid": page}))
    assert broken_rules(of_page.consultations) == {
        ("2", "id_x_not_too_long"),
        ("2", "patient_id_not_too_long"),
        ("2", "radiograph_id_well_formed"),
    }
    assert not of_page.consultations.quarantine["reason"].str.contains("xx").any()
    visits = judge(build, activity=build.activity({"patient_id": "p" * 65}, {"patient_id": "p" * 64})).disease_activity
    assert visits.counts == {"disease_activity.patient_id_not_too_long": 1}
    assert list(visits.accepted["patient_id"]) == ["p" * 64]


@pytest.mark.parametrize("radiograph", ["1.2/3", "a\\b", ".hidden", "x" * 65, "1.2.3\n", "1 2", ""])
def test_radiograph_id_that_could_leave_a_folder_is_refused(build, radiograph):
    verdict = judge(build, consultations=build.consultations({"sop_iuid": radiograph})).consultations
    assert verdict.counts == {"consultations.radiograph_id_well_formed": 1}


def test_different_rows_with_one_id_are_all_quarantined(build):
    rows = build.consultations({}, {"body_part": "HAND_RIGHT"}, {"id_x": "c2", "sop_iuid": "1.2.2"})
    verdict = judge(build, consultations=rows).consultations
    assert broken_rules(verdict) == {("2", "id_unique"), ("3", "id_unique")}
    assert list(verdict.accepted["id_x"]) == ["c2"]


def test_rows_that_differ_in_a_joint_only_are_different(build):
    rows = build.consultations({}, {})
    readings = build.readings(rows, {"of": 0}, {"of": 1, "reading_percent": 15.0})
    verdict = judge_night(build, consultations=rows, readings=readings)
    assert verdict.consultations.counts == {"consultations.id_unique": 2}
    assert verdict.readings.counts == {"readings.consultation_accepted": 2}


def test_of_an_exact_copy_the_first_row_is_kept_whatever_the_order(build):
    rows = build.consultations({}, {}, {})
    readings = build.readings(rows, {"of": 0}, {"of": 1}, {"of": 2})
    for order in ([0, 1, 2], [2, 1, 0]):
        verdict = judge_night(build, consultations=rows.iloc[order], readings=readings)
        assert broken_rules(verdict.consultations) == {("3", "exact_copy"), ("4", "exact_copy")}
        assert list(verdict.consultations.accepted["row_number"]) == [2]
        assert list(verdict.readings.accepted["row_number"]) == [2]


def test_a_number_written_differently_is_still_a_copy(build):
    rows = build.consultations({}, {"rau_score_text": "19,0"})
    assert judge(build, consultations=rows).consultations.counts == {"consultations.exact_copy": 1}


def test_the_same_id_in_a_later_folder_is_a_newer_version(build):
    rows = build.consultations({"batch_date": EARLIER}, {"body_part": "HAND_RIGHT"})
    assert len(judge(build, consultations=rows).consultations.accepted) == 2


def test_a_radiograph_of_two_patients_is_refused(build):
    rows = build.consultations({}, {"id_x": "c2", "patient_id": "2"}, {"id_x": "c3", "sop_iuid": "1.2.3"})
    verdict = judge(build, consultations=rows).consultations
    assert broken_rules(verdict) == {("2", "radiograph_one_patient"), ("3", "radiograph_one_patient")}


def test_a_radiograph_that_the_warehouse_gives_to_another_patient_is_refused(build):
    radiographs = build.known_radiographs(**{"1_2_1": "someone else"})
    assert judge(build, radiographs=radiographs).consultations.counts == {"consultations.radiograph_one_patient": 1}
    assert judge(build, radiographs=build.known_radiographs(**{"1_2_1": "00123"})).consultations.success


def test_a_radiograph_of_two_dates_is_kept_with_a_remark(build):
    rows = build.consultations({}, {"id_x": "c2", "date_x": pd.Timestamp("2019-01-01"), "date_x_text": "2019-01-01"})
    verdict = judge(build, consultations=rows.assign(sop_iuid="1.2.3")).consultations
    assert verdict.kept_counts == {"consultations.radiograph_one_date": 2}
    assert len(verdict.accepted) == 2
    # An earlier export may have said otherwise: the newer one corrects it.
    assert judge(
        build, consultations=rows.assign(sop_iuid="1.2.3", batch_date=[EARLIER, build.night])
    ).consultations.success


def test_an_unknown_body_part_is_kept_with_a_remark(build):
    verdict = judge(build, consultations=build.consultations({"body_part": "KNEE"})).consultations
    assert verdict.kept_counts == {"consultations.body_part_known": 1}
    assert verdict.success
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
def test_a_rau_score_that_its_joints_cannot_give_gets_a_remark(build, percents, rau, possible):
    rows = build.consultations({"rau_score": rau, "rau_score_text": f"{rau:g}"})
    cells = [{"joint": f"hand_left_{n}", "reading_percent": value} for n, value in enumerate(percents, start=1)]
    verdict = judge(build, consultations=rows, readings=build.readings(rows, *cells)).consultations
    assert verdict.kept_counts == ({} if possible else {"consultations.rau_possible": 1})
    assert len(verdict.accepted) == 1


def test_rules_about_readings(build):
    rows = build.consultations({}, {"id_x": None, "sop_iuid": "1.2.2"})
    readings = build.readings(
        rows,
        {"joint": "hand_left_1", "reading_percent": 0.0},
        {"joint": "hand_left_2", "reading_percent": 100.0},
        {"joint": "hand_left_3", "reading_percent": 120.0},
        {"joint": "hand_left_4", "reading_percent": -5.0},
        {"joint": "hand_left_5", "reading_percent": np.nan, "erosion_text": "n/a"},
        {"joint": "hand_left_6", "reading_percent": 58.0},
        {"joint": "knee_1"},
        {"of": 1},
    )
    verdict = judge_night(build, consultations=rows, readings=readings).readings
    assert broken_rules(verdict) == {
        ("2:hand_left_3", "percent_in_range"),
        ("2:hand_left_4", "percent_in_range"),
        ("2:hand_left_5", "percent_readable"),
        ("2:hand_left_6", "percent_on_grid"),
        ("2:knee_1", "joint_known"),
        ("3:hand_left_1", "consultation_accepted"),
    }
    assert list(verdict.accepted["joint"]) == ["hand_left_1", "hand_left_2", "hand_left_6"]
    of_parent = verdict.quarantine.set_index("rule").loc["readings.consultation_accepted"]
    assert of_parent["reason"] == "Its consultation was quarantined."


def test_rules_about_visits(build):
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
    verdict = judge(build, activity=rows).disease_activity
    assert {rule for rule in broken_rules(verdict) if not rule[1].endswith("_agrees")} == {
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


def test_each_measure_has_a_range_and_must_be_readable(build):
    rows, expected = [], set()
    for measure in build.measures:
        for value, rule in ((-1.0, "in_range"), (2000.0, "in_range"), (np.nan, "readable")):
            rows.append({"patient_id": f"p{len(rows)}", measure: value, f"{measure}_text": "?"})
            expected.add((str(len(rows) + 1), f"{measure}_{rule}"))
    verdict = judge(build, activity=build.activity(*rows)).disease_activity
    assert {rule for rule in broken_rules(verdict) if not rule[1].endswith("_agrees")} == expected
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
def test_what_das28_can_be_computed_from_is_accepted_and_what_not_is_refused(build, measure, maximum):
    values = (0.0, float(maximum), maximum + 1.0)
    rows = build.activity(
        *({"patient_id": str(n), measure: value, f"{measure}_text": f"{value:g}"} for n, value in enumerate(values))
    )
    verdict = judge(build, activity=rows).disease_activity
    assert verdict.counts == {f"disease_activity.{measure}_in_range": 1}
    assert list(verdict.accepted[measure]) == list(values[:2])


def test_a_visit_without_any_measure_is_accepted(build):
    nothing = {
        name: value for measure in build.measures for name, value in ((measure, np.nan), (f"{measure}_text", None))
    }
    assert judge(build, activity=build.activity(nothing)).disease_activity.success


def test_das28_that_its_components_do_not_give_gets_a_remark(build):
    # 0.56 sqrt(4) + 0.28 sqrt(3) + 0.70 ln(20) + 0.014 * 30 = 4.122
    # CRP of 5: (1.12 + 0.485 + 0.36 ln 6) * 1.10 + 1.15 = 3.625
    rows = build.activity(
        {"das28bsr_score": 4.12, "das283crp_score": 3.63},
        {"das28bsr_score": 4.16, "das283crp_score": 3.6, "patient_id": "2"},
        {"das28bsr_score": 4.6, "das283crp_score": 3.6, "patient_id": "3"},
        {"das28bsr_score": 4.12, "das283crp_score": 2.9, "patient_id": "4"},
        {"das28bsr_score": 9.0, "esr": np.nan, "esr_text": None, "das283crp_score": 3.6, "patient_id": "5"},
    )
    verdict = judge(build, activity=rows).disease_activity
    assert broken_rules(verdict) == {("4", "das28_esr_agrees"), ("5", "das28_crp_agrees")}
    assert len(verdict.accepted) == 5


def test_das28_of_the_other_form_gets_a_remark_that_names_the_form(build):
    # The patient's global of 80: four variables with ESR 4.822, with CRP 4.330; three variables 4.145 and 3.625.
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
    verdict = judge(build, activity=rows).disease_activity
    assert broken_rules(verdict) == {("3", "das28_esr_agrees"), ("4", "das28_crp_agrees"), ("6", "das28_crp_agrees")}
    remedies = verdict.quarantine.drop_duplicates("rule").set_index("rule")["remedy"]
    form = "which form the registry exports (this column is the {}-variable DAS28-{})"
    assert form.format("four", "ESR") in remedies["disease_activity.das28_esr_agrees"]
    assert form.format("three", "CRP") in remedies["disease_activity.das28_crp_agrees"]


UNDECODED = {
    "decodes": False,
    "color_space": None,
    "width": np.nan,
    "height": np.nan,
    "brightness": np.nan,
    "contrast": np.nan,
    "dark_share": np.nan,
    "bright_share": np.nan,
}
BAD_IMAGES = {
    "decodes": UNDECODED,
    "color_space": {"color_space": "CMYK"},
    "width_in_range": {"width": 47},
    "height_in_range": {"height": 1025},
    "not_blank": {"contrast": 1.0},
    "not_too_dark": {"dark_share": 0.9},
    "not_saturated": {"bright_share": 0.6},
    "radiograph_known": {"sop_iuid": "9.9"},
    "joint_known": {"joint": "hand_left_11"},
    "name_matches": {"sop_iuid": None, "joint": None, "sha256": "s", "file_name": "..%2Fx.jpg"},
}
GOOD_IMAGES = [
    {"color_space": "YCbCr"},
    {"color_space": "RGB"},
    {"width": 48, "height": 1024},
    {"contrast": 4.0},
    {"dark_share": 0.8, "bright_share": 0.5},
]


def test_each_rule_about_images_excludes_its_image_and_no_other(build):
    bad = [{"joint": f"hand_left_{n}", **row} for n, row in enumerate(BAD_IMAGES.values(), start=1)]
    good = [{"joint": f"hand_right_{n}", **row} for n, row in enumerate(GOOD_IMAGES, start=1)]
    images = build.images(*bad, *good)
    verdict = judge(build, images=images).images
    expected = zip(images["file_name"], BAD_IMAGES, strict=False)
    assert broken_rules(verdict) == set(expected)
    assert len(verdict.accepted) == len(good)


def test_the_radiograph_of_a_quarantined_consultation_is_unknown_but_that_of_an_earlier_night_is_not(build):
    rows = build.consultations({"id_x": None})
    images = build.images({})
    assert judge_night(build, consultations=rows, images=images).images.counts == {"images.radiograph_known": 1}
    known = build.known_radiographs(**{"1_2_1": "00123"})
    assert judge_night(build, consultations=rows, images=images, radiographs=known).images.success


def test_two_images_of_one_joint_are_both_quarantined(build):
    images = build.images(
        {"sha256": "a"}, {"sha256": "b", "file_name": "1.2.1_hand_left_1.jpeg"}, {"joint": "hand_left_2"}
    )
    verdict = judge(build, images=images).images
    assert verdict.counts == {"images.one_file_per_joint": 2}
    assert list(verdict.accepted["joint"]) == ["hand_left_2"]


def test_the_image_that_the_warehouse_has_stays_and_the_newcomer_is_quarantined(build):
    images = build.images({"sha256": "old", "batch_date": EARLIER}, {"sha256": "new"})
    known = build.known_images(("1.2.1", "hand_left_1", "old"))
    verdict = judge(build, images=images, known_images=known).images
    assert list(verdict.accepted["sha256"]) == ["old"]
    assert verdict.counts == {"images.one_file_per_joint": 1}
    alone = judge(build, images=build.images({"sha256": "new"}), known_images=known).images
    assert alone.counts == {"images.one_file_per_joint": 1}


def test_a_damaged_file_does_not_block_the_good_one_that_replaces_it(build):
    images = build.images({"sha256": "cut", "batch_date": EARLIER, **UNDECODED}, {"sha256": "whole"})
    verdict = judge(build, images=images).images
    assert list(verdict.accepted["sha256"]) == ["whole"]
    assert verdict.counts == {"images.decodes": 1}


def test_the_same_bytes_under_two_joints_are_all_quarantined(build):
    images = build.images({"sha256": "a"}, {"sha256": "a", "joint": "hand_left_2"}, {"joint": "hand_left_3"})
    verdict = judge(build, images=images).images
    assert verdict.counts == {"images.bytes_of_one_joint": 2}
    known = build.known_images(("7.7", "hand_left_9", "a"))
    newcomer = judge(build, images=build.images({"sha256": "a"}), known_images=known).images
    assert newcomer.counts == {"images.bytes_of_one_joint": 1}


def test_an_image_delivered_again_is_booked_as_a_copy_and_not_as_bad(build):
    images = build.images({}, {"batch_date": EARLIER})
    verdict = judge(build, images=images).images
    assert list(verdict.accepted["batch_date"]) == [EARLIER]
    assert verdict.counts == {"images.exact_copy": 1}
    assert not verdict.bad


def test_an_empty_night_validates(build):
    nothing = build.consultations()
    verdict = judge_night(build, consultations=nothing)
    assert [each.n_rows for each in verdict.all] == [0, 0, 0, 0]
    assert all(each.success for each in verdict.all)
    assert verdict.quarantine.empty
    assert list(verdict.quarantine) == list(
        judge_night(build, activity=build.activity({"patient_id": None})).quarantine
    )


def test_quarantine_has_the_shape_of_the_table(build):
    listed = judge_night(build, activity=build.activity({"patient_id": None})).quarantine
    assert listed.iloc[0].to_dict() == {
        "dataset": "disease_activity",
        "row_key": "2026-11-21/disease_activity.csv:2",
        "record_id": "? 2026-11-01",
        "source_file": "2026-11-21/disease_activity.csv",
        "row_number": 2,
        "batch_date": build.night,
        "rule": "disease_activity.patient_present",
        "severity": "critical",
        "kept": False,
        "reason": "The row has no patient_id.",
        "remedy": "Fill patient_id in the registry and export the row again.",
    }


def test_a_row_that_breaks_two_rules_is_listed_twice_and_booked_once(build):
    rows = build.activity({"patient_id": None, "esr": 900.0, "esr_text": "900"})
    verdict = judge(build, activity=rows).disease_activity
    assert list(verdict.quarantine["rule"]) == ["disease_activity.patient_present", "disease_activity.esr_in_range"]
    assert verdict.counts == {"disease_activity.patient_present": 1}


def test_missing_columns_stop_the_night_with_one_message(build):
    with pytest.raises(BadInput) as refused:
        judge_night(
            build,
            consultations=build.consultations({}).drop(columns="patient_id"),
            activity=build.activity({}).drop(columns=["crp", "date"]),
        )
    message = str(refused.value)
    assert "2026-11-21/consultations.csv): The column patient_id is missing." in message
    assert "column crp is missing" in message
    assert "column date is missing" in message
    assert "2026-11-21" in message.splitlines()[0]


def test_a_column_of_text_where_numbers_belong_stops_the_night(build):
    with pytest.raises(BadInput, match="column rau_score does not hold numbers"):
        judge_night(build, consultations=build.consultations({}).assign(rau_score="19"))


def _visits(build, n, n_bad, **more):
    return build.activity(*({"patient_id": None if row < n_bad else f"p{row}", **more} for row in range(n)))


def test_too_many_bad_rows_stop_the_night(build):
    with pytest.raises(BadInput) as refused:
        judge_night(build, activity=_visits(build, 40, 11))
    message = str(refused.value)
    assert "11 of 40 rows are bad (28%, allowed are 25%)" in message
    assert "disease_activity.patient_present (11 rows, for example 2026-11-21/disease_activity.csv:10)" in message
    assert "Fill patient_id" in message


def test_the_share_of_a_small_table_is_not_judged_and_the_limit_itself_is_allowed(build):
    assert len(judge_night(build, activity=_visits(build, 39, 20)).disease_activity.bad) == 20
    assert len(judge_night(build, activity=_visits(build, 40, 10)).disease_activity.bad) == 10


def test_bad_rows_left_by_an_earlier_night_never_stop_a_later_one(build):
    leftover = build.images(*({"sop_iuid": f"9.{n}", "batch_date": EARLIER} for n in range(80)))
    empty = build.consultations()
    verdict = judge_night(
        build, consultations=empty, images=leftover, activity=_visits(build, 60, 60, batch_date=EARLIER)
    )
    assert verdict.images.counts == {"images.radiograph_known": 80}
    assert verdict.disease_activity.counts == {"disease_activity.patient_present": 60}
    assert verdict.images.accepted.empty
    assert len(verdict.quarantine) == 140


@pytest.mark.parametrize(("n_bad", "stops"), [(11, True), (10, False)])
def test_the_share_is_that_of_the_nights_own_rows(build, n_bad, stops):
    """Rows of an earlier night neither add to the bad rows nor thin them out."""
    good_leftover = _visits(build, 100, 0, batch_date=EARLIER)
    bad_leftover = _visits(build, 90, 90, batch_date=EARLIER - timedelta(days=1))
    rows = pd.concat([bad_leftover, good_leftover, _visits(build, 40, n_bad)], ignore_index=True)
    if not stops:
        assert judge_night(build, activity=rows).disease_activity.counts == {"disease_activity.patient_present": 100}
        return
    with pytest.raises(BadInput) as refused:
        judge_night(build, activity=rows)
    message = str(refused.value)
    assert "disease_activity (2026-11-21/disease_activity.csv): 11 of 40 rows are bad" in message
    assert "(11 rows, for example 2026-11-21/disease_activity.csv:" in message


def test_the_night_stops_for_its_own_reason_and_not_for_copies(build):
    copies = build.activity(*({"patient_id": "p39"} for _ in range(30))).assign(
        row_number=range(100, 130), row_key=[f"copy:{n}" for n in range(30)]
    )
    with pytest.raises(BadInput, match=r"Most frequent: disease_activity\.patient_present \(20 rows"):
        judge_night(build, activity=pd.concat([_visits(build, 40, 20), copies], ignore_index=True))


def test_copies_and_readings_of_quarantined_rows_are_not_bad_in_themselves(build):
    rows = build.consultations({}, {"id_x": None, "sop_iuid": "1.2.2"})
    cells = [{"joint": f"hand_left_{n}", "of": 1} for n in range(1, 11)]
    cells += [{"joint": f"foot_left_{n}", "of": 1} for n in range(1, 6)]
    cells += [{"joint": f"{limb}_right_{n}", "of": 1} for limb in ("hand", "foot") for n in range(1, 6)]
    rights = [{"joint": f"hand_left_{n}"} for n in range(1, 11)] + [{"joint": f"foot_left_{n}"} for n in range(1, 6)]
    verdict = judge_night(build, consultations=rows, readings=build.readings(rows, *cells, *rights)).readings
    assert verdict.n_rows == 40
    assert verdict.counts == {"readings.consultation_accepted": 25}
    assert not verdict.bad


def test_every_bad_share_is_in_the_message(build):
    unknown = build.images(*({"sop_iuid": f"9.{n}"} for n in range(40)))
    with pytest.raises(BadInput) as refused:
        judge_night(build, activity=_visits(build, 40, 40), images=unknown)
    assert "- disease_activity (" in str(refused.value)
    assert "- images (" in str(refused.value)


def test_good_predictions_pass(build):
    rows = build.predictions(
        {"image_sha256": "a"},
        {"image_sha256": "b", "predicted_percent": 0.9, "predicted_grade": 0},
        {"image_sha256": "c", "predicted_percent": 1.0, "predicted_grade": 1},
        {"image_sha256": "d", "predicted_percent": float(np.float32(20.000001)), "predicted_grade": 1},
        {"image_sha256": "e", "cdf": np.ones(101)},
    )
    check_predictions(rows, rows[["image_sha256"]])
    check_predictions(rows.head(0), rows.head(0))


def _cdf(place, value):
    values = np.clip(np.arange(101) / 40, 0, 1)
    values[place] = value
    return values


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"cdf": _cdf(100, 1.01)}, "cdf_in_range"),
        ({"cdf": _cdf(0, -0.01)}, "cdf_in_range"),
        ({"cdf": _cdf(5, np.nan)}, "cdf_in_range"),
        ({"cdf": np.ones(100)}, "cdf_in_range"),
        ({"cdf": _cdf(60, 0.5)}, "cdf_monotone"),
        ({"predicted_percent": np.nan}, "mean_present"),
        ({"predicted_percent": 100.5}, "mean_in_range"),
        ({"predicted_q05": 30.0}, "quantiles_ordered"),
        ({"predicted_q95": 19.0}, "quantiles_ordered"),
        ({"predicted_median": np.nan}, "quantiles_ordered"),
        ({"predicted_q95": 101.0}, "quantiles_ordered"),
        ({"predicted_grade": 1}, "grade_fits_mean"),
        ({"predicted_percent": 0.5, "predicted_grade": 1}, "grade_fits_mean"),
        ({"grade_probability": np.full(6, 0.2)}, "probabilities_sum_to_one"),
        ({"grade_probability": np.array([1.2, -0.2, 0, 0, 0, 0])}, "probabilities_sum_to_one"),
        ({"grade_probability": np.full(5, 0.2)}, "probabilities_sum_to_one"),
    ],
)
def test_an_impossible_prediction_is_refused(build, row, rule):
    rows = build.predictions({"image_sha256": "good"}, {"image_sha256": "bad", **row})
    with pytest.raises(ModelRejected) as refused:
        check_predictions(rows, rows[["image_sha256"]])
    assert f"(predictions.{rule}: 1 of 2)" in str(refused.value)


@pytest.mark.parametrize(
    ("planned", "predicted", "rule"),
    [
        (["a", "b"], ["a"], "predicted: 1 of 2"),
        (["a"], ["a", "b"], "planned: 1 of 2"),
        (["a"], ["a", "a"], "once: 2 of 2"),
        (["a"], [], "predicted: 1 of 1"),
    ],
)
def test_predictions_must_be_those_that_were_planned(build, planned, predicted, rule):
    rows = build.predictions(*({"image_sha256": sha} for sha in predicted))
    with pytest.raises(ModelRejected) as refused:
        check_predictions(rows, pd.DataFrame({"image_sha256": planned}, dtype="str"))
    assert f"predictions.{rule}" in str(refused.value)


def test_predictions_without_a_column_are_refused(build):
    rows = build.predictions({})
    with pytest.raises(ModelRejected, match="column cdf is missing"):
        check_predictions(rows.drop(columns="cdf"), rows)


def test_thresholds_come_from_the_settings():
    class Installation:
        max_bad_share, min_rows_for_bad_share, min_image_side, max_image_side = 0.1, 7, 20, 300

    thresholds = Thresholds.of(Installation())
    assert (thresholds.max_bad_share, thresholds.min_rows_for_bad_share) == (0.1, 7)
    assert (thresholds.min_image_side, thresholds.max_image_side) == (20, 300)


def test_a_night_in_the_past_judges_by_its_own_date(build):
    rows = build.consultations({})
    staged = Staged(rows, build.readings(rows), build.activity(), build.images())
    known = Known(build.known_radiographs(), build.known_images())
    before = validate_batch(staged, known, THRESHOLDS, build.night - timedelta(days=30))
    assert "consultations.date_x_not_future" in before.consultations.counts
