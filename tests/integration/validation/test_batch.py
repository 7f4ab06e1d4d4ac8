"""Validation of a whole batch: quarantine, rejected batches and the share of bad rows."""

from datetime import timedelta

import pandas as pd
import pytest

from scoring.errors import BadInput
from scoring.settings import Settings


def test_validate_batch_accepts_an_empty_batch(build):
    nothing = build.consultations()
    verdict = build.validate_batch(consultations=nothing)
    assert [(each.n_rows, each.counts) for each in verdict] == [(0, {})] * 4
    assert verdict.quarantine.empty
    assert list(verdict.quarantine) == list(
        build.validate_batch(activity=build.activity({"patient_id": None})).quarantine
    )


def test_validate_batch_returns_quarantine_rows_with_origin_reason_and_remedy(build):
    listed = build.validate_batch(activity=build.activity({"patient_id": None})).quarantine
    assert listed.iloc[0].to_dict() == {
        "dataset": "disease_activity",
        "row_key": "2026-11-21/disease_activity.csv:2",
        "record_id": "? 2026-11-01",
        "source_file": "2026-11-21/disease_activity.csv",
        "row_number": 2,
        "batch_date": build.batch_date,
        "rule": "disease_activity.patient_present",
        "severity": "critical",
        "kept": False,
        "reason": "The row has no patient_id.",
        "remedy": "Enter patient_id in the registry and export the row again.",
    }


def test_validate_lists_a_row_per_broken_rule_and_counts_it_once(build):
    rows = build.activity({"patient_id": None, "esr": 900.0, "esr_text": "900"})
    verdict = build.judge(activity=rows).disease_activity
    assert list(verdict.quarantine["rule"]) == ["disease_activity.patient_present", "disease_activity.esr_in_range"]
    assert verdict.counts == {"disease_activity.patient_present": 1}


def test_validate_batch_reports_all_missing_columns_in_one_error(build):
    with pytest.raises(BadInput) as rejected:
        build.validate_batch(
            consultations=build.consultations({}).drop(columns="patient_id"),
            activity=build.activity({}).drop(columns=["crp", "date"]),
        )
    message = str(rejected.value)
    assert "2026-11-21/consultations.csv): The column patient_id is missing." in message
    assert "column crp is missing" in message
    assert "column date is missing" in message
    assert message.startswith("The batch of 2026-11-21 was rejected and nothing was published.")


def test_validate_batch_rejects_a_batch_with_text_in_a_numeric_column(build):
    with pytest.raises(BadInput, match="column rau_score does not hold numbers"):
        build.validate_batch(consultations=build.consultations({}).assign(rau_score="19"))


def _visits(build, n, n_bad, **more):
    return build.activity(*({"patient_id": None if row < n_bad else f"p{row}", **more} for row in range(n)))


def test_validate_batch_rejects_a_batch_with_too_many_bad_rows(build):
    with pytest.raises(BadInput) as rejected:
        build.validate_batch(activity=_visits(build, 40, 11))
    message = str(rejected.value)
    assert "11 of 40 rows are bad (28 percent, the limit is 25 percent)" in message
    assert "The rule broken most often is disease_activity.patient_present (11 rows, " in message
    assert "for example 2026-11-21/disease_activity.csv:10)" in message
    assert "Enter patient_id" in message


def test_validate_batch_accepts_a_small_table_and_a_bad_share_at_the_limit(build):
    assert len(build.validate_batch(activity=_visits(build, 39, 20)).disease_activity.bad) == 20
    assert len(build.validate_batch(activity=_visits(build, 40, 10)).disease_activity.bad) == 10


def test_validate_batch_ignores_bad_rows_of_earlier_batches_in_the_bad_share(build):
    leftover = build.images(*({"sop_iuid": f"9.{n}", "batch_date": build.earlier} for n in range(80)))
    empty = build.consultations()
    verdict = build.validate_batch(
        consultations=empty, images=leftover, activity=_visits(build, 60, 60, batch_date=build.earlier)
    )
    assert verdict.images.counts == {"images.radiograph_known": 80}
    assert verdict.disease_activity.counts == {"disease_activity.patient_present": 60}
    assert verdict.images.accepted.empty
    assert len(verdict.quarantine) == 140


