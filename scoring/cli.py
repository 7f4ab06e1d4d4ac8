"""The command line. Data goes to stdout, logs and progress to stderr, and each kind of failure has its exit code."""

import getpass
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, Literal

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from scoring import __version__
from scoring.errors import ScoringError
from scoring.pipeline import (
    benchmark,
    correlation,
    course,
    coverage,
    dictionary,
    export,
    figures,
    installation,
    models,
    nightly,
    phantoms,
    rescoring,
    retraining,
    status,
)
from scoring.pipeline.batch import parse_batch_date
from scoring.settings import get_settings

stderr = Console(stderr=True)
# A pipe or a log file has no width; a table cut to 80 columns would lose what it says.
stdout = Console(width=None if sys.stdout.isatty() else 170)


class ExplainedErrors(click.Group):
    """A group whose commands end with the exit code of the error they met, and its message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; errors that the job explains itself become a message and an exit code."""
        try:
            return super().invoke(ctx)
        except ScoringError as error:
            stderr.print(f"[bold red]{type(error).__name__}[/]: ", end="")
            stderr.print(str(error), markup=False, highlight=False)
            ctx.exit(error.exit_code)


class BatchDate(click.ParamType[date]):
    """A batch date, YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read the date or end with a usage error."""
        try:
            return value if isinstance(value, date) else parse_batch_date(value)
        except ScoringError as error:
            self.fail(str(error), param, ctx)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on stderr; yields a callback that takes (what is being done, done, total)."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda doing, done, total: bar.update(task, description=doing, completed=done, total=total)


def show_table(title: str, rows: list[dict[str, Any]]) -> None:
    """Print rows of equal keys as a table on stdout."""
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for number, column in enumerate(rows[0] if rows else ("nothing",)):
        # The first column names the row: what is cut off it could be any row.
        justify: Literal["right", "left"] = "right" if rows and isinstance(rows[0][column], (int, float)) else "left"
        table.add_column(column, justify=justify, no_wrap=number == 0)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    stdout.print(table)


@click.group(cls=ExplainedErrors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="scoring")
@click.option("-v", "--verbose", is_flag=True, help="Log every step.")
def main(verbose: bool) -> None:
    """Score bone erosion in rheumatoid arthritis, night by night.

    \b
    Exit codes:
      0 done                        7 model refused
      1 unforeseen error            8 books do not balance
      2 wrong usage                 9 request without meaning
      3 bad input                  10 a rule could not be computed
      4 landing not ready          11 storage unavailable
      5 warehouse unavailable      12 training diverged
      6 warehouse not migrated
    """  # noqa: D301 - click reads the backspace as "keep these lines"
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )


@main.command()
@click.option("--url", type=click.Choice(["job", "owner", "analyst", "airflow"]), help="Print only this URL.")
def up(url: str | None) -> None:
    """Start the embedded PostgreSQL server of this installation.

    Example: scoring up
    """
    settings = get_settings()
    server = installation.up(settings)
    if url:
        click.echo(getattr(server, f"{url}_url"))
    elif settings.warehouse_url is None:
        click.echo(f"the embedded warehouse is up; read it with\n  {server.psql_command}")
    else:
        click.echo("the embedded server is up, but SCORING_WAREHOUSE_URL names the warehouse")


@main.command()
def down() -> None:
    """Stop the embedded server. Its data stays.

    Example: scoring down
    """
    stopped = installation.down(get_settings())
    click.echo("stopped" if stopped else "was not running")


@main.command()
def migrate() -> None:
    """Bring the warehouse's schema, views and grants up to this version. Safe to repeat.

    Example: scoring migrate
    """
    result = installation.migrate(get_settings())
    click.echo(result)


