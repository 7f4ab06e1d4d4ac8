from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from scoring.errors import BadInput
from scoring.export import omop

DAY = date(2020, 1, 1)
PATIENTS = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=8)


@given(earlier=PATIENTS, later=PATIENTS)
def test_number_persons_keeps_known_numbers_and_never_repeats_one(earlier, later):
    before = omop.number_persons(earlier, {})
    after = omop.number_persons(later, before)
    assert {name: after[name] for name in before} == before
    assert set(after) == {*earlier, *later}
    assert sorted(after.values()) == list(range(1, len(after) + 1))


@given(PATIENTS)
def test_read_persons_returns_what_write_persons_wrote(tmp_path_factory, patients):
    path = UPath(tmp_path_factory.mktemp("map") / "person_map.csv")
    persons = omop.number_persons(patients, {})
    omop.write_persons(persons, path)
    assert omop.read_persons(path) == persons


@pytest.mark.parametrize(
    "text", ["", "person_id,patient_id\none,a\n", "a,b\n1,2\n", "person_id,patient_id\n1,a\n1,b\n"]
)
def test_read_persons_rejects_other_files(tmp_path, text):
    path = UPath(tmp_path / "map.csv")
    path.write_text(text)
    if text:
        with pytest.raises(BadInput, match=r"not a person map|duplicate"):
            omop.read_persons(path)
    else:
        assert omop.read_persons(path) == {}


def test_das28_rows_are_one_measurement_per_form():
    visit = {
        "patient_id": "p", "visit_date": DAY, "das28_esr4": 4.0, "das28_esr4_origin": "reported", "das28_esr3": None,
        "das28_crp4": 3.5, "das28_crp3": 3.0, "das28_crp3_origin": "computed",
    }  # fmt: skip
    rows = list(omop.das28_rows(visit))
    assert [(row["measurement_source_value"], row["measurement_type_concept_id"]) for row in rows] == [
        ("das28_esr4", omop.REGISTRY),
        ("das28_crp4", omop.ALGORITHM),
        ("das28_crp3", omop.ALGORITHM),
    ]


def test_rau_rows_contain_interval_number_of_joints_and_synthetic_model():
    score = {
        "patient_id": "p", "visit_date": DAY, "rau_expected": 12.34, "rau_q05": 3.0, "rau_q95": 20.0, "n_scored": 10,
        "trained_on_synthetic": True,
    }  # fmt: skip
    (row,) = omop.numbered(omop.rau_rows(score), {"p": 7})
    found = dict(zip(omop.MEASUREMENT.names, row, strict=True))
    assert found["value_source_value"] == "12.3 [3.0, 20.0] n=10 synthetic model"
    assert (found["measurement_id"], found["person_id"], found["value_as_number"]) == (1, 7, 12.34)
