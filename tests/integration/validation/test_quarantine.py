import subprocess
import sys
from datetime import date

from scoring.validation.quarantine import QUARANTINE_COLUMNS, rejected_at_scoring


def test_rejected_at_scoring_lists_images_with_their_origin(build):
    images = build.images({}, {"joint": "hand_left_2", "batch_date": date(2026, 11, 20)})
    listed = rejected_at_scoring(images)
    assert listed.iloc[1].to_dict() == {
        "dataset": "images",
        "row_key": "2026-11-20/joints/1.2.1_hand_left_2.jpg",
        "record_id": "1.2.1_hand_left_2",
        "source_file": "2026-11-20/joints/1.2.1_hand_left_2.jpg",
        "row_number": 0,
        "batch_date": date(2026, 11, 20),
        "rule": "images.unchanged_since_validation",
        "severity": "critical",
        "kept": False,
        "reason": "The file was changed or removed after it was validated.",
        "remedy": "Deliver the file again or run the batch again; no data is lost.",
    }
    assert list(listed["row_key"]) == list(images["row_key"])


def test_rejected_at_scoring_has_the_columns_of_the_quarantine(build):
    quarantine = build.validate_batch(consultations=build.consultations(), images=build.images({})).quarantine
    assert len(quarantine) == 1
    for images in (build.images({}), build.images({}).head(0)):
        listed = rejected_at_scoring(images)
        assert list(listed) == list(quarantine) == list(QUARANTINE_COLUMNS)
        assert len(listed) == len(images)


def test_quarantine_module_does_not_import_great_expectations():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, scoring.validation.quarantine; print('great_expectations' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
