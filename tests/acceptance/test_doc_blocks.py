"""Every code block of the documentation runs, and its output is the printed one.

With WRITE_DOCS=1, outputs that differ are written into the pages. Blocks that cannot run here are skipped with their
reason; `pytest -ra` lists them.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.engine import make_url

from tests.lib.doc_blocks import ROOT, Page, Runner, matches, read_page, rewrite, shell_environment
from tests.lib.preloaded import preloaded_command

if TYPE_CHECKING:
    from scoring.warehouse.embedded import EmbeddedServer

# Generated from a warehouse; test_docs.py runs the example queries.
GENERATED = ("dictionary.md", "er.md", "queries.md")
PAGES = {
    path.relative_to(ROOT).as_posix(): read_page(path)
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("dags/*.md")])
    if path.name not in GENERATED
}
BATCHES = (date(2026, 11, 21), date(2026, 11, 22), date(2026, 11, 23))
FAULTS = ("truncated", "percent_120")


@dataclass(frozen=True)
class Site:
    """A working folder with an installation; the entries of the checkout are linked into it."""

    folder: Path
    environment: dict[str, str]
    server: "Callable[[], EmbeddedServer]"
    database: str = "scoring"

    def psql(self, role: str) -> list[str]:
        server = self.server()
        url = make_url(getattr(server, f"{role}_url"))
        assert url.username
        return [str(server.psql), "-h", str(url.query["host"]), "-U", url.username, self.database]


def _folder() -> Path:
    # Not below pytest's own temporary folder, which the user of the server may not enter.
    folder = Path(tempfile.mkdtemp(prefix="scoring-docs-"))
    folder.chmod(0o711)
    for path in ROOT.iterdir():
        if path.name not in {".git", "var"}:
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def environment() -> "Iterator[Callable[..., dict[str, str]]]":
    """Makes the environment of a page, with a `scoring` command that starts in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        plain = shell_environment(Path(folder), PYTHONPATH=str(ROOT))
        with preloaded_command(Path(folder), plain) as commands:
            yield lambda page_folder, **variables: shell_environment(
                page_folder, SCORING_CODE_REVISION="v0", commands=commands, **variables
            )


@pytest.fixture(scope="session")
def empty_sites(environment) -> Iterator[Callable[[Page], Site]]:
    """Makes the site of a page: empty, or in the state after the page that it continues."""
    from scoring.warehouse import embedded

    sites: dict[str, Site] = {}

    def make(page: Page) -> Site:
        if page.continues:
            first = PAGES[str(Path(page.name).with_name(page.continues))]
            if first.name not in sites:
                runner = Runner(make(first))
                runner.run(first)
                runner.close()
            return sites[first.name]
        folder = _folder()
        sites[page.name] = Site(folder, environment(folder), lambda: embedded.start(folder / "var", airflow=True))
        return sites[page.name]

    yield make
    for site in sites.values():
        embedded.stop(site.folder / "var")
        shutil.rmtree(site.folder)


@pytest.fixture(scope="session")
def prepared(new_warehouse, tmp_path_factory) -> Iterator[tuple[Path, Any]]:
    """The synthetic batches of docs/how-to/index.md, the first two of which have run, and a model `mine-1`."""
    from scoring.phantom.batches import write_batches
    from scoring.pipeline import nightly
    from scoring.settings import Settings
    from scoring.warehouse import connect
    from tests.lib.models import write_other_model

    var_dir = tmp_path_factory.mktemp("prepared") / "var"
    with new_warehouse() as warehouse:
        site = Settings(var_dir=var_dir, warehouse_url=warehouse.job_url, code_revision="v0", _env_file=None)
        write_batches(
            site.landing_url, n_patients=12, seed=1, first_batch=BATCHES[0], batches=len(BATCHES), faults=FAULTS
        )
        for batch_date in BATCHES[:2]:
            nightly.run_batch(site, batch_date, triggered_by="operator")
        write_other_model(site.model_store_url, "mine-1")
        connect._engine.cache_clear()
        yield var_dir, warehouse


@pytest.fixture
def prepared_site(new_warehouse, prepared, environment) -> Iterator[Site]:
    """A copy of the prepared installation."""
    var_dir, template = prepared
    folder = _folder()
    shutil.copytree(var_dir, folder / "var")
    with new_warehouse(template.name) as warehouse:
        analyst = make_url(warehouse.analyst_url).set(drivername="postgresql+psycopg2")
        variables = environment(
            folder,
            SCORING_WAREHOUSE_URL=warehouse.job_url,
            SCORING_MIGRATION_URL=warehouse.owner_url,
            WAREHOUSE=analyst.render_as_string(),
        )
        yield Site(folder, variables, lambda: warehouse.server, warehouse.name)
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES.values() if page.runs])
def test_blocks_of_a_page_run_with_the_printed_output(page, request):
    if page.name.startswith("docs/how-to/"):
        site = request.getfixturevalue("prepared_site")
    else:
        site = request.getfixturevalue("empty_sites")(page)
    runner = Runner(site)
    try:
        runner.run(page)
    except AssertionError:
        if os.environ.get("WRITE_DOCS"):
            rewrite(runner)
        raise
    finally:
        runner.close()


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=block.place)
        for page in PAGES.values()
        for block in page.blocks
        if block.not_run or (block.language == "r" and not shutil.which("Rscript"))
    ],
)
def test_blocks_that_do_not_run_state_a_reason(block):
    pytest.skip(f"{block.place}: {block.not_run or 'Rscript is not installed'}")


def test_read_page_finds_options_and_output(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.lib.doc_blocks.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "```text\na drawing\n```\n\n```bash\necho 1\n```\n\n```text\n1\n```\n\n"
        "<!-- not run: needs\na robot -->\n```ini\n[a]\n```\n\n<!-- run as: owner -->\n```sql\nSELECT 1;\n```\n"
    )
    found = read_page(page)
    assert [(block.language, block.not_run, block.role, block.output) for block in found.blocks] == [
        ("bash", "", "analyst", "1\n"),
        ("ini", "needs a robot", "analyst", None),
        ("sql", "", "owner", None),
    ]
    page.write_text("```ruby\nputs 1\n```\n")
    with pytest.raises(ValueError, match=r"page\.md:1: a block of language 'ruby'"):
        read_page(page)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\nb\n", "a  \nb\n\n", True),
        ("a … c", "a b c", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("…", "", True),
        ("a …     c", "a b c", True),
        ("a … c", "a b\nc", False),
        ("a.c", "abc", False),
        ("a", "a\nb", False),
    ],
)
def test_matches_treats_an_ellipsis_as_any_text(expected, actual, same):
    assert matches(expected, actual) is same
