"""A predicted Rau score stands while a radiograph it was made from is still at its visit, in whatever order things come."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from scoring.warehouse.engine import transaction

RADIOGRAPHS, PATIENTS, DAYS, MODELS = ("f", "g", "h"), ("p", "q"), ("2020-01-01", "2020-02-01"), ("one", "two")
RUN = "00000000-0000-0000-0000-000000000001"

PREPARE = f"""
INSERT INTO scoring.run (run_id, batch_date, started_at, trigger, triggered_by, code_revision)
VALUES ('{RUN}', '2026-11-21', now(), 'cli', 'test', 'abc');
INSERT INTO scoring.model_version (
    version, architecture, input_size, preprocessing_version, weights_sha256, manifest, trained_on_synthetic
)
SELECT version, 'cdf', 128, 'grey128-v1', repeat('0', 64), '{{}}', TRUE FROM unnest(ARRAY['one', 'two']) AS version;
INSERT INTO registry.radiograph (sop_iuid, patient_id, visit_date, batch_date, first_batch_date, run_id)
SELECT radiograph, 'p', '2020-01-01', '2026-11-21', '2026-11-21', '{RUN}' FROM unnest(ARRAY['f', 'g', 'h']) AS radiograph;
"""  # noqa: S608 - our own text
MOVE = "UPDATE registry.radiograph SET patient_id = :patient, visit_date = :day WHERE sop_iuid = :radiograph"
# The radiographs that are at the visit now, and the visit itself, in one statement as the job writes them.
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
) AS there
ORDER BY sop_iuid
ON CONFLICT DO NOTHING
"""  # noqa: S608 - our own text
WRONG = """
SELECT score.* FROM scoring.rau_prediction AS score
WHERE score.stands IS DISTINCT FROM EXISTS (
    SELECT FROM scoring.rau_prediction AS radiograph
    INNER JOIN registry.radiograph USING (sop_iuid, patient_id, visit_date)
    WHERE radiograph.scope = 'radiograph' AND radiograph.model_version = score.model_version AND radiograph.patient_id = score.patient_id
        AND radiograph.visit_date = score.visit_date AND (score.scope = 'visit' OR radiograph.sop_iuid = score.sop_iuid)
)
"""

visits = {"patient": st.sampled_from(PATIENTS), "day": st.sampled_from(DAYS)}
moves = st.fixed_dictionaries({"radiograph": st.sampled_from(RADIOGRAPHS), **visits})
scorings = st.fixed_dictionaries({"model": st.sampled_from(MODELS), **visits})


@pytest.fixture(scope="module")
def prepared(new_warehouse):
    with new_warehouse() as warehouse:
        with transaction(warehouse.engine(warehouse.owner_url)) as connection:
            connection.exec_driver_sql(PREPARE)
        yield warehouse.engine()


@given(steps=st.lists(st.one_of(moves, scorings), max_size=12))
def test_what_stands_is_what_the_radiographs_say(prepared, steps):
    with prepared.connect() as job:
        for step in [{"model": "one", "patient": "p", "day": DAYS[0]}, *steps]:
            job.execute(sa.text(MOVE if "radiograph" in step else SCORE), step)
            assert job.execute(sa.text(WRONG)).all() == []
        job.rollback()


def test_a_radiograph_that_comes_back_brings_its_score_back(prepared):
    home, away = {"patient": "p", "day": DAYS[0]}, {"patient": "q", "day": DAYS[1]}
    shown = sa.text("SELECT count(*) FROM scoring.rau_prediction WHERE stands AND patient_id = 'p'")
    with prepared.connect() as job:
        job.execute(sa.text(SCORE), {"model": "one", **home})
        counts = [job.scalar(shown)]
        for radiograph, where in [("f", away), ("g", away), ("h", away), ("f", home)]:
            job.execute(sa.text(MOVE), {"radiograph": radiograph, **where})
            counts.append(job.scalar(shown))
        job.rollback()
    # Three radiographs and the visit; then one radiograph less each, the visit with the last one, and one with the visit again.
    assert counts == [4, 3, 2, 0, 2]
