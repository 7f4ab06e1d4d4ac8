"""Nights as an operator lives them: run twice, at once, late, interrupted, with a model that was tampered with."""

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

from scoring.commands import status
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
from scoring.settings import sql_dir
from scoring.warehouse.publish import correlation
from scoring.warehouse.queries import nightly_report

NIGHT = date(2026, 11, 21)
NEXT_NIGHT = NIGHT + timedelta(days=1)


@pytest.fixture
def two_nights(site):
    return write_batches(site.landing_url, seed=4, first_batch=NIGHT, nights=2, n_patients=8)


def run(site, night=NIGHT):
    return nightly.run_batch(site, night, triggered_by="tester")


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


def test_a_second_run_changes_no_row(site, warehouse, two_nights):
    engine = warehouse.engine()
    first = run(site)
    before = correlation.digest(engine)
    second = run(site)

    assert correlation.digest(engine) == before
    assert first["images"]["scored"] == second["images"]["already_scored"] == two_nights[0].n_images
    assert second["registry"] == {"new": 0, "updated": 0}
    assert nightly_report.night_books(engine, second["run_id"])["balanced"].all()


def test_two_runs_of_a_night_at_once_write_every_row_once(site, warehouse, two_nights, monkeypatch):
    from scoring.warehouse.publish import runs

    # Both have judged and scored everything before either may publish.
    meet, lock = Barrier(2, timeout=120), runs.publish_lock
    monkeypatch.setattr(runs, "publish_lock", lambda connection: (meet.wait(), lock(connection)))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: run(site), range(2))

    n_images = two_nights[0].n_images
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.joint_prediction") == n_images
    assert first["images"]["scored"] + second["images"]["scored"] == n_images
    for counts in (first, second):
        assert nightly_report.night_books(warehouse.engine(), counts["run_id"])["balanced"].all()


def test_nights_may_be_run_in_any_order(site, warehouse, two_nights):
    newest, oldest = run(site, NEXT_NIGHT), run(site, NIGHT)
    engine = warehouse.engine()
    assert newest["images"]["scored"] == two_nights[1].n_images, "a night that has not run is not late"
    assert oldest["images"]["scored"] == two_nights[0].n_images
    backwards = scalar(engine, "SELECT count(*) FROM analyst.current_joint_prediction")

    assert backwards == sum(night.n_images for night in two_nights)
    # What the older night gives as of its own date does not know of the newer one.
    older, newer = (
        scalar(
            engine,
            "SELECT max(n_visits) FROM analytics.correlation WHERE as_of = :night AND damage = 'predicted_rau'",
            night=night,
        )
        for night in (NIGHT, NEXT_NIGHT)
    )
    assert 0 < older < newer


def test_the_server_going_away_in_the_middle_of_publishing_leaves_nothing(site, warehouse, two_nights, monkeypatch):
    from scoring.warehouse.publish import predictions

    def pull_the_plug(connection, *_):
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with warehouse.engine(warehouse.superuser_url).connect() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({own})")
        connection.exec_driver_sql("SELECT 1")

    engine = warehouse.engine()
    with monkeypatch.context() as patch:
        patch.setattr(predictions, "publish_rau", pull_the_plug)
        with pytest.raises(WarehouseUnavailable, match="try again"):
            run(site)
    assert scalar(engine, "SELECT count(*) FROM scoring.joint_prediction") == 0
    assert scalar(engine, "SELECT count(*) FROM imaging.joint_image") == 0
    assert scalar(engine, "SELECT status FROM scoring.run_result") == "failed"

    assert run(site)["images"]["scored"] == two_nights[0].n_images


def test_a_model_file_that_was_changed_is_refused_before_anything_is_read(site, warehouse, two_nights):
    store = Path(site.model_store_url) / SHIPPED_VERSION
    shutil.copytree(SHIPPED_DIR / SHIPPED_VERSION, store)
    weights = store / "network.bin"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)

    with pytest.raises(ModelRejected, match=r"network\.bin was changed"):
        run(site)
    assert scalar(warehouse.engine(), "SELECT count(*) FROM scoring.run") == 0


def test_an_image_mended_after_its_night_is_picked_up_by_the_next(site, warehouse, two_nights):
    image = sorted((Path(site.landing_url) / NIGHT.isoformat() / "joints").glob("*.jpg"))[0]
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2])
    engine = warehouse.engine()
    assert run(site)["quarantined"]["images"] == 1

    # Still broken: the next night does not book the same bytes again.
    assert run(site, NEXT_NIGHT)["landed"]["images"] == two_nights[1].n_images
    image.write_bytes(whole)
    again = run(site, NEXT_NIGHT)

    assert again["landed"]["images"] == two_nights[1].n_images + 1
    assert again["images"]["scored"] == 1
    assert scalar(engine, "SELECT count(*) FROM analyst.quarantine_open WHERE dataset = 'images'") == 0