@pytest.mark.parametrize(("n_bad", "stops"), [(11, True), (10, False)])
def test_validate_batch_computes_the_bad_share_of_its_own_rows(build, n_bad, stops):
    """Rows of earlier batches change neither the number of bad rows nor the number of rows."""
    good_leftover = _visits(build, 100, 0, batch_date=build.earlier)
    bad_leftover = _visits(build, 90, 90, batch_date=build.earlier - timedelta(days=1))
    rows = pd.concat([bad_leftover, good_leftover, _visits(build, 40, n_bad)], ignore_index=True)
    if not stops:
        assert build.validate_batch(activity=rows).disease_activity.counts == {"disease_activity.patient_present": 100}
        return
    with pytest.raises(BadInput) as rejected:
        build.validate_batch(activity=rows)
    message = str(rejected.value)
    assert "disease_activity (2026-11-21/disease_activity.csv): 11 of 40 rows are bad" in message
    assert "(11 rows, for example 2026-11-21/disease_activity.csv:" in message


def test_validate_batch_names_the_rule_broken_most_often_and_ignores_copies(build):
    copies = build.activity(*({"patient_id": "p39"} for _ in range(30))).assign(
        row_number=range(100, 130), row_key=[f"copy:{n}" for n in range(30)]
    )
    with pytest.raises(BadInput, match=r"most often is disease_activity\.patient_present \(20 rows"):
        build.validate_batch(activity=pd.concat([_visits(build, 40, 20), copies], ignore_index=True))


def test_validate_batch_does_not_count_readings_of_quarantined_rows_as_bad(build):
    rows = build.consultations({}, {"id_x": None, "sop_iuid": "1.2.2"})
    cells = [{"joint": f"hand_left_{n}", "of": 1} for n in range(1, 11)]
    cells += [{"joint": f"foot_left_{n}", "of": 1} for n in range(1, 6)]
    cells += [{"joint": f"{limb}_right_{n}", "of": 1} for limb in ("hand", "foot") for n in range(1, 6)]
    rights = [{"joint": f"hand_left_{n}"} for n in range(1, 11)] + [{"joint": f"foot_left_{n}"} for n in range(1, 6)]
    verdict = build.validate_batch(consultations=rows, readings=build.readings(rows, *cells, *rights)).readings
    assert verdict.n_rows == 40
    assert verdict.counts == {"readings.consultation_accepted": 25}
    assert not verdict.bad


def test_validate_batch_reports_every_table_with_too_many_bad_rows(build):
    unknown = build.images(*({"sop_iuid": f"9.{n}"} for n in range(40)))
    with pytest.raises(BadInput) as rejected:
        build.validate_batch(activity=_visits(build, 40, 40), images=unknown)
    assert "- disease_activity (" in str(rejected.value)
    assert "- images (" in str(rejected.value)


@pytest.mark.slow
def test_validate_batch_takes_its_limits_from_the_settings(build):
    settings = Settings(
        _env_file=None, max_bad_share=0.1, min_rows_for_bad_share=7, min_image_side=100, max_image_side=110
    )
    assert build.validate_batch(settings=settings, activity=_visits(build, 6, 6)).disease_activity.bad
    with pytest.raises(BadInput, match=r"1 of 7 rows are bad \(14 percent, the limit is 10 percent\)"):
        build.validate_batch(settings=settings, activity=_visits(build, 7, 1))
    images = build.images(
        *({"joint": f"hand_left_{n}", "width": side, "height": 105} for n, side in ((1, 99), (2, 111), (3, 100)))
    )
    assert build.validate_batch(settings=settings, images=images).images.counts == {"images.width_in_range": 2}


def test_validate_batch_compares_dates_with_its_own_batch_date(build):
    before = build.validate_batch(batch_date=build.batch_date - timedelta(days=30))
    assert "consultations.date_x_not_future" in before.consultations.counts
