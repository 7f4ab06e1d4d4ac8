from uuid import uuid4

import pytest
from upath import UPath

from scoring import contract
from scoring.clinical import joints
from scoring.contract import any_synthetic, column_names, is_synthetic

# Thesis (ZHAW 2017), Table 2 (consultations) and Table 3 (disease activity).
THESIS_COLUMNS = {
    "consultations": (
        *("id_x", "patient_id", "date_x", "date_y", "sop_iuid", "body_part"),
        *(f"hand_left_{number}" for number in range(1, 11)),
        "rau_score",
    ),
    "disease_activity": (
        *("patient_id", "date", "physician_global_disease_activity", "global_patient_estimate_disease_activity"),
        *("das28bsr_score", "das283crp_score"),
    ),
}
ADDED_COLUMNS = {
    "consultations": set(joints.COLUMNS) - set(THESIS_COLUMNS["consultations"]),
    "disease_activity": {"swollen_28", "tender_28", "esr", "crp"},
}


@pytest.mark.parametrize("dataset", contract.DATASETS)
def test_column_names_requires_the_columns_of_the_thesis_only(dataset):
    assert column_names(dataset, required=True) == THESIS_COLUMNS[dataset]
    assert set(column_names(dataset, required=False)) == ADDED_COLUMNS[dataset]


def test_columns_contain_every_joint_of_the_registry_in_order():
    percent = [column.name for column in contract.CONSULTATION_COLUMNS if column.unit == "percent"]
    assert tuple(percent) == joints.COLUMNS


@pytest.mark.parametrize("dataset", contract.DATASETS)
def test_columns_have_unique_names_and_a_meaning_and_numbers_a_unit_and_range(dataset):
    columns = contract.COLUMNS[dataset]
    assert len({column.name for column in columns}) == len(columns)
    assert all(column.meaning.endswith(".") for column in columns)
    for column in columns:
        is_number = column.type == "number"
        assert bool(column.unit) == is_number
        assert (column.maximum is not None) == is_number


def test_measures_are_the_numbers_of_disease_activity():
    assert set(contract.MEASURES) == {
        *column_names("disease_activity", required=True),
        *column_names("disease_activity", required=False),
    } - {"patient_id", "date"}


@pytest.fixture(params=["local", "memory"])
def landing(request, tmp_path):
    """A landing folder with a synthetic batch of the 20th and a batch of a hospital of the 21st."""
    root = UPath(tmp_path) if request.param == "local" else UPath(f"memory://{uuid4().hex}")
    for name in ("2026-11-20/_SYNTHETIC", "2026-11-20/joints/a.jpg", "2026-11-21/joints/b.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_is_synthetic_is_true_for_a_folder_with_the_marker(landing):
    assert is_synthetic(landing / "2026-11-20")
    assert not is_synthetic(landing / "2026-11-21")


def test_any_synthetic_checks_the_batch_folders_of_images(landing):
    synthetic, real = (str(landing / name) for name in ("2026-11-20/joints/a.jpg", "2026-11-21/joints/b.jpg"))
    assert any_synthetic([real, synthetic])
    assert not any_synthetic([real, real])
    assert not any_synthetic([])
