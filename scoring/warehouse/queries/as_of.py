"""What the registry had told as of a landing folder: common table expressions with the parameter `as_of`.

A record counts if it was first delivered by then, with the values it had then: a value that a later folder replaced is
taken from `registry.correction`, so that a date that is filled in later gives what that day would have given. Of the
predicted scores only the first delivery is known. A visit that got more radiographs later is scored anew, and has that score.
"""


def _told(table: str, key: str) -> str:
    """`<table>_told`, the rows of `registry.<table>` as of the folder; `key` has the columns of its primary key."""
    return f"""
{table}_earlier AS (
    -- The value as of the folder is what the first correction after it replaced; of equal keys the last one stays.
    SELECT
        replaced.record_key,
        jsonb_object_agg(was.key, was.value ORDER BY replaced.replaced_in DESC, replaced.correction_id DESC) AS was
    FROM registry.correction AS replaced
    CROSS JOIN LATERAL jsonb_each(replaced.was) AS was
    WHERE replaced.dataset = '{table}' AND replaced.replaced_in > :as_of
    GROUP BY replaced.record_key
),
{table}_told AS (
    SELECT record.*
    FROM registry.{table} AS record
    LEFT JOIN {table}_earlier ON {table}_earlier.record_key = ARRAY[{key}]
    WHERE record.first_batch_date <= :as_of AND {table}_earlier.record_key IS NULL
    UNION ALL
    SELECT former.*
    FROM registry.{table} AS record
    INNER JOIN {table}_earlier ON {table}_earlier.record_key = ARRAY[{key}]
    CROSS JOIN LATERAL jsonb_populate_record(record, {table}_earlier.was) AS former
    WHERE record.first_batch_date <= :as_of
)"""  # noqa: S608 - put together from this module's own text


REPORTED = f"""{_told("consultation", "record.id_x")},
reported AS (
    -- A visit with two consultations is one visit: joined as it stands it would count twice. Of two readings the later
    -- one counts, as in analyst.rau_by_visit.
    SELECT DISTINCT ON (patient_id, visit_date) patient_id, visit_date, reported_rau
    FROM consultation_told
    WHERE reported_rau IS NOT NULL
    ORDER BY patient_id, visit_date, read_on DESC NULLS LAST, id_x DESC
)"""  # noqa: S608 - put together from this module's own text
"""`reported`: patient_id, visit_date, reported_rau; one row a visit that has a reported Rau score."""

PREDICTED = """
predicted AS (
    -- A predicted score stands only while a radiograph it was made from is still in that visit.
    SELECT p.patient_id, p.visit_date, p.rau_expected AS predicted_rau, p.rau_q05, p.rau_q95, p.n_scored
    FROM scoring.rau_prediction AS p
    INNER JOIN scoring.model_version AS m
        ON m.version = p.model_version AND m.preprocessing_version = p.preprocessing_version
    WHERE p.scope = 'visit' AND p.stands AND p.model_version = :model_version AND p.first_batch_date <= :as_of
)"""
"""`predicted`: patient_id, visit_date, predicted_rau, rau_q05, rau_q95, n_scored; one row a visit that the model
`model_version`, another parameter, has scored."""

ACTIVITY = f"""{_told("disease_activity", "record.patient_id, CAST(record.visit_date AS text)")},
activity AS (
    -- A DAS28 is computed where its components are complete, as its form is then certain.
    SELECT
        patient_id,
        visit_date,
        coalesce(das28_esr4, das28_esr_reported) AS das28_esr4,
        das28_esr3,
        das28_crp4,
        coalesce(das28_crp3, das28_crp3_reported) AS das28_crp3,
        physician_global,
        patient_global
    FROM disease_activity_told
)"""  # noqa: S608 - put together from this module's own text
"""`activity`: patient_id, visit_date, das28_esr4, das28_esr3, das28_crp4, das28_crp3, physician_global, patient_global;
one row a visit with disease activity."""
