"""Training set: the joints of a snapshot with their readings, divided into training, validation and test set.

A broken critical rule stops the training, even if it concerns a single joint: a network that was trained on wrong data
looks like any other.
"""

from expectations import check, shared
from expectations.rule import Rule, Suite

REQUIRED = ("pixels_sha256", "joint", "patient_id", "part", "reading_percent", "grade")

PARTS = ("train", "validation", "test")
GRADES = range(6)

JOINTS = (
    Rule(
        "training_set.percent_in_range",
        check.between("reading_percent", 0, 100),
        reason="The reading is outside 0 to 100 percent.",
        remedy="Before training, find out how the reading passed the validation of its batch.",
    ),
    Rule(
        "training_set.percent_on_grid",
        check.is_true("on_grid"),
        reason="The reading is not a multiple of 5 percent; the joint is kept.",
        remedy="Ignore single cases; if there are many, check the reader's method and the import.",
        severity="warning",
    ),
    Rule(
        "training_set.patient_in_one_part",
        check.at_most("parts_of_patient", 1),
        reason="A patient is in several sets (training, validation, test), so the test would not be independent.",
        remedy="Do not train on this snapshot; report the faulty split to the maintainer.",
    ),
    Rule(
        "training_set.image_read_once",
        check.at_most("readings_of_image", 1),
        reason="The same image is in the set with different readings.",
        remedy="Find out which joint the image shows, and have the file of the other joint extracted again.",
    ),
)


def training_set_suite(*, min_joints_of_grade: int, min_patients: int, min_test_patients: int) -> Suite:
    """Return the rules for one snapshot.

    The training set needs a number of joints of each Ratingen grade, the whole set a number of patients, and the test
    set a number of patients, below which no challenger could be shown to be better.
    """
    rules = (
        *shared.columns("training_set", REQUIRED, ["reading_percent"]),
        Rule(
            "training_set.has_readings",
            check.rows_at_least(1),
            reason="No joint has both a reading and an accepted image.",
            remedy="Load batches with readings and images of the same radiographs, or choose a later cut-off date.",
        ),
        Rule(
            "training_set.enough_patients",
            check.distinct_values_at_least("patient_id", min_patients),
            reason=f"The readings come from fewer than {min_patients} patients.",
            remedy="Have radiographs of more patients read; SCORING_MIN_TRAINING_PATIENTS sets the minimum.",
        ),
        Rule(
            "training_set.has_every_part",
            check.includes_all("part", PARTS),
            reason="The training, validation or test set has no patients.",
            remedy="Have radiographs of more patients read; the set that a patient belongs to is fixed.",
        ),
        Rule(
            "training_set.enough_test_patients",
            check.distinct_values_at_least("patient_id", min_test_patients, part="test"),
            reason=f"The test set has fewer than {min_test_patients} patients; it receives one patient in ten.",
            remedy="Have radiographs of more patients read; with so few, no model could be shown to be better.",
        ),
        *(
            Rule(
                f"training_set.enough_of_grade_{grade}",
                check.rows_at_least(min_joints_of_grade, grade=grade, part="train"),
                reason=f"The training set has fewer than {min_joints_of_grade} joints of grade {grade}.",
                remedy="Have more radiographs with such joints read; SCORING_MIN_JOINTS_OF_GRADE sets the minimum.",
            )
            for grade in GRADES
        ),
        *JOINTS,
    )
    return Suite("training_set", rules)