def test_a_record_that_comes_late_brings_its_images_in(site, two_nights):
    table = Path(site.landing_url) / NIGHT.isoformat() / "consultations.csv"
    header, *rows = table.read_text().splitlines(keepends=True)
    table.write_text(header + "".join(rows[1:]))
    assert run(site)["quarantined"]["images"] == 10

    table.write_text(header + "".join(rows))
    late = run(site, NEXT_NIGHT)

    assert late["images"]["scored"] == two_nights[1].n_images + 10
    assert late["registry"]["new"] > two_nights[1].n_consultations


def test_what_is_left_of_a_bad_night_does_not_stop_the_next(site, two_nights):
    """Images without their records are judged again in the look-back; they are not the next night's fault."""
    first = Path(site.landing_url) / NIGHT.isoformat()
    table = first / "consultations.csv"
    header, *rows = table.read_text().splitlines(keepends=True)
    n_lost = len(rows) // 5
    table.write_text(header + "".join(rows[n_lost:]))
    assert run(site)["quarantined"]["images"] == 10 * n_lost
    second = Path(site.landing_url) / NEXT_NIGHT.isoformat()
    shutil.rmtree(second / "joints")
    for name in ("consultations.csv", "disease_activity.csv"):
        (second / name).write_text((second / name).read_text().splitlines(keepends=True)[0])

    # As strict as can be: a single bad row of the night itself would stop it.
    strict = site.model_copy(update={"max_bad_share": 0.0, "min_rows_for_bad_share": 1})
    assert run(strict, NEXT_NIGHT)["quarantined"]["images"] == 10 * n_lost


def test_an_image_that_changes_between_validation_and_scoring_is_set_aside(site, warehouse, two_nights):
    opened = nightly.open_run(site, NIGHT, trigger="cli", triggered_by="tester")
    validate_and_publish(site, opened)
    gone, changed = sorted((Path(site.landing_url) / NIGHT.isoformat() / "joints").glob("*.jpg"))[:2]
    gone.unlink()
    changed.write_bytes(changed.read_bytes()[:-100])
    counts = score_and_publish(site, opened)
    nightly.analyse(site, opened)
    nightly.write_report(site, opened)
    nightly.close_run(site, opened)

    assert counts["scored"] == two_nights[0].n_images - 2
    images = nightly_report.night_books(warehouse.engine(), opened.run_id).set_index("dataset").loc["images"]
    assert (images["quarantined"], images["balanced"]) == (2, True)


def test_a_landing_zone_that_goes_while_it_is_scored_stops_the_night(site, warehouse, two_nights):
    opened = nightly.open_run(site, NIGHT, trigger="cli", triggered_by="tester")
    validate_and_publish(site, opened)
    files = sorted((Path(site.landing_url) / NIGHT.isoformat() / "joints").glob("*.jpg"))
    # One image is still there: not the whole shard is gone.
    for file in files[1:]:
        file.rename(file.with_suffix(".away"))
    with pytest.raises(StorageUnavailable, match=rf"{len(files) - 1} of {len(files)} images .* still mounted"):
        score_and_publish(site, opened)
    for file in files[1:]:
        file.with_suffix(".away").rename(file)
    assert score_and_publish(site, opened)["scored"] == two_nights[0].n_images


def test_steps_cleared_after_the_file_was_mended_count_anew_in_the_same_run(site, warehouse, two_nights):
    """What clearing `land` and its downstream in Airflow does: the same run, its steps once more."""
    table = Path(site.landing_url) / NIGHT.isoformat() / "consultations.csv"
    whole = table.read_text()
    table.write_text(whole.replace("patient_id", "patient"))
    opened = nightly.open_run(site, NIGHT, trigger="manual__1", triggered_by="tester")
    with pytest.raises(BadInput, match="patient_id"):
        nightly.land(site, opened)
    page = Path(nightly.write_report(site, opened, unfinished=["validate"]))
    assert "Failed" in page.read_text()
    with pytest.raises(ReconciliationFailed, match="patient_id"):
        nightly.close_run(site, opened, unfinished=["validate"])

    table.write_text(whole)
    for _ in range(2):
        validate_and_publish(site, opened)
        score_and_publish(site, opened)
        nightly.analyse(site, opened)
        page = Path(nightly.write_report(site, opened))
        nightly.close_run(site, opened)

    assert "Succeeded" in page.read_text()
    books = nightly_report.night_books(warehouse.engine(), opened.run_id).set_index("dataset")
    assert books["balanced"].all()
    assert set(books["status"]) == {"succeeded"}
    assert books.loc["images", "already_scored"] == two_nights[0].n_images


def test_a_step_that_was_killed_without_a_word_fails_page_and_gate(site, warehouse, two_nights):
    opened = nightly.open_run(site, NIGHT, trigger="cli", triggered_by="tester")
    validate_and_publish(site, opened)
    score_and_publish(site, opened)

    page = Path(nightly.write_report(site, opened, unfinished=["analyse"]))
    assert "Succeeded" not in page.read_text()
    with pytest.raises(ReconciliationFailed, match="analyse did not finish"):
        nightly.close_run(site, opened, unfinished=["analyse"])


