"""Reads the code blocks of a Markdown page and runs them in order, as a reader of the page would.

- `bash` runs in one shell per page, `python` in a process of its own, `sql` and `psql` in psql as an analyst, `r` in
  Rscript.
- A `text` block directly after a block is its output. In it, "…" with the spaces around it matches any text of a line,
  and a line with only "…" matches any lines. Other `text` blocks are drawings.
- `<!-- not run: REASON -->` before a block excludes it; `<!-- run as: superuser -->` runs SQL as another role.
- `<!-- continues: PAGE -->` marks a page that needs the state after another page.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
RUNNABLE = ("bash", "python", "sql", "psql", "r")
DATA = ("text", "ini", "mermaid")

_FENCE = re.compile(r"^```(?P<language>[\w{}-]*)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!-- (?P<name>not run|run as|continues): (?P<value>.*?) -->", re.DOTALL)
_END = "__end_of_block__"


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: Path of the page below the root of the project.
        line: Line of the opening fence.
        language: Language of the block.
        code: The code.
        not_run: Why the block is not run; empty if it is.
        role: Role that runs SQL.
        output: Expected output, None if it is not compared.
        output_span: Position of the expected output in the page.
    """

    page: str
    line: int
    language: str
    code: str
    not_run: str = ""
    role: str = "analyst"
    output: str | None = None
    output_span: tuple[int, int] = (0, 0)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A page with its runnable blocks in order.

    Attributes:
        name: Path below the root of the project.
        continues: Page after which it runs, in the same place; empty for none.
        blocks: All blocks except drawings.
    """

    name: str
    continues: str = ""
    blocks: tuple[Block, ...] = ()

    @property
    def runs(self) -> bool:
        return any(not block.not_run for block in self.blocks)


class Place(Protocol):
    """Where a page runs: a working folder with an installation."""

    folder: Path
    environment: "Mapping[str, str]"

    def psql(self, role: str) -> list[str]:
        """Return the psql command of a role."""


def read_page(path: Path) -> Page:
    """Read the blocks of a page.

    Raises:
        ValueError: A block has a language that this module does not know.
    """
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    settings = {found["name"]: found["value"] for found in _COMMENT.finditer(text)}
    blocks: list[Block] = []
    end_of_last = -1
    for fence in _FENCE.finditer(text):
        language, between = fence["language"], text[max(end_of_last, 0) : fence.start()]
        follows = end_of_last >= 0 and not between.strip()
        end_of_last = fence.end()
        if language.startswith("{"):
            continue
        line = text[: fence.start()].count("\n") + 1
        if language not in (*RUNNABLE, *DATA):
            raise ValueError(f"{name}:{line}: a block of language {language!r} cannot be checked.")
        comment = _COMMENT.search(between.rstrip().rpartition("\n\n")[2])
        options = {comment["name"]: " ".join(comment["value"].split())} if comment else {}
        if language == "text" and follows and blocks and blocks[-1].language in RUNNABLE and not blocks[-1].not_run:
            blocks[-1] = _with_output(blocks[-1], fence["code"], fence.span("code"))
        elif language in RUNNABLE or "not run" in options:
            role = options.get("run as", "analyst")
            blocks.append(Block(name, line, language, fence["code"], options.get("not run", ""), role))
    return Page(name, settings.get("continues", ""), tuple(blocks))


def _with_output(block: Block, output: str, span: tuple[int, int]) -> Block:
    return Block(**{**vars(block), "output": output, "output_span": span})


def matches(expected: str, actual: str) -> bool:
    """True if the output is as expected; trailing blanks, blank lines at the ends and "…" are flexible."""
    pattern = ""
    for line in clean(expected).split("\n"):
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"[^\n]*?".join(map(re.escape, re.split(" *… *", line))) + r"\n"
    return re.fullmatch(pattern, clean(actual) + "\n") is not None


def clean(text: str) -> str:
    """Remove trailing blanks, and blank lines at both ends."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


@dataclass
class Runner:
    """Runs blocks at a place and collects the differences to the expected outputs."""

    place: Place
    differences: list[str] = field(default_factory=list)
    replaced: list[tuple[Block, str]] = field(default_factory=list)

    def run(self, page: Page) -> None:
        """Run all blocks of a page.

        Raises:
            AssertionError: A block fails, or its output differs.
        """
        for block in page.blocks:
            if block.not_run or (block.language == "r" and not shutil.which("Rscript")):
                continue
            actual = getattr(self, f"_{block.language}")(block)
            if block.output is not None and not matches(block.output, actual):
                self.differences.append(f"{block.place}: expected\n{block.output}\nbut the output was\n{actual}")
                self.replaced.append((block, actual))
        assert not self.differences, "\n".join(self.differences)

    def close(self) -> None:
        if "_shell" in vars(self):
            assert self._shell.stdin
            assert self._shell.stdout
            self._shell.stdin.close()
            self._shell.wait(timeout=60)
            self._shell.stdout.close()

    @cached_property
    def _shell(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.place.folder,
            env=dict(self.place.environment),
        )

    def _bash(self, block: Block) -> str:
        # Sourced, so that variables and the folder persist; without input, so that no command reads the next block.
        script = self.place.folder / ".block.sh"
        script.write_text(block.code, encoding="utf-8")
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"source {script} </dev/null\necho {_END}\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.rstrip("\n").endswith(_END):
                return "".join([*lines, line.rstrip("\n").removesuffix(_END)])
            lines.append(line)
        raise AssertionError(f"{block.place}: a command failed:\n{block.code}\n{''.join(lines)}")

    def _python(self, block: Block) -> str:
        return self._finished(block, [sys.executable, "-"])

    def _sql(self, block: Block) -> str:
        options = ["--no-psqlrc", "--quiet", "--pset=pager=off", "--set=ON_ERROR_STOP=1"]
        return self._finished(block, [*self.place.psql(block.role), *options])

    _psql = _sql

    def _r(self, block: Block) -> str:
        return self._finished(block, ["Rscript", "-"])

    def _finished(self, block: Block, command: list[str]) -> str:
        done = subprocess.run(
            command,
            input=block.code,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.place.folder,
            env=dict(self.place.environment),
            check=False,
        )
        assert done.returncode == 0, f"{block.place}: exit code {done.returncode}:\n{block.code}\n{done.stdout}"
        return done.stdout


def rewrite(runner: Runner) -> None:
    """Replace outputs that differ by the actual ones; run ids and times become "…"."""
    for block, actual in reversed(runner.replaced):
        path = ROOT / block.page
        text = path.read_text(encoding="utf-8")
        shown = clean(actual)
        for folder in (runner.place.folder, Path(sys.prefix), ROOT):
            shown = shown.replace(str(folder), "…")
        shown = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "…", shown)
        shown = re.sub(rf"{date.today()}( \d\d:\d\d[.\d+:]*)?", lambda found: "…".ljust(len(found[0])), shown)  # noqa: DTZ011
        start, end = block.output_span
        path.write_text(text[:start] + shown + "\n" + text[end:], encoding="utf-8")


def shell_environment(folder: Path, commands: Path | None = None, **variables: str) -> dict[str, str]:
    """Return the environment of a page, without settings of the user.

    Args:
        folder: Working folder of the page.
        commands: Folder of commands that take precedence over those of this virtual environment.
        variables: Further variables.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCORING_", "AIRFLOW"))}
    path = os.pathsep.join(map(str, filter(None, [commands, Path(sys.executable).parent, os.environ["PATH"]])))
    fixed = {"PATH": path, "SCORING_VAR_DIR": str(folder / "var"), "COLUMNS": "1000", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return kept | fixed | variables
