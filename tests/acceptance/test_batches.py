"""Batches as an operator sees them: run twice, concurrently, late, interrupted, with a modified model."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from scoring.commands import batches
from scoring.errors import (
    BadInput,
    InvalidRequest,
    ModelRejected,
    ReconciliationFailed,
    StorageUnavailable,
    WarehouseUnavailable,
)
from scoring.model_store.store import SHIPPED_DIR, SHIPPED_VERSION
from scoring.phantom.batches import write_batches
from scoring.phantom.faults import FAULTS
from scoring.pipeline import models, nightly, rescoring, retraining
from scoring.pipeline.candidates import Candidate
from scoring.pipeline.snapshot import snapshot
from scoring.settings import sql_dir
from scoring.warehouse.queries import checksum, nightly_report
from tests.lib.models import write_other_model

FIRST = date(2026, 11, 21)
SECOND = FIRST + timedelta(days=1)


@pytest.fixture
def two_batches(site):
    return write_batches(site.landing_url, seed=4, first_batch=FIRST, batches=2, n_patients=8)


def run(site, batch=FIRST):
    return nightly.run_batch(site, batch, triggered_by="tester")


def row_counts(engine, run_id):
    with engine.connect() as connection:
        return nightly_report.row_counts(connection, run_id).set_index("dataset")


def reconciled(engine, run_id):
    return row_counts(engine, run_id)["reconciled"].all()


def validate_and_publish(site, opened):
    nightly.land(site, opened)
    nightly.validate(site, opened)
    nightly.publish_registry(site, opened)


def score_and_publish(site, opened):
    for shard in nightly.plan(site, opened):
        nightly.score(site, opened, shard)
    return nightly.publish_predictions(site, opened)


def scalar(engine, statement, **values):
    with engine.connect() as connection:
        return connection.scalar(sa.text(statement), values)


def test_run_batch_twice_changes_no_row(site, warehouse, two_batches):
    engine = warehouse.engine()
    first = run(site)
    before = checksum.checksums(engine)
    second = run(site)

    assert checksum.checksums(engine) == before
    assert first["images"]["scored"] == second["images"]["already_scored"] == two_batches[0].n_images
    assert second["registry"] == {"new": 0, "updated": 0}
    assert reconciled(engine, second["run_id"])


def test_run_batch_twice_at_once_writes_every_row_once(site, warehouse, two_batches, monkeypatch):
    from scoring.warehouse.publish import runs

    # Both have validated and scored everything before either may publish.
    meet, lock = Barrier(2, timeout=120), runs.publish_lock
    monkeypatch.setattr(runs, "publish_lock", lambda connection: (meet.wait(), lock(connection)))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: run(site), range(2))

    n_images = two_batches[0].n_images
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.joint_prediction") == n_images
    assert first["images"]["scored"] + second["images"]["scored"] == n_images
    for counts in (first, second):
        assert reconciled(warehouse.engine(), counts["run_id"])


def test_run_batch_gives_the_same_predictions_in_any_order(site, warehouse, two_batches):
    newest, oldest = run(site, SECOND), run(site, FIRST)
    engine = warehouse.engine()
    assert newest["images"]["scored"] == two_batches[1].n_images, "a batch that has not run is not late"
    assert oldest["images"]["scored"] == two_batches[0].n_images
    backwards = scalar(engine, "SELECT count(*) FROM analyst.current_joint_prediction")

    assert backwards == sum(batch.n_images for batch in two_batches)
    # The figures as of the older batch do not include the newer one.
    older, newer = (
        scalar(
            engine,
            "SELECT max(n_visits) FROM analytics.correlation WHERE as_of = :batch AND damage = 'predicted_rau'",
            batch=batch,
        )
        for batch in (FIRST, SECOND)
    )
    assert 0 < older < newer


def test_publish_predictions_writes_nothing_if_the_connection_is_lost(site, warehouse, two_batches, monkeypatch):
    from scoring.warehouse.publish import predictions

    def terminate_connection(connection, *_):
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with warehouse.engine(warehouse.superuser_url).connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
        connection.exec_driver_sql("SELECT 1")

    engine = warehouse.engine()
    with monkeypatch.context() as patch:
        patch.setattr(predictions, "publish_rau", terminate_connection)
        with pytest.raises(WarehouseUnavailable, match="try again"):
            run(site)
    assert scalar(engine, "SELECT count(*) FROM scoring.joint_prediction") == 0
    assert scalar(engine, "SELECT count(*) FROM imaging.joint_image") == 0
    assert scalar(engine, "SELECT status FROM scoring.run_result") == "failed"

    assert run(site)["images"]["scored"] == two_batches[0].n_images


def test_open_run_rejects_a_changed_model_file(site, warehouse, two_batches):
    store = Path(site.model_store_url) / SHIPPED_VERSION
    shutil.copytree(SHIPPED_DIR / SHIPPED_VERSION, store)
    weights = store / "network.bin"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)

    with pytest.raises(ModelRejected, match=r"network\.bin was changed"):
        run(site)
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.run") == 0


def test_run_batch_accepts_an_image_that_was_corrected_in_an_earlier_folder(site, warehouse, two_batches):
    image = sorted((Path(site.landing_url) / FIRST.isoformat() / "joints").glob("*.jpg"))[0]
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    engine = warehouse.engine()
    assert run(site)["quarantined"]["images"] == 1

    # Still broken: the next run does not count the same bytes again.
    assert run(site, SECOND)["received"]["images"] == two_batches[1].n_images
    image.write_bytes(whole)
    again = run(site, SECOND)

    assert again["received"]["images"] == two_batches[1].n_images + 1
    assert again["images"]["scored"] == 1
    assert scalar(engine, "SELECT count(*) FROM analyst.quarantine_open WHERE dataset = 'images'") == 0


def test_run_batch_accepts_images_when_their_late_record_arrives(site, two_batches):
    table = Path(site.landing_url) / FIRST.isoformat() / "consultations.csv"
    header, *rows = table.read_text().splitlines(keepends=True)
    table.write_text(header + "".join(rows[1:]))
    assert run(site)["quarantined"]["images"] == 10

    table.write_text(header + "".join(rows))
    late = run(site, SECOND)

    assert late["images"]["scored"] == two_batches[1].n_images + 10
    assert late["registry"]["new"] > two_batches[1].n_consultations


def test_run_batch_is_not_stopped_by_rejected_rows_of_an_earlier_batch(site, two_batches):
    """The look-back validates images without records again, but they do not count against the next batch."""
    first = Path(site.landing_url) / FIRST.isoformat()
    table = first / "consultations.csv"
    header, *rows = table.read_text().splitlines(keepends=True)
    n_lost = len(rows) // 5
    table.write_text(header + "".join(rows[n_lost:]))
    assert run(site)["quarantined"]["images"] == 10 * n_lost
    second = Path(site.landing_url) / SECOND.isoformat()
    shutil.rmtree(second / "joints")
    for name in ("consultations.csv", "disease_activity.csv"):
        (second / name).write_text((second / name).read_text().splitlines(keepends=True)[0])

    # With these settings a single bad row of the batch itself would stop the run.
    strict = site.model_copy(update={"max_bad_share": 0.0, "min_rows_for_bad_share": 1})
    assert run(strict, SECOND)["quarantined"]["images"] == 10 * n_lost


def test_publish_predictions_quarantines_images_that_changed_since_validation(site, warehouse, two_batches):
    opened = nightly.open_run(site, FIRST, trigger="cli", triggered_by="tester")
    validate_and_publish(site, opened)
    gone, changed = sorted((Path(site.landing_url) / FIRST.isoformat() / "joints").glob("*.jpg"))[:2]
    gone.unlink()
    changed.write_bytes(changed.read_bytes()[:-100])
    counts = score_and_publish(site, opened)
    nightly.analyse(site, opened)
    nightly.write_report(site, opened)
    nightly.close_run(site, opened)

    assert counts["scored"] == two_batches[0].n_images - 2
    images = row_counts(warehouse.engine(), opened.run_id).loc["images"]
    assert (images["quarantined"], images["reconciled"]) == (2, True)


def test_score_stops_if_the_landing_zone_disappears(site, warehouse, two_batches):
    opened = nightly.open_run(site, FIRST, trigger="cli", triggered_by="tester")
    validate_and_publish(site, opened)
    files = sorted((Path(site.landing_url) / FIRST.isoformat() / "joints").glob("*.jpg"))
    # One image remains, so the shard is not empty.
    for file in files[1:]:
        file.rename(file.with_suffix(".away"))
    with pytest.raises(StorageUnavailable, match=rf"{len(files) - 1} of {len(files)} validated images .* is mounted"):
        score_and_publish(site, opened)
    for file in files[1:]:
        file.with_suffix(".away").rename(file)
    assert score_and_publish(site, opened)["scored"] == two_batches[0].n_images


def test_cleared_steps_count_again_in_the_same_run(site, warehouse, two_batches):
    """Clearing `land` and its downstream tasks in Airflow repeats the steps in the same run."""
    table = Path(site.landing_url) / FIRST.isoformat() / "consultations.csv"
    whole = table.read_text()
    table.write_text(whole.replace("patient_id", "patient"))
    opened = nightly.open_run(site, FIRST, trigger="manual__1", triggered_by="tester")
    with pytest.raises(BadInput, match="patient_id"):
        nightly.land(site, opened)
    report = Path(nightly.write_report(site, opened, unfinished=["validate"]))
    assert "Failed" in report.read_text()
    with pytest.raises(ReconciliationFailed, match="patient_id"):
        nightly.close_run(site, opened, unfinished=["validate"])

    table.write_text(whole)
    for _ in range(2):
        validate_and_publish(site, opened)
        score_and_publish(site, opened)
        nightly.analyse(site, opened)
        report = Path(nightly.write_report(site, opened))
        nightly.close_run(site, opened)

    assert "Succeeded" in report.read_text()
    counts = row_counts(warehouse.engine(), opened.run_id)
    assert counts["reconciled"].all()
    assert set(counts["status"]) == {"succeeded"}
    assert counts.loc["images", "already_scored"] == two_batches[0].n_images


def test_close_run_fails_if_a_step_was_killed(site, warehouse, two_batches):
    opened = nightly.open_run(site, FIRST, trigger="cli", triggered_by="tester")
    validate_and_publish(site, opened)
    score_and_publish(site, opened)

    report = Path(nightly.write_report(site, opened, unfinished=["analyse"]))
    assert "Succeeded" not in report.read_text()
    with pytest.raises(ReconciliationFailed, match="analyse did not finish"):
        nightly.close_run(site, opened, unfinished=["analyse"])


def test_run_batch_moves_rau_scores_with_a_corrected_visit_date(site, warehouse, two_batches):
    engine = warehouse.engine()
    run(site)
    with engine.connect() as connection:
        radiograph, patient, visit = connection.execute(
            sa.text("SELECT sop_iuid, patient_id, visit_date FROM analyst.rau_by_radiograph ORDER BY sop_iuid LIMIT 1")
        ).one()
    table = Path(site.landing_url) / FIRST.isoformat() / "consultations.csv"
    moved = visit - timedelta(days=1)
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(x.replace(str(visit), str(moved), 1) if radiograph in x else x for x in lines))
    run(site, SECOND)

    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT visit_date, n_scored FROM analyst.rau_by_visit"
                " WHERE patient_id = :patient AND visit_date IN (:visit, :moved)"
            ),
            {"patient": patient, "visit": visit, "moved": moved},
        ).all()
    assert [tuple(row) for row in rows] == [(moved, 10)]
    assert (
        scalar(
            engine,
            "SELECT visit_date FROM analyst.rau_by_radiograph WHERE sop_iuid = :radiograph",
            radiograph=radiograph,
        )
        == moved
    )


def test_write_report_warns_of_an_unusable_late_table(site, two_batches):
    run(site)
    (Path(site.landing_url) / FIRST.isoformat() / "consultations.csv").write_bytes(b"")

    report = Path(run(site, SECOND)["report"]).read_text()

    assert "Succeeded" in report
    assert "landing.late_file_usable" in report
    assert f"{FIRST}/consultations.csv" in report


def test_example_queries_return_rows_to_the_analyst(site, warehouse):
    # 20 patients over three years have two radiographs each; the second batch has an image to quarantine.
    write_batches(
        site.landing_url, seed=2, first_batch=FIRST, batches=2, n_patients=20, years=3.0, faults=("truncated",)
    )
    run(site)
    # The registry corrects one value of the first batch.
    table = Path(site.landing_url) / FIRST.isoformat() / "disease_activity.csv"
    header, first, *rest = table.read_text().splitlines(keepends=True)
    cells = dict(zip(header.strip().split(","), first.strip().split(","), strict=True)) | {"esr": "77"}
    table.write_text("".join([header, ",".join(cells.values()) + "\n", *rest]))
    run(site, SECOND)
    # A challenge of the champion, then a second champion, for the comparison of the two models.
    other, metric = write_other_model(site.model_store_url), "accuracy_and_kappa"
    opened = retraining.open_run(
        site, None, recipes=["grid-residual"], metric=metric, trigger="cli", triggered_by="tester"
    )
    taken = snapshot(site, opened)
    retraining.compare(site, opened, taken, [Candidate(other, "grid-residual", 0.5)], metric)
    models.promote(site, version=other, promoted_by="tester", reason="a test")
    rescoring.rescore(site, accept_missing=False, triggered_by="tester")
    answers = {}
    with warehouse.engine(warehouse.analyst_url).connect() as connection:
        for query in sorted((sql_dir() / "queries").glob("*.sql")):
            cursor = connection.connection.driver_connection.cursor()
            cursor.execute(query.read_text())
            answers[query.stem] = len(cursor.fetchall())
    assert answers
    # Twenty patients are too few for a progression model; test_docs.py shows the rows of that query.
    assert [name for name, n_rows in answers.items() if n_rows == 0] == ["rau_forecast"]


def test_pending_lists_batches_without_a_run_or_else_the_newest(site, two_batches):
    assert batches.pending(site) == [FIRST, SECOND]
    run(site)
    assert batches.pending(site) == [SECOND]
    run(site, SECOND)
    assert batches.pending(site) == [SECOND]


def test_rewrite_report_rejects_a_batch_that_never_ran(site):
    with pytest.raises(InvalidRequest, match="has not run"):
        batches.rewrite_report(site, FIRST)


def test_run_batch_reconciles_all_faults_of_the_catalogue_at_once(site, warehouse):
    quarantining = [name for name, fault in FAULTS.items() if name not in STOPPING]
    (batch,) = write_batches(
        site.landing_url, seed=2, first_batch=FIRST, batches=1, n_patients=60, faults=tuple(quarantining)
    )
    expected = dict.fromkeys(("consultations", "readings", "disease_activity", "images"), 0)
    for effect in batch.effects:
        for dataset, n in effect.quarantined.items():
            expected[dataset] += n

    counts = run(site)

    assert counts["quarantined"] == expected
    assert reconciled(warehouse.engine(), counts["run_id"])


STOPPING = {"missing_column", "no_header", "empty_file", "no_success", "empty_batch"}


@pytest.mark.slow
@examples(max_examples=10)
@given(faults=st.sets(st.sampled_from(sorted(set(FAULTS) - STOPPING)), max_size=8), seed=st.integers(0, 10**6))
def test_run_batch_reconciles_any_mix_of_faults_and_a_rerun_changes_nothing(
    tmp_path_factory, site, warehouse, faults, seed
):
    # Every example is a batch of its own in one warehouse.
    folder = tmp_path_factory.mktemp("example")
    batch = date(2000, 1, 1) + timedelta(days=seed % 9000)
    example = site.model_copy(update={"landing_url": str(folder), "max_bad_share": 1.0, "lookback_days": 0})
    write_batches(str(folder), seed=seed, first_batch=batch, batches=1, n_patients=15, faults=tuple(faults))
    engine = warehouse.engine()

    first = run(example, batch)
    assert reconciled(engine, first["run_id"])
    before = checksum.checksums(engine)
    run(example, batch)
    assert checksum.checksums(engine) == before