def test_a_visit_date_corrected_later_takes_its_rau_score_along(site, warehouse, two_nights):
    engine = warehouse.engine()
    run(site)
    with engine.connect() as connection:
        radiograph, patient, visit = connection.execute(
            sa.text("SELECT sop_iuid, patient_id, visit_date FROM analyst.rau_by_radiograph ORDER BY sop_iuid LIMIT 1")
        ).one()
    table = Path(site.landing_url) / NIGHT.isoformat() / "consultations.csv"
    moved = visit - timedelta(days=1)
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(x.replace(str(visit), str(moved), 1) if radiograph in x else x for x in lines))
    run(site, NEXT_NIGHT)

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


def test_a_late_table_that_cannot_be_used_stops_nothing_and_stands_on_the_page(site, two_nights):
    run(site)
    (Path(site.landing_url) / NIGHT.isoformat() / "consultations.csv").write_bytes(b"")

    page = Path(run(site, NEXT_NIGHT)["report"]).read_text()

    assert "Succeeded" in page
    assert "landing.late_file_usable" in page
    assert f"{NIGHT}/consultations.csv" in page


def test_every_worked_query_answers_the_analyst(site, warehouse, write_other_model):
    # 20 patients over some years have two radiographs each; the second night has something to quarantine.
    write_batches(
        site.landing_url, seed=2, first_batch=NIGHT, nights=2, n_patients=20, years=3.0, faults=("truncated",)
    )
    run(site)
    # The registry corrects one value of the first night.
    table = Path(site.landing_url) / NIGHT.isoformat() / "disease_activity.csv"
    header, first, *rest = table.read_text().splitlines(keepends=True)
    cells = dict(zip(header.strip().split(","), first.strip().split(","), strict=True)) | {"esr": "77"}
    table.write_text("".join([header, ",".join(cells.values()) + "\n", *rest]))
    run(site, NEXT_NIGHT)
    # A comparison with the champion, and then a second champion, for the bridge from the first.
    other, metric = write_other_model(site.model_store_url), "accuracy_and_kappa"
    opened = retraining.open_run(
        site, None, recipes=["grid-residual"], metric=metric, trigger="cli", triggered_by="tester"
    )
    taken = retraining.snapshot(site, opened)
    retraining.compare(site, opened, taken, [retraining.Candidate(other, "grid-residual", 0.5)], metric)
    models.promote(site, version=other, promoted_by="tester", reason="a test")
    rescoring.rescore(site, accept_missing=False, triggered_by="tester")
    answers = {}
    with warehouse.engine(warehouse.analyst_url).connect() as connection:
        for query in sorted((sql_dir() / "queries").glob("*.sql")):
            cursor = connection.connection.driver_connection.cursor()
            cursor.execute(query.read_text())
            answers[query.stem] = len(cursor.fetchall())
    assert answers
    # Twenty patients are too few to learn a course of the disease from; test_docs.py shows that query's rows.
    assert [name for name, n_rows in answers.items() if n_rows == 0] == ["rau_forecast"]


def test_pending_names_what_has_not_run_and_the_newest_when_all_have(site, two_nights):
    assert status.pending(site) == [NIGHT, NEXT_NIGHT]
    run(site)
    assert status.pending(site) == [NEXT_NIGHT]
    run(site, NEXT_NIGHT)
    assert status.pending(site) == [NEXT_NIGHT]


def test_a_report_of_a_night_that_never_ran_is_refused(site):
    with pytest.raises(InvalidRequest, match="has not been run"):
        status.report(site, NIGHT)


def test_all_faults_of_the_catalogue_in_one_night_balance(site, warehouse):
    quarantining = [name for name, fault in FAULTS.items() if name not in STOPPING]
    (night,) = write_batches(
        site.landing_url, seed=2, first_batch=NIGHT, nights=1, n_patients=60, faults=tuple(quarantining)
    )
    expected = dict.fromkeys(("consultations", "readings", "disease_activity", "images"), 0)
    for effect in night.effects:
        for dataset, n in effect.quarantined.items():
            expected[dataset] += n

    counts = run(site)

    assert counts["quarantined"] == expected
    assert nightly_report.night_books(warehouse.engine(), counts["run_id"])["balanced"].all()


STOPPING = {"missing_column", "no_header", "empty_file", "no_success", "empty_night"}


@pytest.mark.slow
@examples(max_examples=10)
@given(faults=st.sets(st.sampled_from(sorted(set(FAULTS) - STOPPING)), max_size=8), seed=st.integers(0, 10**6))
def test_books_balance_for_any_mix_of_faults_and_a_rerun_changes_nothing(
    tmp_path_factory, site, warehouse, faults, seed
):
    # Every example is a night of its own in one warehouse, as in life.
    folder = tmp_path_factory.mktemp("example")
    night = date(2000, 1, 1) + timedelta(days=seed % 9000)
    example = site.model_copy(update={"landing_url": str(folder), "max_bad_share": 1.0, "lookback_days": 0})
    write_batches(str(folder), seed=seed, first_batch=night, nights=1, n_patients=15, faults=tuple(faults))
    engine = warehouse.engine()

    first = run(example, night)
    assert nightly_report.night_books(engine, first["run_id"])["balanced"].all()
    before = correlation.digest(engine)
    run(example, night)
    assert correlation.digest(engine) == before