@main.command()
@click.option("--patients", default=40, show_default=True, type=click.IntRange(1, 100_000), help="In the registry.")
@click.option("--nights", default=3, show_default=True, type=click.IntRange(1, 366), help="How many to write.")
@click.option("--last-night", type=BatchDate(), help="Date of the last folder; default: yesterday.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same bytes.")
@click.option("--difficulty", default="plain", show_default=True, help="plain, or lifelike: harder to read.")
@click.option("--fault", "faults", multiple=True, help="Damage the last night; see --list-faults. May be repeated.")
@click.option("--list-faults", is_flag=True, help="Name every fault and what the books then say.")
@click.option("--landing", help="Where to write; default: the installation's landing folder.")
@click.option("--if-empty", is_flag=True, help="Only into the empty default folder of a first try.")
def phantom(  # noqa: PLR0917 - click hands over options by name
    patients: int,
    nights: int,
    last_night: date | None,
    seed: int,
    difficulty: str,
    faults: tuple[str, ...],
    list_faults: bool,
    landing: str | None,
    if_empty: bool,
) -> None:
    """Write synthetic nights in the landing layout: registry records and joint images with known truth.

    Example: scoring phantom --patients 40 --nights 3 --fault truncated --fault percent_120
    """
    if list_faults:
        show_table("Faults", phantoms.fault_catalogue())
        return
    settings = get_settings()
    with progress_bar("drawing synthetic joints"):
        written = phantoms.write(
            settings,
            landing,
            patients=patients,
            nights=nights,
            last_night=last_night or date.today() - timedelta(days=1),  # noqa: DTZ011 - the operator's own calendar
            seed=seed,
            difficulty=difficulty,
            faults=faults,
            if_empty=if_empty,
        )
    if written:
        show_table("Synthetic nights written", written)
    else:
        click.echo("no synthetic night was written: the landing folder is in use", err=True)


@main.command()
@click.option("--date", "dates", multiple=True, required=True, type=BatchDate(), help="Folder date. May be repeated.")
def nightly_command(dates: tuple[date, ...]) -> None:
    """Run the nightly job for one or more nights, the same steps as the DAG.

    Example: scoring nightly --date 2026-11-21
    """
    settings = get_settings()
    for batch_date in dates:
        with progress_bar(f"night of {batch_date}") as progress:
            counts = nightly.run_night(
                settings,
                batch_date,
                triggered_by=getpass.getuser(),
                progress=progress,
            )
        click.echo(json.dumps({"batch_date": batch_date.isoformat(), **counts}))


main.add_command(nightly_command, "nightly")


@main.command()
def pending() -> None:
    """List closed nights that have not run yet, oldest first; the newest night when all have.

    Example: for night in $(scoring pending); do scoring nightly --date $night; done
    """
    for batch_date in status.pending(get_settings()):
        click.echo(batch_date.isoformat())


@main.command()
@click.option("--version", required=True, help="Name of the new model, such as phantom-3.")
@click.option("--recipe", default="grid-residual", show_default=True, help="One of docs/model.md.")
@click.option("--difficulty", default="lifelike", show_default=True, help="lifelike, or plain: easier to read.")
@click.option(
    "--patients", default=2000, show_default=True, type=click.IntRange(10), help="To learn from and choose by."
)
@click.option("--seed", default=1, show_default=True, help="Of the patients and of the training.")
@click.option("--epochs", default=12, show_default=True, type=click.IntRange(1), help="At most so many.")
def train(  # noqa: PLR0917 - click hands over options by name
    version: str, recipe: str, difficulty: str, patients: int, seed: int, epochs: int
) -> None:
    """Train a network on synthetic phantoms and put it in the model store. Promotes nothing.

    The defaults are those of the shipped model: one to two hours on two cores.

    Example: scoring train --version phantom-4
    """
    with progress_bar(f"training {version} on synthetic phantoms") as progress:
        rows = models.train(
            get_settings(),
            version=version,
            recipe=recipe,
            difficulty=difficulty,
            patients=patients,
            seed=seed,
            epochs=epochs,
            progress=progress,
        )
    show_table(f"{version} on held-out synthetic phantoms; says nothing about real patients", rows)


@main.command()
@click.option(
    "--recipe", "recipes", multiple=True, required=True, help="Of a candidate; named in docs/model.md. May be repeated."
)
@click.option("--cut-off", type=BatchDate(), help="Newest folder to take readings from; default: the newest there is.")
@click.option(
    "--metric",
    default="accuracy_and_kappa",
    show_default=True,
    help="What the models are compared by; else class_normalized_accuracy, quadratic_weighted_kappa or"
    " within_one_accuracy.",
)
@click.option("--epochs", type=click.IntRange(1), help="At most so many; default: the recipe's own.")
@click.option("--approve", is_flag=True, help="Promote the best candidate if the gate proposes it.")
def retrain(recipes: tuple[str, ...], cut_off: date | None, metric: str, epochs: int | None, approve: bool) -> None:
    """Train candidates on the site's own readings and compare the best one with the champion.

    Without --approve nothing is promoted: the comparison is printed, and how to promote.

    Example: scoring retrain --recipe grid-residual-balanced --cut-off 2026-11-21
    """
    with progress_bar("retraining") as progress:
        challenge = retraining.retrain(
            get_settings(),
            recipes=recipes,
            cut_off=cut_off,
            metric=metric,
            epochs=epochs,
            approve=approve,
            triggered_by=getpass.getuser(),
            progress=progress,
        )
    click.echo(challenge.question)
    if not challenge.promote:
        click.echo(f"{challenge.challenger} is not proposed; {challenge.champion} stays the champion")
    elif approve:
        click.echo(f"{challenge.challenger} is promoted: `scoring rescore` makes it the champion")
    else:
        click.echo(f'{challenge.challenger} is proposed: scoring promote {challenge.challenger} --reason "..."')


