"""Commands that evaluate and describe models: evaluate, card."""

from os import cpu_count
from typing import TYPE_CHECKING, Any, Literal

import click

from scoring.commands.console import Table, json_option, progress_bar, show
from scoring.errors import InvalidRequest
from scoring.pipeline import models
from scoring.progress import Progress
from scoring.settings import Settings, get_settings

if TYPE_CHECKING:
    from scoring.training.data.phantoms import PhantomSource
    from scoring.training.evaluation.evaluate import Evaluation


@click.command("evaluate")
@click.option("--version", help="Model to evaluate; default: the shipped one.")
@click.option("--joints", type=click.IntRange(100), help="Size of the test set; default: as in the manifest.")
@click.option("--truth", is_flag=True, help="Compare with the phantoms' known truth instead of a reader's reading.")
@json_option
def evaluate_command(version: str | None, joints: int | None, truth: bool, as_json: bool) -> None:
    """Evaluate a model on held-out synthetic phantoms.

    Prints the results next to three references: always grade 0, an error-free reader (upper bound) and the simulated
    reader. Rau scores are per radiograph, 0 to 190 points. `sdc` is the smallest detectable change (human readers: 6.3
    points on 38 joints). To compare the model with the simulated reader, use --truth.

    Example: scoring evaluate --version phantom-3
    """
    from scoring.model_store.store import SHIPPED_VERSION

    version = version or SHIPPED_VERSION
    with progress_bar("evaluating on synthetic phantoms") as progress:
        found = _evaluate(get_settings(), version, joints, "truth" if truth else "reading", progress)
    title = (
        f"{version} compared with the {found.against} of {found.n} joints of {found.n_patients} synthetic patients "
        f"({found.engine}); says nothing about real patients"
    )
    show(Table("figures", title, figures(found.to_dict())), as_json=as_json)


@click.command("card")
@click.option("--version", help="Model to describe; default: the shipped one.")
@click.option("--evaluate", "evaluate_now", is_flag=True, help="Evaluate now instead of using the manifest's results.")
def card_command(version: str | None, evaluate_now: bool) -> None:
    """Write a model card in HTML and Markdown.

    Covers intended use, data, training, results, subgroups, limitations and reporting checklists. Prints the paths.

    Example: scoring card --version phantom-3
    """
    with progress_bar("writing the model card") as progress:
        written = card(get_settings(), version=version, evaluate_now=evaluate_now, progress=progress)
    for path in written:
        click.echo(path)


def card(settings: Settings, *, version: str | None, evaluate_now: bool = False, progress: Progress) -> list[str]:
    """Write the card of a model in HTML and Markdown, with its figures, below the reports.

    Args:
        settings: Settings of the installation.
        version: The model; None for the shipped one.
        evaluate_now: Evaluate on held-out phantoms instead of using the figures of the manifest, which an older version
            of this package may have written with fewer measures.
        progress: Called while phantoms are drawn.

    Returns:
        URLs of the HTML and the Markdown file.

    Raises:
        ModelRejected: There is no such version, or a file differs from its manifest.
        InvalidRequest: The manifest has no evaluation, or `evaluate_now` is set for a model of a site's own readings.
    """
    from upath import UPath

    from scoring.model_store.store import SHIPPED_VERSION
    from scoring.report import model_card
    from scoring.report.html import write_document

    version = version or SHIPPED_VERSION
    manifest = models.load(settings, version).manifest
    evaluations: dict[str, Any] = manifest.get("metrics", {})
    if evaluate_now:
        evaluations = {
            "reading": _evaluate(settings, version, None, "reading", progress).to_dict(),
            "truth": _evaluate(settings, version, None, "truth", progress).to_dict(),
        }
    if "reading" not in evaluations:
        raise InvalidRequest(
            f"The manifest of model {version} has no evaluation against readings. Run `scoring card --version {version}"
            " --evaluate`."
        )
    folder = UPath(settings.report_url) / "models" / version
    pages = {
        str(folder / "model_card.html"): model_card.render_html(manifest, evaluations),
        str(folder / "model_card.md"): model_card.render_markdown(manifest, evaluations),
    }
    for name, svg in model_card.figure_files(manifest, evaluations).items():
        write_document(svg, str(folder / "figures" / name))
    for path, text in pages.items():
        write_document(text, path)
    return list(pages)


def figures(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an evaluation as rows: measure, value, 95 % interval over patients, and the values of the references."""
    references = {
        title: evaluation[key]
        for key, title in (
            ("always_0", "always 0"),
            ("errorless_reader", "error-free reader"),
            ("reader", "simulated reader"),
        )
        if evaluation.get(key)
    }
    rows = [
        {
            "measure": measure.replace("_", " "),
            "model": value,
            "95 % interval": format_interval(evaluation["patient_intervals"].get(measure)),
            **{title: measures.get(measure) for title, measures in references.items()},
        }
        for measure, value in evaluation["measures"].items()
    ]
    return rows + [
        {
            "measure": f"recall of grade {grade} ({sum(evaluation['confusion'][grade])} joints)",
            "model": recall,
            "95 % interval": format_interval(evaluation["recall_wilson"][grade]),
            **{title: float(grade == 0) if title == "always 0" else None for title in references},
        }
        for grade, recall in enumerate(evaluation["recall"])
    ]


def format_interval(limits: list[float | None] | None) -> str | None:
    """Return an interval as text; None if it is not defined."""
    if limits is None or any(limit is None for limit in limits):
        return None
    return f"{limits[0]:.3f} to {limits[1]:.3f}"


def phantom_source(settings: Settings, difficulty: str, progress: Progress) -> "PhantomSource":
    """Return where synthetic joints of a difficulty come from: drawn by all CPUs, and cached."""
    from scoring.phantom.difficulty import difficulty_named
    from scoring.training.data.phantoms import PhantomSource

    return PhantomSource(difficulty_named(difficulty), settings.var_dir / "phantom-cache", cpu_count() or 1, progress)


def _evaluate(
    settings: Settings, version: str, joints: int | None, against: Literal["reading", "truth"], progress: Progress
) -> "Evaluation":
    from scoring.training.phantoms import evaluate_on_phantoms

    # The difficulty of the test set is the manifest's.
    source = phantom_source(settings, "plain", progress)
    return evaluate_on_phantoms(version, settings.model_store_url, source=source, n_joints=joints, against=against)
