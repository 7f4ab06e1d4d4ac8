"""Batches as an operator sees them: run twice, concurrently, late, interrupted, with a modified model."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import pytest
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
from scoring.phantom import batches as phantom
from scoring.phantom.faults import FAULTS
from scoring.pipeline import nightly
from scoring.warehouse.queries import checksum, nightly_report
from tests.lib.history import BATCHES, frame, new_settings, run_batch, scalar, write_batches

FIRST, SECOND, THIRD = BATCHES


def row_counts(warehouse, run_id):
    with warehouse.engine().connect() as connection:
        return nightly_report.row_counts(connection, run_id).set_index("dataset")


def open_run(site, batch=THIRD):
    return nightly.open_run(site, batch, trigger="cli", triggered_by="tester")


def validate_and_publish(site, opened):
    nightly.land(site, opened)
    nightly.validate(site, opened)
    nightly.publish_registry(site, opened)


def score(site, opened):
    for shard in nightly.plan(site, opened):
        nightly.score(site, opened, shard)


def score_and_publish(site, opened):
    score(site, opened)
    return nightly.publish_predictions(site, opened)


def replace_text(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_run_batch_twice_changes_no_row(history):
    engine = history.engine
    before = checksum.checksums(engine)
    counts = run_batch(history.site, SECOND)

    assert checksum.checksums(engine) == before
    assert counts["images"] == {"scored": 0, "already_scored": history.batches[1].n_images, "missing": 0}
    assert counts["registry"] == {"new": 0, "updated": 0}
    assert row_counts(history.warehouse, counts["run_id"])["reconciled"].all()


def test_run_batch_twice_at_once_writes_every_row_once(history, monkeypatch):
    from scoring.warehouse.publish import runs

    # Both have validated and scored everything before either may publish.
    meet, lock = Barrier(2, timeout=120), runs.publish_lock
    monkeypatch.setattr(runs, "publish_lock", lambda connection: (meet.wait(), lock(connection)))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: run_batch(history.site, THIRD), range(2))

    engine = history.engine
    assert scalar(engine, "SELECT count(*) FROM scoring.joint_prediction") == history.n_images()
    assert first["images"]["scored"] + second["images"]["scored"] == history.batches[2].n_images
    for counts in (first, second):
        assert row_counts(history.warehouse, counts["run_id"])["reconciled"].all()


@pytest.mark.slow
def test_run_batch_gives_the_same_predictions_in_any_order(site, warehouse):
    written = write_batches(site.landing_url, 2)
    newest, oldest = run_batch(site, SECOND), run_batch(site, FIRST)
    engine = warehouse.engine()
    assert newest["images"]["scored"] == written[1].n_images, "a batch that has not run is not late"
    assert oldest["images"]["scored"] == written[0].n_images
    n_predictions = scalar(engine, "SELECT count(*) FROM analyst.current_joint_prediction")
    assert n_predictions == sum(batch.n_images for batch in written)
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


def test_publish_predictions_writes_nothing_if_the_connection_is_lost(history, monkeypatch):
    from scoring.warehouse.publish import predictions

    site, warehouse = history.site, history.warehouse

    def terminate_connection(connection, *_):
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with warehouse.engine(warehouse.superuser_url).connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
        connection.exec_driver_sql("SELECT 1")

    engine = warehouse.engine()
    opened = open_run(site)
    validate_and_publish(site, opened)
    score(site, opened)
    before = checksum.checksums(engine)
    with monkeypatch.context() as patch:
        patch.setattr(predictions, "publish_rau", terminate_connection)
        with pytest.raises(WarehouseUnavailable, match="try again"):
            nightly.publish_predictions(site, opened)
    assert checksum.checksums(engine) == before
    with pytest.raises(ReconciliationFailed, match="WarehouseUnavailable"):
        nightly.close_run(site, opened, unfinished=["publish_predictions"])
    result = "SELECT status FROM scoring.run_result WHERE run_id = :run_id"
    assert scalar(engine, result, run_id=opened.run_id) == "failed"

    assert nightly.publish_predictions(site, opened)["scored"] == history.batches[2].n_images


def test_open_run_rejects_a_changed_model_file(site, warehouse):
    store = Path(site.model_store_url) / SHIPPED_VERSION
    shutil.copytree(SHIPPED_DIR / SHIPPED_VERSION, store)
    weights = store / "network.bin"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)

    with pytest.raises(ModelRejected, match=r"network\.bin was changed"):
        run_batch(site, FIRST)
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.run") == 0


@pytest.mark.slow
def test_run_batch_accepts_corrections_of_an_earlier_batch(site, warehouse):
    """The first batch has a truncated image and lacks a consultation; both are corrected later."""
    written = write_batches(site.landing_url, 2)
    first = Path(site.landing_url) / FIRST.isoformat()
    table = first / "consultations.csv"
    header, lost, *rows = table.read_text().splitlines(keepends=True)
    n_read = sum(bool(cell) for name, cell in zip(header.split(","), lost.split(","), strict=True) if "hand_" in name)
    table.write_text(header + "".join(rows))
    image = next(path for path in sorted((first / "joints").glob("*.jpg")) if path.name.split("_")[0] not in lost)
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    assert run_batch(site, FIRST)["quarantined"]["images"] == 1 + 10

    # The second run counts the truncated image no more, because its bytes are the same. The images without a
    # consultation are validated again, but with these settings a single bad row of the batch itself would stop the run.
    strict = site.model_copy(update={"max_bad_share": 0.0, "min_rows_for_bad_share": 1})
    uncorrected = run_batch(strict, SECOND)
    assert uncorrected["received"]["images"] == written[1].n_images + 10
    assert uncorrected["quarantined"]["images"] == 10

    table.write_text(header + lost + "".join(rows))
    image.write_bytes(whole)
    corrected = run_batch(site, SECOND)
    assert corrected["received"]["images"] == written[1].n_images + 1 + 10
    assert corrected["images"] == {"scored": 1 + 10, "already_scored": written[1].n_images, "missing": 0}
    assert corrected["registry"] == {"new": 1 + n_read, "updated": 0}
    still_open = "SELECT count(*) FROM analyst.quarantine_open WHERE dataset = 'images'"
    assert scalar(warehouse.engine(), still_open) == 0


@pytest.mark.slow
def test_score_stops_if_the_storage_disappears_and_rejects_single_changed_images(site, warehouse):
    n_images = write_batches(site.landing_url)[0].n_images
    opened = open_run(site, FIRST)
    validate_and_publish(site, opened)
    files = sorted((Path(site.landing_url) / FIRST.isoformat() / "joints").glob("*.jpg"))
    # One image remains, so the shard is not empty.
    for file in files[1:]:
        file.rename(file.with_suffix(".away"))
    with pytest.raises(StorageUnavailable, match=f"{n_images - 1} of {n_images} images are missing.* is mounted"):
        score(site, opened)
    for file in files[1:]:
        file.with_suffix(".away").rename(file)

    gone, changed = files[:2]
    gone.unlink()
    changed.write_bytes(changed.read_bytes()[:-100])
    assert score_and_publish(site, opened)["scored"] == n_images - 2
    nightly.analyse(site, opened)
    nightly.write_report(site, opened)
    nightly.close_run(site, opened)
    images = row_counts(warehouse, opened.run_id).loc["images"]
    assert (images["quarantined"], images["reconciled"]) == (2, True)


@pytest.mark.slow
def test_cleared_steps_count_again_in_the_same_run(history):
    """Clearing `land` and its downstream tasks in Airflow repeats the steps in the same run."""
    site, table = history.site, history.folder(2) / "consultations.csv"
    replace_text(table, "patient_id", "patient")
    opened = nightly.open_run(site, THIRD, trigger="manual__1", triggered_by="tester")
    with pytest.raises(BadInput, match="patient_id"):
        nightly.land(site, opened)
    report = Path(nightly.write_report(site, opened, unfinished=["validate"]))
    assert "Failed" in report.read_text()
    with pytest.raises(ReconciliationFailed, match="patient_id"):
        nightly.close_run(site, opened, unfinished=["validate"])

    # The table is corrected, and then `analyse` is killed.
    replace_text(table, "patient", "patient_id")
    validate_and_publish(site, opened)
    score_and_publish(site, opened)
    assert "Succeeded" not in Path(nightly.write_report(site, opened, unfinished=["analyse"])).read_text()
    with pytest.raises(ReconciliationFailed, match="analyse did not finish"):
        nightly.close_run(site, opened, unfinished=["analyse"])

    validate_and_publish(site, opened)
    score_and_publish(site, opened)
    nightly.analyse(site, opened)
    assert "Succeeded" in Path(nightly.write_report(site, opened)).read_text()
    nightly.close_run(site, opened)
    counts = row_counts(history.warehouse, opened.run_id)
    assert counts["reconciled"].all()
    assert set(counts["status"]) == {"succeeded"}
    assert counts.loc["images", "already_scored"] == history.batches[2].n_images


def test_run_batch_reads_late_changes_of_an_earlier_batch(history):
    """The registry corrects a visit date of the first batch, and the other table of that batch becomes unusable."""
    engine = history.engine
    of_radiograph = "SELECT sop_iuid, patient_id, visit_date FROM analyst.rau_by_radiograph"
    radiograph, patient, visit = frame(engine, f"{of_radiograph} WHERE batch_date = :batch", batch=FIRST).iloc[0]
    moved = visit - timedelta(days=1)
    table = history.folder(0) / "consultations.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(x.replace(str(visit), str(moved), 1) if radiograph in x else x for x in lines))
    (history.folder(0) / "disease_activity.csv").write_bytes(b"")

    report = Path(run_batch(history.site, THIRD)["report"]).read_text()

    visits = (
        "SELECT visit_date, n_scored FROM analyst.rau_by_visit"
        " WHERE patient_id = :patient AND visit_date IN (:visit, :moved)"
    )
    found = frame(engine, visits, patient=patient, visit=visit, moved=moved)
    assert found.to_numpy().tolist() == [[moved, 10]]
    assert frame(engine, f"{of_radiograph} WHERE sop_iuid = :radiograph", radiograph=radiograph)[
        "visit_date"
    ].tolist() == [moved]
    assert "Succeeded" in report
    assert "landing.late_file_usable" in report
    assert f"{FIRST}/disease_activity.csv" in report


def test_pending_lists_batches_without_a_run_or_else_the_newest(history, warehouse, tmp_path):
    empty = new_settings(tmp_path / "empty", warehouse)
    assert batches.pending(empty) == []
    assert batches.pending(empty.model_copy(update={"landing_url": history.site.landing_url})) == list(BATCHES)
    assert batches.pending(history.site) == [THIRD]
    shutil.rmtree(history.folder(2))
    assert batches.pending(history.site) == [SECOND]


def test_rewrite_report_rejects_a_batch_that_never_ran(site):
    with pytest.raises(InvalidRequest, match="has not run"):
        batches.rewrite_report(site, FIRST)


def test_run_batch_reconciles_all_faults_of_the_catalogue_at_once(site, warehouse):
    """The rows of each fault are tested in tests/integration/validation/test_faults.py."""
    (batch,) = phantom.write_batches(
        site.landing_url, seed=2, first_batch=FIRST, batches=1, n_patients=12, faults=QUARANTINING
    )
    expected = dict.fromkeys(("consultations", "readings", "disease_activity", "images"), 0)
    for effect in batch.effects:
        for dataset, n in effect.quarantined.items():
            expected[dataset] += n

    # A third of this small batch is bad.
    counts = run_batch(site.model_copy(update={"max_bad_share": 1.0}), FIRST)

    assert counts["quarantined"] == expected
    found = row_counts(warehouse, counts["run_id"])
    assert found["reconciled"].all()
    assert set(found["status"]) == {"succeeded"}
    assert found["quarantined"].to_dict() == expected
    with warehouse.engine().connect() as connection:
        listed = nightly_report.quarantine_of_run(connection, counts["run_id"])
    excluded = listed[~listed["kept"]]
    assert excluded[["reason", "remedy"]].map(bool).all(axis=None)
    assert {effect.rule for effect in batch.effects if effect.rule} <= set(excluded["rule"])


QUARANTINING = tuple(
    name for name in FAULTS if name not in {"missing_column", "no_header", "empty_file", "no_success", "empty_batch"}
)


@pytest.mark.slow
@examples(max_examples=10)
@given(faults=st.sets(st.sampled_from(sorted(QUARANTINING)), max_size=8), seed=st.integers(0, 10**6))
def test_run_batch_reconciles_any_mix_of_faults_and_a_rerun_changes_nothing(
    tmp_path_factory, site, warehouse, faults, seed
):
    # Every example is a batch of its own in one warehouse.
    folder = tmp_path_factory.mktemp("example")
    batch = date(2000, 1, 1) + timedelta(days=seed % 9000)
    example = site.model_copy(update={"landing_url": str(folder), "max_bad_share": 1.0, "lookback_days": 0})
    phantom.write_batches(str(folder), seed=seed, first_batch=batch, batches=1, n_patients=15, faults=tuple(faults))
    engine = warehouse.engine()

    first = run_batch(example, batch)
    assert row_counts(warehouse, first["run_id"])["reconciled"].all()
    before = checksum.checksums(engine)
    run_batch(example, batch)
    assert checksum.checksums(engine) == before
