"""Which joints an epoch is made of."""

import numpy as np
from numpy.typing import NDArray


def sample_epoch(grades: NDArray[np.int64], balance: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose and shuffle the joints of one epoch, as many as there are, with the rare grades more often.

    A grade with n joints gets a share proportional to `n ** (1 - balance)`: 0 leaves the prevalence as it is, 1 makes
    all grades equally frequent, 0.5 lies between. Within a grade every joint comes equally often, give or take one.

    Args:
        grades: Ratingen grade of every joint.
        balance: 0 to 1.
        rng: Decides which joints come once more and in which order.

    Returns:
        Indices into `grades`, int64 `(len(grades),)`.
    """
    present, counts = np.unique(grades, return_counts=True)
    share = counts ** (1.0 - balance)
    wanted = np.floor(share / share.sum() * len(grades)).astype(np.int64)
    wanted[np.argmax(counts)] += len(grades) - wanted.sum()
    chosen: list[NDArray[np.int64]] = []
    for grade, n in zip(present, wanted, strict=True):
        members = np.flatnonzero(grades == grade)
        copies, rest = divmod(int(n), len(members))
        chosen += [np.tile(members, copies), rng.choice(members, rest, replace=False)]
    return rng.permutation(np.concatenate(chosen))
