"""The one type of progress callback, from a loop deep inside a step to the bar of the command line."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with a short description of the work, the number of items done, and the total (None if unknown)."""


def no_progress(doing: str, done: int, total: int | None) -> None:
    """Report nothing: the default of every step."""
