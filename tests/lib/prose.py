"""Measures the language of this project: unusual wordings per 10,000 words, and the layout of the documentation.

The limits are those of well-written projects in this field (opensafely-core/ehrql, aphp/edsnlp, MIC-DKFZ/nnUNet,
simonw/sqlite-utils). Run as a script, it prints all figures, or with `--where NAME` each place of one pattern.
"""

import ast
import io
import os
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Habit:
    """A wording to avoid.

    Attributes:
        pattern: Regular expression that finds it.
        limit: Largest acceptable number per 10,000 words.
    """

    pattern: str
    limit: float


HABITS = {
    "what-clause": Habit(r"\b[Ww]hat (is|was|are|were|has|came|it|they|the|a|an|no|did|does|stands|lies|said)\b", 6.0),
    "stand/lie": Habit(r"\b(stands?|stood|lies?|lay|lain)\b", 1.0),
    "anew": Habit(r"\banew\b", 0.2),
    "beside": Habit(r"\bbeside\b", 0.5),
    "mend": Habit(r"\bmend(s|ed|ing)?\b", 0.2),
    "go on": Habit(r"\b(go|goes|going|went) on\b", 0.5),
    "told": Habit(r"\btold\b", 0.5),
    "somebody": Habit(r"\b([Ss]omebody|[Nn]obody|[Ww]hoever|[Ee]verybody)\b", 1.0),
    "of which/whose": Habit(r"\bof which\b|\bwhose\b", 4.0),
    "one X a Y": Habit(
        r"\b(one|rows?|files?|slots?|joints?|points|steps|images|page|candidate|folder|seconds) a "
        r"(night|film|joint|visit|patient|year|recipe|shard|second|figure|limb|series|GPU)\b",
        0.8,
    ),
    "set aside": Habit(r"\bset(s)? aside\b", 0.3),
    "metaphor": Habit(r"\b([Hh]ouse|[Rr]ooms?|arrows?|[Bb]ooks|[Cc]omplaints?)\b", 0.5),
    "anchored words": Habit(r"\b(hearsay|yardstick|whereupon|thereupon|as it were|in words)\b", 0.3),
}
MEDIAN_PARAGRAPH_WORDS = 22
WORDS_PER_HEADING = 125

_SKIPPED_FOLDERS = {
    ".venv", "var", ".git", "node_modules", "site", "dist", "build", ".ruff_cache", ".mypy_cache", "fixtures",
}  # fmt: skip
_GENERATED = {"dictionary.md", "er.md", "queries.md"}
_FENCED_BLOCK = re.compile(r"```.*?```", re.DOTALL)
_BLOCK_BREAK = re.compile(r"\n\s*\n|\n(?=[-*\d]+[.)]? )")


@dataclass(frozen=True)
class Piece:
    """A piece of prose: a line of Markdown, a string, a docstring or a comment."""

    path: Path
    line: int
    text: str


@dataclass(frozen=True)
class Layout:
    """Median number of words per paragraph, and number of words per heading, of the hand-written Markdown files."""

    median_paragraph_words: float
    words_per_heading: float


def pieces(root: Path = ROOT) -> Iterator[Piece]:
    """Yield all prose of a project: Markdown, Python strings and comments outside tests, and SQL comments."""
    readers = {".md": _markdown, ".sql": _sql, ".py": _python}
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - _SKIPPED_FOLDERS)
        for path in (Path(folder, name) for name in sorted(names)):
            relative = path.relative_to(root)
            if path.suffix not in readers or path.name in _GENERATED:
                continue
            if path.suffix == ".py" and "tests" in relative.parts:
                continue
            for line, text in readers[path.suffix](path.read_text(encoding="utf-8", errors="replace")):
                yield Piece(relative, line, text)


def rates(root: Path = ROOT) -> dict[str, float]:
    """Return the number of occurrences of each habit per 10,000 words."""
    texts = [piece.text for piece in pieces(root)]
    n_words = max(1, sum(map(_count_words, texts)))
    return {
        name: 10_000 * sum(len(re.findall(habit.pattern, text)) for text in texts) / n_words
        for name, habit in HABITS.items()
    }


def places(name: str, root: Path = ROOT) -> list[str]:
    """Return each occurrence of a habit as "path:line: context"."""
    found = []
    for piece in pieces(root):
        for match in re.finditer(HABITS[name].pattern, piece.text):
            line = piece.line + piece.text[: match.start()].count("\n")
            context = piece.text[max(0, match.start() - 40) : match.end() + 40]
            found.append(f"{piece.path}:{line}: {context!r}")
    return found


def layout(root: Path = ROOT) -> Layout:
    """Measure README, docs, runbooks and the other Markdown files at the root; code blocks and tables do not count."""
    paragraphs: list[int] = []
    n_headings = 0
    for path in (*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("dags/*.md")):
        if path.name in _GENERATED:
            continue
        text = _FENCED_BLOCK.sub("", path.read_text(encoding="utf-8"))
        text = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("|"))
        n_headings += len(re.findall(r"^#+ ", text, flags=re.MULTILINE))
        counts = [_count_words(block) for block in _BLOCK_BREAK.split(text) if not block.startswith("#")]
        paragraphs += [n for n in counts if n > 3]
    return Layout(statistics.median(paragraphs) if paragraphs else 0, sum(paragraphs) / max(1, n_headings))


def _count_words(text: str) -> int:
    return len(re.findall(r"[A-Za-z']+", text))


def _markdown(text: str) -> Iterator[tuple[int, str]]:
    without_code = _FENCED_BLOCK.sub(lambda match: "\n" * match.group().count("\n"), text)
    for number, line in enumerate(without_code.split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith(("|", "<!--")):
            yield number, line


def _sql(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if found := re.search(r"--\s*(.+)$", line) or re.search(r"COMMENT ON .* IS '(.*)';", line):
            yield number, found.group(1)


def _python(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value.split()) > 3:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not re.search("noqa|type:|pragma", token.string):
            yield token.start[0], token.string.lstrip("# ")


def main(arguments: list[str]) -> None:
    """Print all figures, or with `--where NAME` each place of one habit."""
    if arguments[:1] == ["--where"]:
        print("\n".join(places(arguments[1])))
        return
    for name, rate in rates().items():
        print(f"{name:16} {rate:6.1f}  (limit {HABITS[name].limit})")
    print(f"{layout()}  (limits {MEDIAN_PARAGRAPH_WORDS} and {WORDS_PER_HEADING})")


if __name__ == "__main__":
    main(sys.argv[1:])
