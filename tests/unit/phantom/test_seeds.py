from hypothesis import given
from hypothesis import strategies as st

from scoring.phantom.seeds import stream


@given(st.integers(0, 2**32), st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_same_seed_and_key_give_the_same_numbers(seed: int, key: list[str]) -> None:
    assert stream(seed, *key).random(4).tolist() == stream(seed, *key).random(4).tolist()


def test_other_seeds_and_keys_give_other_numbers() -> None:
    draws = {stream(seed, *key).random() for seed in (0, 1) for key in (("a", "b"), ("ab",), ("b", "a"), ("a",))}
    assert len(draws) == 8
