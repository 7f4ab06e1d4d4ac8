"""A Rau score is current while one of its radiographs is still at its visit, whatever the order of changes."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tests.lib.staged import RUN
from tests.lib.warehouse import execute

RADIOGRAPHS, PATIENTS, DAYS, MODELS = ("f", "g", "h"), ("p", "q"), ("2020-01-01", "2020-02-01"), ("one", "two")

PREPARE = f"""
INSERT INTO scoring.run (run_id, batch_date, started_at, trigger, triggered_by, code_revision)
VALUES ('{RUN}', '2026-11-21', now(), 'cli', 'test', 'abc');
INSERT INTO scoring.model_version (
    version, architecture, input_size, preprocessing_version, weights_sha256, manifest, trained_on_synthetic
)
SELECT version, 'cdf', 128, 'grey128-v1', repeat('0', 64), '{{}}', TRUE FROM unnest(ARRAY['one', 'two']) AS version;
INSERT INTO registry.radiograph (sop_iuid, patient_id, visit_date, batch_date, first_batch_date, run_id)
SELECT sop_iuid, 'p', '2020-01-01', '2026-11-21', '2026-11-21', '{RUN}' FROM unnest(ARRAY['f', 'g', 'h']) AS sop_iuid;
"""  # noqa: S608 - constants
MOVE = "UPDATE registry.radiograph SET patient_id = :patient, visit_date = :day WHERE sop_iuid = :radiograph"
# Scores the radiographs that are at a visit, and the visit itself, in one statement as the job does.
SCORE = f"""
INSERT INTO scoring.rau_prediction (
    scope, patient_id, visit_date, sop_iuid, model_version, preprocessing_version, rau_expected, rau_median, rau_q05,
    rau_q95, rau_from_grades, n_scored, batch_date, first_batch_date, run_id
)
SELECT
    CASE sop_iuid WHEN '' THEN 'visit' ELSE 'radiograph' END, patient_id, visit_date, sop_iuid, :model, 'grey128-v1',
    9, 9, 9, 9, 9, 1, '2026-11-21', '2026-11-21', '{RUN}'
FROM (
    SELECT DISTINCT patient_id, visit_date, unnest(ARRAY['', sop_iuid]) AS sop_iuid FROM registry.radiograph
    WHERE patient_id = :patient AND visit_date = :day
) AS present
ORDER BY sop_iuid
ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants
WRONG = """
SELECT score.* FROM scoring.rau_prediction AS score
WHERE score.is_current IS DISTINCT FROM EXISTS (
    SELECT FROM scoring.rau_prediction AS scored
    INNER JOIN registry.radiograph USING (sop_iuid, patient_id, visit_date)
    WHERE scored.scope = 'radiograph' AND scored.model_version = score.model_version
        AND scored.patient_id = score.patient_id AND scored.visit_date = score.visit_date
        AND (score.scope = 'visit' OR scored.sop_iuid = score.sop_iuid)
)
"""

visits = {"patient": st.sampled_from(PATIENTS), "day": st.sampled_from(DAYS)}
moves = st.fixed_dictionaries({"radiograph": st.sampled_from(RADIOGRAPHS), **visits})
scorings = st.fixed_dictionaries({"model": st.sampled_from(MODELS), **visits})


@pytest.fixture(scope="module")
def prepared(new_warehouse):
    with new_warehouse() as warehouse:
        execute(warehouse.engine(warehouse.owner_url), PREPARE)
        yield warehouse.engine()


@given(steps=st.lists(st.one_of(moves, scorings), max_size=12))
def test_is_current_follows_the_radiographs(prepared, steps):
    with prepared.connect() as job:
        for step in [{"model": "one", "patient": "p", "day": DAYS[0]}, *steps]:
            job.execute(sa.text(MOVE if "radiograph" in step else SCORE), step)
            assert job.execute(sa.text(WRONG)).all() == []
        job.rollback()


def test_is_current_is_restored_with_a_radiograph_that_moves_back(prepared):
    home, away = {"patient": "p", "day": DAYS[0]}, {"patient": "q", "day": DAYS[1]}
    current = sa.text("SELECT count(*) FROM scoring.rau_prediction WHERE is_current AND patient_id = 'p'")
    with prepared.connect() as job:
        job.execute(sa.text(SCORE), {"model": "one", **home})
        counts = [job.scalar(current)]
        for radiograph, place in [("f", away), ("g", away), ("h", away), ("f", home)]:
            job.execute(sa.text(MOVE), {"radiograph": radiograph, **place})
            counts.append(job.scalar(current))
        job.rollback()
    # Three radiographs and the visit; one radiograph less after each move, the visit with the last one; and one
    # radiograph with the visit again.
    assert counts == [4, 3, 2, 0, 2]