@main.command("fine-tune")
@click.option("--from", "start", required=True, help="Model to go on from, of the store or the shipped one.")
@click.option("--version", required=True, help="Name of the new model, such as phantom-3-limbs.")
@click.option("--difficulty", default="plain", show_default=True, help="plain, or lifelike: harder to read.")
@click.option(
    "--patients", default=150, show_default=True, type=click.IntRange(10), help="To learn from and choose by."
)
@click.option("--test-joints", default=4000, show_default=True, type=click.IntRange(100), help="Of each limb.")
@click.option("--epochs", default=2, show_default=True, type=click.IntRange(1), help="At most so many.")
def fine_tune(  # noqa: PLR0917 - click hands over options by name
    start: str, version: str, difficulty: str, patients: int, test_joints: int, epochs: int
) -> None:
    """Go on training a left-hand model on synthetic right hands, wrists and feet; print each limb before and after.

    Example: scoring fine-tune --from phantom-3 --version phantom-3-limbs
    """
    with progress_bar(f"fine-tuning {start} on synthetic phantoms") as progress:
        rows = models.fine_tune(
            get_settings(),
            start=start,
            version=version,
            difficulty=difficulty,
            patients=patients,
            test_joints=test_joints,
            epochs=epochs,
            progress=progress,
        )
    show_table(f"{version} on held-out synthetic phantoms; says nothing about real patients", rows)


@main.command()
@click.option("--version", help="Model to evaluate; default: the shipped one.")
@click.option("--joints", type=click.IntRange(100), help="Size of the test set; default: the manifest's.")
@click.option("--truth", is_flag=True, help="Against the phantoms' known truth instead of a reader's reading.")
def evaluate(version: str | None, joints: int | None, truth: bool) -> None:
    """Evaluate a model on held-out synthetic phantoms, trivial and ideal answers beside it.

    Rau scores are those of films, in points of 190; `sdc` is the smallest detectable change. Human readers reach 6.3 on
    38 joints; compare the simulated reader's with the model's under --truth.

    Example: scoring evaluate --version phantom-3
    """
    with progress_bar("evaluating on synthetic phantoms") as progress:
        title, rows = models.evaluate(
            get_settings(), version=version, joints=joints, against_truth=truth, progress=progress
        )
    show_table(title, rows)


@main.command("benchmark")
@click.option("--recipe", "recipes", multiple=True, help="Recipe to compare; may be repeated; default: all.")
@click.option("--patients", default=500, show_default=True, type=click.IntRange(20), help="Behind the training set.")
@click.option(
    "--test-joints", default=40_000, show_default=True, type=click.IntRange(100), help="Joints to compare on."
)
@click.option("--epochs", default=8, show_default=True, type=click.IntRange(1), help="Of every recipe.")
@click.option("--seed", default=1, show_default=True, help="Of every training.")
@click.option(
    "--shrink",
    default=2,
    show_default=True,
    type=click.IntRange(1, 2),
    help="2: half the resolution for all; 1: as the recipe says.",
)
@click.option("--model", help="A model of the store, or the shipped one, to stand beside them.")
@click.option(
    "--inception-weights",
    metavar="FILE|imagenet",
    help="What InceptionV3 begins with: a file of Keras's, or imagenet, which Keras downloads; default: fresh weights.",
)
def benchmark_command(  # noqa: PLR0917 - click hands over options by name
    recipes: tuple[str, ...],
    patients: int,
    test_joints: int,
    epochs: int,
    seed: int,
    shrink: int,
    model: str | None,
    inception_weights: str | None,
) -> None:
    """Train every recipe of the thesis, and what beats them, on equal synthetic data; print them side by side.

    Goes on where it was stopped.

    Example: scoring benchmark --recipe classification-weighted --recipe grid-residual --epochs 4
    """
    with progress_bar("benchmark on synthetic phantoms") as progress:
        found = benchmark.run(
            get_settings(),
            recipes=recipes,
            patients=patients,
            test_joints=test_joints,
            epochs=epochs,
            seed=seed,
            shrink=shrink,
            model=model,
            inception_weights=inception_weights,
            progress=progress,
        )
    show_table(found.title, found.figures)
    if found.differences:
        show_table("How far one is ahead of each other, on the same resamples of patients", found.differences)


