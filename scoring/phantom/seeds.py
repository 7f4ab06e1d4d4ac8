"""Random streams that depend on what is drawn, never on the order in which it is drawn."""

from hashlib import blake2b

import numpy as np


def stream(seed: int, *key: str) -> np.random.Generator:
    """The random generator that belongs to `key` under `seed`.

    Args:
        seed: Seed of the whole phantom, 0 or more.
        key: Stable names of the thing drawn, such as `("radiograph", sop_iuid)`.

    Returns:
        A generator; the same seed and key give the same numbers in any process and in any order.
    """
    digest = blake2b("\x1f".join(key).encode(), digest_size=16).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
