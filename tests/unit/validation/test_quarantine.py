import subprocess
import sys
from datetime import date

from scoring.validation.batch import Known, Staged, Thresholds, validate_batch
from scoring.validation.quarantine import QUARANTINE_COLUMNS, rejected_at_scoring

THRESHOLDS = Thresholds(max_bad_share=0.25, min_rows_for_bad_share=40, min_image_side=48, max_image_side=1024)


def test_an_image_that_changed_before_it_was_scored_is_listed_with_its_origin(build):
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
        "reason": "The file was changed or taken away after it was validated.",
        "remedy": "Nothing is lost: deliver it again or run the night again.",
    }
    assert list(listed["row_key"]) == list(images["row_key"])


def test_it_has_the_shape_of_the_quarantine_of_a_night_also_without_rows(build):
    consultations = build.consultations()
    staged = Staged(consultations, build.readings(consultations), build.activity(), build.images({}))
    known = Known(build.known_radiographs(), build.known_images())
    of_night = validate_batch(staged, known, THRESHOLDS, build.night).quarantine
    assert len(of_night) == 1
    for images in (build.images({}), build.images({}).head(0)):
        listed = rejected_at_scoring(images)
        assert list(listed) == list(of_night) == list(QUARANTINE_COLUMNS)
        assert len(listed) == len(images)


def test_it_needs_no_great_expectations():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, scoring.validation.quarantine; print('great_expectations' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "False"
