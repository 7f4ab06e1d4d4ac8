"""Quarantined rows: opened, resolved, opened again; and image files that need no further check."""

from datetime import date
from uuid import UUID

import pandas as pd

from scoring.settings import sql_dir
from scoring.warehouse.bulk import UpsertCounts
from scoring.warehouse.engine import transaction
from scoring.warehouse.publish.quarantine import publish_quarantine, resolve_quarantine, resolve_removed
from scoring.warehouse.queries.checksum import checksums
from scoring.warehouse.queries.nightly import settled_files
from scoring.warehouse.queries.nightly_report import quarantine_of_run
from tests.lib.staged import BATCH, NEXT_BATCH, RUN, SECOND_RUN, open_run, quarantined
from tests.lib.warehouse import rows

FILE = "2026-11-21/joints/x.jpg"
CRP_RULE = "disease_activity.crp_in_range"
OPEN = "SELECT row_key || ' ' || rule FROM analyst.quarantine_open ORDER BY 1"


def publish(engine, frame, run_id=RUN) -> UpsertCounts:
    with transaction(engine) as connection:
        return publish_quarantine(connection, run_id, frame)


def of_run(engine, run_id) -> list[str]:
    with transaction(engine) as connection:
        return sorted(quarantine_of_run(connection, run_id)["row_key"])


def test_publish_quarantine_opens_a_resolved_row_again(engine):
    assert publish(engine, quarantined()) == UpsertCounts(new=1)
    before = checksums(engine)
    assert publish(engine, quarantined(), SECOND_RUN) == UpsertCounts(unchanged=1)
    assert checksums(engine) == before
    assert of_run(engine, SECOND_RUN) == [FILE], "the report of the second run lists the row as well"

    with transaction(engine) as connection:
        assert resolve_quarantine(connection, SECOND_RUN, [FILE, "other"], []) == 1
        assert resolve_quarantine(connection, SECOND_RUN, [FILE], []) == 0
    assert rows(engine, "SELECT count(*) FROM analyst.quarantine_open") == [(0,)]

    assert publish(engine, quarantined(), SECOND_RUN) == UpsertCounts(updated=1)
    assert rows(engine, "SELECT run_id FROM analyst.quarantine_open") == [(SECOND_RUN,)]


def test_publish_quarantine_of_an_empty_frame_writes_nothing(engine):
    assert publish(engine, quarantined()[:0]) == UpsertCounts()


def test_resolve_quarantine_closes_what_a_corrected_file_no_longer_breaks(engine):
    file = "2026-11-21/disease_activity.csv"
    table = quarantined(CRP_RULE, file, dataset="disease_activity")
    critical = table.assign(row_key=f"{file}:2")
    warning = table.assign(row_key=f"{file}:3", severity="warning", kept=True)
    elsewhere = critical.assign(row_key="other.csv:2", source_file="other.csv")
    with transaction(engine) as connection:
        publish_quarantine(connection, RUN, pd.concat([critical, warning, elsewhere]))
        assert resolve_quarantine(connection, RUN, [], [file]) == 0
    assert len(of_run(engine, RUN)) == 3
    # The corrected file has one line less. Of a run that was cleared and repeated, only the last attempt counts.
    with transaction(engine) as connection:
        publish_quarantine(connection, RUN, critical)
        assert resolve_quarantine(connection, RUN, [], [file]) == 1
    assert rows(engine, OPEN) == [(f"{file}:2 {CRP_RULE}",), (f"other.csv:2 {CRP_RULE}",)]
    assert of_run(engine, RUN) == [f"{file}:2", "other.csv:2"]
    with transaction(engine) as connection:
        assert resolve_quarantine(connection, SECOND_RUN, [], [file]) == 1
        assert resolve_quarantine(connection, SECOND_RUN, [], [file]) == 0


def test_resolve_removed_closes_images_that_are_no_longer_in_their_batch(engine):
    broken = [
        quarantined(file=f"{batch}/joints/{name}.jpg", batch_date=batch)
        for name, batch in (("gone", BATCH), ("present", BATCH), ("gone", NEXT_BATCH))
    ]
    table = quarantined(CRP_RULE, "t.csv", dataset="disease_activity", row_key="t.csv:2")
    with transaction(engine) as connection:
        publish_quarantine(connection, RUN, pd.concat([*broken, table]))
        assert resolve_removed(connection, RUN, [BATCH], ["2026-11-21/joints/present.jpg"]) == 1
        assert resolve_removed(connection, RUN, [], []) == 0
    assert rows(engine, OPEN) == [
        ("2026-11-21/joints/present.jpg images.decodes",),
        ("2026-11-22/joints/gone.jpg images.decodes",),
        (f"t.csv:2 {CRP_RULE}",),
    ]
    with transaction(engine) as connection:
        assert resolve_removed(connection, RUN, [NEXT_BATCH], []) == 1


def test_quarantined_in_last_batch_lists_the_rows_of_its_runs_whatever_ran_later(engine):
    late = quarantined(file="late.jpg", batch_date=date(2026, 11, 19))
    publish(engine, pd.concat([quarantined(), late]))
    open_run(engine, UUID(int=3), date(2026, 11, 30), job="correlate")
    query = (sql_dir() / "queries" / "quarantined_in_last_batch.sql").read_text()
    assert {row[0] for row in rows(engine, query)} == {BATCH, date(2026, 11, 19)}


# ---- settled files


def test_settled_files_include_a_file_that_was_rejected_for_its_bytes_until_these_change(engine):
    keys = [(FILE, "c" * 64), (FILE, "d" * 64)]
    publish(engine, quarantined(content_sha256="c" * 64))
    assert settled_files(engine, keys) == {(FILE, "c" * 64)}
    publish(engine, quarantined(content_sha256="d" * 64), SECOND_RUN)
    assert settled_files(engine, keys) == {(FILE, "d" * 64)}


def test_settled_files_include_an_exact_copy(engine):
    publish(engine, quarantined("images.exact_copy", content_sha256="c" * 64))
    assert settled_files(engine, [(FILE, "c" * 64)]) == {(FILE, "c" * 64)}


def test_settled_files_exclude_a_file_whose_radiograph_was_unknown(engine):
    unknown = [quarantined(content_sha256="c" * 64), quarantined("images.radiograph_known", content_sha256="c" * 64)]
    publish(engine, pd.concat(unknown))
    assert settled_files(engine, [(FILE, "c" * 64)]) == set()