@main.command()
@click.option("--version", help="Model to describe; default: the shipped one.")
@click.option("--evaluate", "evaluate_now", is_flag=True, help="Evaluate now instead of taking the manifest's figures.")
def card(version: str | None, evaluate_now: bool) -> None:
    """Write a model's card, HTML and Markdown: use, data, training, figures, subgroups, limits, checklists.

    Example: scoring card --version phantom-3 --evaluate
    """
    with progress_bar("writing the model card") as progress:
        written = models.card(get_settings(), version=version, evaluate_now=evaluate_now, progress=progress)
    for path in written:
        click.echo(path)


@main.command()
@click.argument("version")
@click.option("--reason", required=True, help="Why this model becomes the champion; kept with the promotion.")
def promote(version: str, reason: str) -> None:
    """Promote a model of the store. It becomes the champion when the history is rescored; at once if nothing waits.

    Reversible: promote the former one.

    Example: scoring promote phantom-3 --reason "QWK .81 against .76 on the frozen set"
    """
    shown = models.promote(get_settings(), version=version, promoted_by=getpass.getuser(), reason=reason)
    if shown is None:
        click.echo(f"{version} is the champion: the views show it, and nights are scored with it")
    else:
        click.echo(f"{version} is promoted; `scoring rescore` brings the history over, until then views show {shown}")


@main.command()
@click.option("--accept-missing", is_flag=True, help="Go on without images whose files are gone or were changed.")
def rescore(accept_missing: bool) -> None:
    """Score the history with the promoted model, then make it the champion. Safe to repeat after it was stopped.

    Until all of it is done the views show the former champion. The bridge between the two is in analyst.bridge.

    Example: scoring rescore
    """
    with progress_bar("rescoring the history") as progress:
        counts = rescoring.rescore(
            get_settings(), accept_missing=accept_missing, triggered_by=getpass.getuser(), progress=progress
        )
    click.echo(json.dumps(counts))


@main.command()
@click.option("--as-of", required=True, type=BatchDate(), help="Use what had landed by this date.")
def correlate(as_of: date) -> None:
    """Refresh and print the correlation of Rau scores with disease activity as of a date.

    Example: scoring correlate --as-of 2026-11-21
    """
    show_table(f"Correlation as of {as_of}", correlation.correlate_by_hand(get_settings(), as_of, getpass.getuser()))


@main.command()
@click.option("--as-of", required=True, type=BatchDate(), help="Use what had landed by this date.")
@click.option(
    "--by",
    "stratum_kind",
    default="overall",
    show_default=True,
    type=click.Choice(["overall", "year", "severity"]),
    help="Strata to print.",
)
def associate(as_of: date, stratum_kind: str) -> None:
    """Refresh and print how damage and activity go together over time, as of a date: level, change, progression.

    Example: scoring associate --as-of 2026-11-21 --by severity
    """
    rows = correlation.associate_by_hand(get_settings(), as_of, stratum_kind, getpass.getuser())
    show_table(f"Association as of {as_of}; q allows for many tests", rows)


@main.command("simulate-coverage")
@click.option("--patients", default=5000, show_default=True, type=click.IntRange(10), help="In each registry.")
@click.option("--years", default=10, show_default=True, type=click.IntRange(2, 40), help="For which they are followed.")
@click.option("--replications", default=200, show_default=True, type=click.IntRange(1), help="Number of registries.")
@click.option(
    "--reference",
    default=200_000,
    show_default=True,
    type=click.IntRange(1000),
    help="Patients of the registry that stands for the population where nothing is planted.",
)
def simulate_coverage(patients: int, years: int, replications: int, reference: int) -> None:
    """Print how often the 95 % intervals of the associations hold the truth, on synthetic registries where it is known.

    The last row is the naive way: films joined with visits by patient alone. Needs no warehouse. With the defaults a
    matter of minutes.

    Example: scoring simulate-coverage --patients 500 --replications 20 --reference 20000
    """
    with progress_bar("synthetic registries") as progress:
        rows = coverage.table(patients, years, replications, reference, progress)
    show_table(
        f"Coverage in {replications} synthetic registries of {patients} patients; says nothing about patients", rows
    )


