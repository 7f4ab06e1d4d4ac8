"""Random streams that depend on a seed and a key, never on the order of drawing.

The keys are permanent: a renamed key changes every image or table that is drawn from it. Some therefore keep older
words, such as "film" for a radiograph.
"""

from hashlib import blake2b

import numpy as np

Rng = np.random.Generator


def stream(seed: int, *key: str) -> Rng:
    """Return the random generator of a key, such as `("patient", patient_id)`.

    The same seed (0 or more) and key give the same numbers in any process and in any order.
    """
    digest = blake2b("\x1f".join(key).encode(), digest_size=16).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([seed, *words]))
