"""The command line: data on stdout, logs and progress on stderr, one exit code per kind of failure."""

import logging
import sys

import click

from scoring import __version__
from scoring.commands.analysis import associate_command, correlate_command, figures_command
from scoring.commands.backtest import backtest_command
from scoring.commands.batches import nightly_command, pending_command, report_command, status_command
from scoring.commands.benchmark import benchmark_command
from scoring.commands.console import CommandGroup
from scoring.commands.evaluation import card_command, evaluate_command
from scoring.commands.export import export_command
from scoring.commands.info import info_command
from scoring.commands.phantom import phantom_command
from scoring.commands.promotion import promote_command, rescore_command
from scoring.commands.simulate_coverage import simulate_coverage_command
from scoring.commands.training import fine_tune_command, retrain_command, train_command
from scoring.commands.warehouse import dictionary_command, down_command, migrate_command, up_command

SECTIONS = {
    "Batches": (nightly_command, pending_command, status_command, report_command),
    "Models": (
        retrain_command,
        promote_command,
        rescore_command,
        evaluate_command,
        card_command,
        train_command,
        fine_tune_command,
        benchmark_command,
    ),
    "Analysis": (correlate_command, associate_command, figures_command, backtest_command, simulate_coverage_command),
    "Warehouse": (up_command, down_command, migrate_command, dictionary_command, export_command, info_command),
    "Synthetic data": (phantom_command,),
}


@click.group(
    cls=CommandGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="scoring")
@click.option("-v", "--verbose", is_flag=True, help="Log every step.")
def main(verbose: bool) -> None:
    """Score bone erosion in radiographs of patients with rheumatoid arthritis.

    \b
    Exit codes:
      0 success                     7 model rejected
      1 unexpected error            8 row counts do not reconcile
      2 usage error                 9 invalid request
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