@main.command("export")
@click.option(
    "--format",
    "export_format",
    required=True,
    type=click.Choice(["parquet", "csv", "omop", "fhir"]),
    help="Views as Parquet or CSV, OMOP measurements, or FHIR observations.",
)
@click.option("--out", required=True, help="Folder to write, local or any fsspec URL.")
@click.option("--overwrite", is_flag=True, help="Replace an export that lies there.")
@click.option("--persons", help="OMOP: the person_map.csv of an earlier export, whose numbers are kept.")
def export_command(export_format: export.Format, out: str, overwrite: bool, persons: str | None) -> None:
    """Export the warehouse, as of one moment: for pandas, R and DuckDB, or for a hospital's own systems.

    parquet and csv hold every view of schema analyst; manifest.json says what is in it. How to read: docs/access.md.

    Example: scoring export --format parquet --out exports/warehouse
    """
    with progress_bar(f"exporting as {export_format}") as progress:
        written = export.export(
            get_settings(), out, export_format, overwrite=overwrite, persons=persons, progress=progress
        )
    show_table(f"Exported to {out}", written)


@main.command("dictionary")
@click.option("--out", default="docs", show_default=True, help="Folder for dictionary.md and er.md.")
def dictionary_command(out: str) -> None:
    """Write the data dictionary and the diagrams of this warehouse, from its catalogue.

    Example: scoring dictionary --out docs
    """
    for path in dictionary.write(get_settings(), out):
        click.echo(path)


@main.command()
@click.option("--as-of", type=BatchDate(), help="Use what had landed by this date; default: all.")
@click.option("--synthetic", is_flag=True, help="On a simulated registry instead of the warehouse.")
@click.option("--patients", default=1500, show_default=True, type=click.IntRange(1, 99_999), help="If synthetic.")
@click.option("--years", default=10.0, show_default=True, type=click.FloatRange(1, 50), help="If synthetic.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="If synthetic.")
def backtest(as_of: date | None, synthetic: bool, patients: int, years: float, seed: int) -> None:
    """Forecast the last film of each patient from the films before, and print the errors beside simpler methods.

    What each method learns, it learns from other patients. docs/course.md says what the figures mean.

    Example: scoring backtest --synthetic
    """
    if synthetic:
        tables = course.back_test_synthetic(patients=patients, years=years, seed=seed)
    else:
        tables = course.back_test(get_settings(), as_of)
    for title, rows in tables:
        show_table(title, rows)


@main.command()
@click.option("--date", "batch_date", required=True, type=BatchDate(), help="Folder date.")
def report(batch_date: date) -> None:
    """Write a night's page again, from the warehouse and the staged files of its last run.

    Example: scoring report --date 2026-11-21
    """
    click.echo(status.report(get_settings(), batch_date))


@main.command("figures")
@click.option("--patient", help="Whose course is drawn; default: who was followed longest.")
def figures_command(patient: str | None) -> None:
    """Write the page of analytics and its figures: damage against activity, correlation over time, progression, course.

    Example: scoring figures --patient 00042
    """
    for path in figures.write(get_settings(), date.today(), patient):  # noqa: DTZ011 - the operator's own calendar
        click.echo(path)


@main.command("status")
@click.option("--digest", is_flag=True, help="Digest of every data table: equal before and after a repeated night.")
@click.option("--nights", default=10, show_default=True, type=click.IntRange(1), help="How many to show.")
def status_command(digest: bool, nights: int) -> None:
    """Show the last nights, the champion, the report's path and a ready-made psql line.

    Example: scoring status --digest
    """
    settings = get_settings()
    overview = status.overview(settings, nights)
    show_table("Nights", overview.nights)
    if digest:
        show_table("Digest of the data tables", status.digest(settings))
    for label, value in overview.lines:
        click.echo(f"{label:<10} {value}")
