from hypothesis import given
from hypothesis import strategies as st

from scoring.phantom.seeds import stream


@given(st.integers(0, 2**32), st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_stream_repeats_the_numbers_of_a_seed_and_key(seed: int, key: list[str]) -> None:
    assert stream(seed, *key).random(4).tolist() == stream(seed, *key).random(4).tolist()


def test_stream_differs_between_seeds_and_keys() -> None:
    draws = {stream(seed, *key).random() for seed in (0, 1) for key in (("a", "b"), ("ab",), ("b", "a"), ("a",))}
    assert len(draws) == 8
