"""Examples for the error catalogue: a message per exit code, and data that break each validation rule."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """A failure as the operator sees it.

    Attributes:
        message: Example of the message; "…" replaces text that varies.
        remedy: Instructions for the operator.
    """

    message: str
    remedy: str


FAILURES: Mapping[str, Failure] = {
    "BadInput": Failure(
        "2026-11-21/consultations.csv has no column patient_id. Add it to the export, or restore its name. …",
        "Have the file corrected that the message names, then run the batch again.",
    ),
    "LandingNotReady": Failure(
        "…/2026-11-21 does not exist. …",
        "Wait for the extractor. If the folder stays away or has no `_SUCCESS`, ask the owner of the extractor.",
    ),
    "WarehouseUnavailable": Failure(
        "The warehouse (database scoring at …) is unavailable: …",
        "Check that PostgreSQL runs and can be reached, then run the command again.",
    ),
    "WarehouseNotMigrated": Failure(
        "The warehouse (database scoring at …) has no tables yet: …",
        "Run `scoring migrate`. If the database is newer than the code, update the code.",
    ),
    "ModelRejected": Failure(
        "…/models/mine-1/weights.npz was changed: its sha256 is …, but its manifest states …",
        "Restore the folder of the model in the model store, or promote another model.",
    ),
    "ReconciliationFailed": Failure(
        "The run of batch 2026-11-21 … step score did not finish …",
        "Clear the task that the message names and the later ones. If the failure remains, do not use the figures of "
        "the batch, and report it.",
    ),
    "InvalidRequest": Failure(
        "The person map exports/person_map.csv does not exist. …",
        "Correct the argument or the setting that the message names.",
    ),
    "RuleNotComputed": Failure(
        "Rules of the suite consultations could not be computed: …",
        "Report it to the maintainers. The data may be good, and no row was quarantined for these rules.",
    ),
    "StorageUnavailable": Failure(
        "….jpg could not be read (…). Check the storage of the images and try again.",
        "Free space, or mount the storage. The files may be intact.",
    ),
    "TrainingDiverged": Failure(
        "The loss became nan in epoch 3 (learning rate 0.002). …",
        "Look for damaged images or readings in the training set, or use another recipe.",
    ),
}

RULES: Mapping[str, str] = {
    "consultations.id_unique": "two rows with `id_x` = `c-17` and different dates",
    "consultations.exact_copy": "a row that occurs twice",
    "consultations.patient_is_pseudonym": "`patient_id` in the form of a surname",
    "consultations.date_x_not_future": "`date_x` = `2026-12-24` in the batch of 2026-11-21",
    "consultations.date_x_not_ancient": "`date_x` = `1899-12-30`",
    "consultations.date_y_not_before_date_x": "`date_x` = `2026-05-04`, `date_y` = `2026-04-05`",
    "consultations.date_y_not_future": "`date_y` = `2026-12-24` in the batch of 2026-11-21",
    "consultations.radiograph_id_well_formed": "`sop_iuid` = `../../etc/passwd`",
    "consultations.radiograph_one_patient": "one `sop_iuid` with two different `patient_id`",
    "consultations.radiograph_one_date": "one `sop_iuid` with `date_x` = `2026-05-04` and `2026-05-05`",
    "consultations.body_part_known": "`body_part` = `ELBOW_LEFT`",
    "consultations.rau_possible": "all ten joints at 0, `rau_score` = `190`",
    "readings.consultation_accepted": "a reading in a quarantined row",
    "readings.joint_known": "a column that is not in the landing contract",
    "readings.percent_readable": "`hand_left_2` = `n/a`",
    "readings.percent_in_range": "`hand_left_2` = `120`",
    "readings.percent_on_grid": "`hand_left_2` = `33`",
    "disease_activity.patient_is_pseudonym": "`patient_id` in the form of a surname",
    "disease_activity.date_not_future": "`date` = `2026-12-24` in the batch of 2026-11-21",
    "disease_activity.visit_unique": "two rows of one patient and date with different `esr`",
    "disease_activity.exact_copy": "a row that occurs twice",
    "disease_activity.swollen_28_whole": "`swollen_28` = `3.5`",
    "disease_activity.tender_28_whole": "`tender_28` = `3.5`",
    "disease_activity.das28_esr_agrees": "`das28bsr_score` = `3.1`, but 4.6 from the components",
    "disease_activity.das28_crp_agrees": "`crp` in mg/dL instead of mg/L",
    "images.name_matches": "`joints/IMG_0001.jpg`",
    "images.joint_known": "`…_hand_left_11.jpg`",
    "images.radiograph_known": "an image before its consultation",
    "images.decodes": "a file that ends in the middle",
    "images.color_space": "a CMYK image for printing",
    "images.width_in_range": "a whole radiograph instead of one joint",
    "images.height_in_range": "a whole radiograph instead of one joint",
    "images.not_blank": "a crop next to the hand",
    "images.not_too_dark": "a crop outside the collimated field",
    "images.not_saturated": "an overexposed image",
    "images.one_file_per_joint": "`….jpg` and `….jpeg` of the same joint with different content",
    "images.bytes_of_one_joint": "one file under the names of two joints",
    "images.exact_copy": "`….jpg` and `….jpeg` of the same joint with equal content",
    "predictions.predicted": "an image that the engine skipped",
    "predictions.planned": "a prediction for an image of another run",
    "predictions.once": "two predictions for one image",
    "predictions.cdf_in_range": "a distribution with NaN",
    "predictions.cdf_monotone": "F(20) = 0.8, F(21) = 0.7",
    "predictions.quantiles_ordered": "median below the lower end of the interval",
    "predictions.grade_fits_mean": "grade 3 where the rule gives 2",
    "predictions.probabilities_sum_to_one": "probabilities that sum to 0.9",
    "predictions.mean_in_range": "`predicted_percent` = `101`",
    "training_set.has_readings": "no batch with readings and images of the same radiographs",
    "training_set.enough_patients": "readings of 40 patients",
    "training_set.has_every_part": "too few patients for a test set",
    "training_set.enough_test_patients": "readings of 40 patients",
    "training_set.percent_in_range": "a reading of 120",
    "training_set.percent_on_grid": "a reading of 33",
    "training_set.patient_in_one_part": "a patient in the training set and in the test set",
    "training_set.image_read_once": "one image with readings of 0 and 60",
}
