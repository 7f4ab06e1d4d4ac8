import pytest

from scoring.pipeline.reconciliation import DATASETS, RowCounts, batch_discrepancies, count_lines, step_discrepancies

COUNTS = dict.fromkeys(DATASETS, RowCounts(received=5, unaccounted_for=0))
STAGED = dict.fromkeys(DATASETS, 5)


def test_batch_discrepancies_of_reconciled_counts_are_none():
    assert batch_discrepancies(COUNTS, STAGED, n_unpredicted=0) == []


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(("missing", "accounted_for"), [(1, 4), (-2, 7)])
def test_batch_discrepancies_names_rows_without_an_outcome_or_with_two(dataset, missing, accounted_for):
    found = batch_discrepancies(COUNTS | {dataset: RowCounts(5, missing)}, STAGED, n_unpredicted=0)
    assert found == [f"{dataset}: 5 rows received but {accounted_for} accounted for"]


def test_batch_discrepancies_detects_a_step_that_counts_only_the_rows_it_kept():
    found = batch_discrepancies(COUNTS, STAGED | {"images": 9}, n_unpredicted=0)
    assert found == ["images: 9 rows staged but 5 counted as received"]


def test_batch_discrepancies_names_missing_counts_predictions_and_steps():
    found = batch_discrepancies({}, STAGED, n_unpredicted=4, unfinished=["score"])
    assert "step score did not finish" in found
    assert "images: nothing was published" in found
    assert "images: 4 accepted images have no prediction in the warehouse" in found


def test_batch_discrepancies_of_a_failed_step_are_its_message_alone():
    found = batch_discrepancies({}, {}, 0, failures={"land": "BadInput: no header"}, unfinished=["validate"])
    assert found == ["land failed: BadInput: no header"]


def test_step_discrepancies_lists_unfinished_steps_if_none_failed():
    assert step_discrepancies({}, ["plan", "score"]) == ["step plan did not finish", "step score did not finish"]


def test_count_lines_has_one_line_per_outcome_and_rule():
    verdict = {"received": 7, "quarantined": {"images.decodes": 2}}
    assert count_lines(verdict, {"scored": 4, "already_scored": 1}) == [
        ("received", 7, ""),
        ("scored", 4, ""),
        ("already_scored", 1, ""),
        ("quarantined", 2, "images.decodes"),
    ]
