"""Duration of the validation of a large batch, and of two passes compared with one."""

from datetime import date
from time import perf_counter

import numpy as np
import pandas as pd
import pytest

from expectations.images import images_suite
from scoring.clinical import joints
from scoring.settings import Settings
from scoring.validation import facts
from scoring.validation.batch import Known, validate_batch
from scoring.validation.runner import row_breaches, run_rules

BATCH_DATE = date(2026, 11, 21)
N_RADIOGRAPHS = 1000
N_JOINTS = 10


def origin(keys, source):
    return {"row_key": keys, "source_file": source, "batch_date": BATCH_DATE}


def activities():
    source = "2026-11-21/disease_activity.csv"
    measures = {
        "physician_global_disease_activity": 20.0,
        "global_patient_estimate_disease_activity": 30.0,
        "das28bsr_score": 4.1,
        "das283crp_score": 3.6,
        "swollen_28": 3.0,
        "tender_28": 4.0,
        "esr": 20.0,
        "crp": 5.0,
    }
    return pd.DataFrame(
        {
            **origin([f"{source}:{row + 2}" for row in range(N_RADIOGRAPHS)], source),
            "row_number": range(2, N_RADIOGRAPHS + 2),
            "patient_id": [str(row) for row in range(N_RADIOGRAPHS)],
            "date_text": "2026-11-01",
            "date": date(2026, 11, 1),
            **measures,
            **{f"{measure}_text": str(value) for measure, value in measures.items()},
        }
    )


@pytest.fixture(scope="module")
def staged():
    """1,000 consultations, 10,000 readings, 1,000 visits and 10,000 images; 2 percent of readings and images bad."""
    radiographs = [f"1.2.{radiograph}" for radiograph in range(N_RADIOGRAPHS)]
    source = "2026-11-21/consultations.csv"
    consultations = pd.DataFrame(
        {
            **origin([f"{source}:{radiograph + 2}" for radiograph in range(N_RADIOGRAPHS)], source),
            "row_number": range(2, N_RADIOGRAPHS + 2),
            "id_x": radiographs,
            "patient_id": [str(radiograph // 2) for radiograph in range(N_RADIOGRAPHS)],
            "date_x_text": "2026-11-01",
            "date_x": date(2026, 11, 1),
            "date_y_text": "2026-11-10",
            "date_y": date(2026, 11, 10),
            "sop_iuid": radiographs,
            "body_part": "HAND_LEFT",
            "rau_score_text": "19",
            "rau_score": 19.0,
        }
    )
    joint = [each.column for each in joints.LEFT_HAND] * N_RADIOGRAPHS
    each_joint = consultations.loc[consultations.index.repeat(N_JOINTS)].reset_index(drop=True)
    bad = np.arange(len(each_joint)) % 50 == 0
    readings = each_joint[["source_file", "row_number", "batch_date", "id_x", "patient_id", "sop_iuid"]].assign(
        joint=joint,
        row_key=each_joint["row_key"] + ":" + pd.Series(joint),
        reading_percent_text="5",
        reading_percent=np.where(bad, 120.0, 5.0),
    )
    names = each_joint["sop_iuid"] + "_" + pd.Series(joint) + ".jpg"
    images = pd.DataFrame(
        {
            **origin("2026-11-21/joints/" + names, "2026-11-21/joints/" + names),
            "row_number": 0,
            "file_name": names,
            "sha256": [f"{number:064x}" for number in range(len(names))],
            "sop_iuid": each_joint["sop_iuid"],
            "joint": joint,
            "decodes": True,
            "color_space": "Gray",
            "width": np.where(bad, 7, 128),
            "height": 128,
            "contrast": 30.0,
            "dark_share": 0.1,
            "bright_share": 0.0,
        }
    )
    return {"consultations": consultations, "readings": readings, "disease_activity": activities(), "images": images}


def test_validate_batch_validates_ten_thousand_images(staged, benchmark):
    known = Known(
        pd.DataFrame(columns=["sop_iuid", "patient_id"], dtype="str"),
        pd.DataFrame(columns=["sop_iuid", "joint", "image_sha256"], dtype="str"),
    )
    verdict = benchmark.pedantic(validate_batch, (staged, known, Settings(_env_file=None), BATCH_DATE), rounds=2)
    assert verdict.images.counts == {"images.width_in_range": 200}
    assert verdict.readings.counts == {"readings.percent_in_range": 200}


@pytest.mark.parametrize("all_bad", [False, True], ids=["clean batch", "every row bad"])
def test_row_breaches_takes_less_than_three_complete_passes(staged, benchmark, all_bad):
    """The ratio is in the extra info of the benchmark; the limit only detects a defect."""
    known = pd.DataFrame(columns=["sop_iuid", "joint", "image_sha256"], dtype="str")
    frame = facts.image_facts(staged["images"], staged["consultations"]["sop_iuid"], known)
    frame["width"] = 7 if all_bad else 128
    suite = images_suite(min_side=48, max_side=1024)
    rules = [rule for rule in suite.rules if not rule.check.of_table]
    complete = {"result_format": "COMPLETE", "unexpected_index_column_names": ["row_key"]}

    one_pass = []
    for _ in range(2):
        started = perf_counter()
        run_rules(frame, suite.name, rules, complete)
        one_pass.append(perf_counter() - started)
    found = benchmark.pedantic(row_breaches, (frame, suite), rounds=2)

    assert [len(breach.rows) for breach in found] == ([len(frame)] if all_bad else [])
    ratio = benchmark.stats.stats.min / min(one_pass)
    benchmark.extra_info["two passes / one complete pass"] = round(ratio, 2)
    assert ratio < 3
