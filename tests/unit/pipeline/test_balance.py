import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.pipeline.reconciliation import DATASETS, OUTCOMES, books, complaints, lines


def balanced_counts():
    return [
        *[(dataset, "landed", 5) for dataset in DATASETS],
        *[(dataset, "new", 3) for dataset in DATASETS],
        *[(dataset, "quarantined", 2) for dataset in DATASETS],
    ]


STAGED = dict.fromkeys(DATASETS, 5)


def test_balanced_books_have_no_complaint():
    assert complaints(books(balanced_counts()), STAGED, unpredicted=0) == []


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_lost_row_is_found_in_any_dataset(dataset):
    counts = [*balanced_counts(), (dataset, "landed", 1)]
    found = complaints(books(counts), STAGED, unpredicted=0)
    assert f"{dataset}: 6 landed but 5 accounted for" in found


def test_a_step_that_counts_only_what_it_kept_is_found_by_the_staged_rows():
    found = complaints(books(balanced_counts()), STAGED | {"images": 9}, unpredicted=0)
    assert found == ["images: 9 rows were staged but 5 booked as landed"]


def test_missing_book_missing_prediction_and_unfinished_step_are_complaints():
    found = complaints({}, STAGED, unpredicted=4, unfinished=["score"])
    assert "step score did not finish" in found
    assert "images: nothing was published" in found
    assert "images: 4 accepted images have no prediction in the warehouse" in found


def test_a_failed_step_speaks_for_itself():
    found = complaints({}, {}, unpredicted=0, failures={"validate": "BadInput: no column id_x"}, unfinished=["plan"])
    assert found == ["validate failed: BadInput: no column id_x"]


def test_lines_of_a_book_add_up():
    verdict = {"landed": 7, "quarantined": {"images.decodes": 2, "images.radiograph_known": 1}}
    assert lines(verdict, {"scored": 3, "already_scored": 1}) == [
        ("landed", 7, ""),
        ("scored", 3, ""),
        ("already_scored", 1, ""),
        ("quarantined", 2, "images.decodes"),
        ("quarantined", 1, "images.radiograph_known"),
    ]


def test_unknown_outcome_is_refused():
    with pytest.raises(ValueError, match="lost_somewhere"):
        books([("images", "lost_somewhere", 1)])


@given(
    st.lists(st.tuples(st.sampled_from(DATASETS), st.sampled_from(OUTCOMES), st.integers(0, 1000))),
    st.integers(-3, 3),
)
def test_books_balance_exactly_when_landed_is_the_sum_of_outcomes(counts, surplus):
    landed = {d: sum(n for dataset, _, n in counts if dataset == d) for d in DATASETS}
    opened = [(d, "landed", n) for d, n in landed.items()] + [("images", "landed", surplus)]
    ledger = books(counts + opened)
    assert ledger["images"].balanced == (surplus == 0)
    assert all(ledger[d].balanced for d in DATASETS if d != "images")
