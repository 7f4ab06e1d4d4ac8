"""The command simulate-coverage: how often do the intervals of associations contain a known truth?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from scoring.commands.console import Table, json_option, progress_bar, show
from scoring.progress import Progress, no_progress

if TYPE_CHECKING:
    import pandas as pd

    from scoring.phantom.longitudinal import Followed, Planted

Estimand = tuple[str, str, str]
"""Relation, lag window and method."""

NAIVE: Estimand = ("level", "joined by patient alone", "pearson, textbook")
_DAMAGE, _FORM, _WINDOW = "reported_rau", "das28_esr4", "within_90_days"
_CONFIDENCE = 0.95
_WITHIN_CHANCE = 0.999
_REFERENCE_SEED, _FIRST_SEED = 1, 1_000


@click.command("simulate-coverage")
@click.option("--patients", default=5000, show_default=True, type=click.IntRange(10), help="Patients per registry.")
@click.option("--years", default=10, show_default=True, type=click.IntRange(2, 40), help="Length of follow-up.")
@click.option("--replications", default=200, show_default=True, type=click.IntRange(1), help="Number of registries.")
@click.option(
    "--reference",
    default=200_000,
    show_default=True,
    type=click.IntRange(1000),
    help="Patients in the large registry that defines the true correlations.",
)
@json_option
def simulate_coverage_command(patients: int, years: int, replications: int, reference: int, as_json: bool) -> None:
    """Check how often 95 % intervals contain the true value.

    Estimates associations in synthetic registries with known truth. The last row shows a naive method that joins each
    radiograph with every visit of the patient. Needs no warehouse. Takes minutes with the defaults.

    Example: scoring simulate-coverage --patients 500 --replications 20 --reference 20000
    """
    with progress_bar("synthetic registries") as progress:
        rows = table(patients, years, replications, reference, progress)
    title = f"Coverage in {replications} synthetic registries of {patients} patients; says nothing about patients"
    show(Table("coverage", title, rows), as_json=as_json)


@dataclass(frozen=True)
class Covered:
    """How often the intervals of one estimate contained the truth.

    Attributes:
        estimand: Relation, lag window and method.
        truth: The true value.
        planted: True if the simulation fixes the value; else it is the estimate in one very large registry.
        mean: Mean of the estimates.
        covered: Number of intervals that contain the truth.
        replications: Number of intervals.
    """

    estimand: Estimand
    truth: float
    planted: bool
    mean: float
    covered: int
    replications: int

    @property
    def as_stated(self) -> bool:
        """True if the number is within the central 99.9 % of its distribution for a true coverage of 95 %."""
        from scipy import stats

        low, high = stats.binom.interval(_WITHIN_CHANCE, self.replications, _CONFIDENCE)
        return bool(low <= self.covered <= high)


def simulate(
    patients: int, years: int, replications: int, reference_patients: int, progress: Progress = no_progress
) -> list[Covered]:
    """Estimate the associations of many synthetic registries, and count the intervals that contain the truth.

    The true slopes are fixed by the simulation. A true correlation is the one in a single very large registry; a test
    checks that this registry agrees with the fixed slopes.

    Args:
        patients: Patients per registry.
        years: Length of follow-up.
        replications: Number of registries.
        reference_patients: Patients of the large registry.
        progress: Called after each registry.

    Returns:
        One entry per estimate. The last one is naive: Pearson's correlation of every radiograph joined with every visit
        of the same patient, with the textbook interval.
    """
    from scoring.phantom.longitudinal import Planted, simulate_followed

    model = Planted()
    progress("the large registry", 0, 1)
    population = {
        estimand: found[0]
        for estimand, found in _figures(simulate_followed(reference_patients, _REFERENCE_SEED, years, model)).items()
    }
    truth = population | planted(model)
    found: dict[Estimand, list[tuple[float, float, float]]] = {estimand: [] for estimand in [*population, NAIVE]}
    for done in range(replications):
        progress("synthetic registries", done, replications)
        registry = simulate_followed(patients, _FIRST_SEED + done, years, model)
        for estimand, figures in (_figures(registry) | {NAIVE: naive_pearson(registry)}).items():
            found[estimand].append(figures)
    return [
        Covered(
            estimand,
            value := truth[("level", _WINDOW, "pearson") if estimand == NAIVE else estimand],
            estimand in planted(model),
            sum(estimate for estimate, _, _ in figures) / len(figures),
            sum(low <= value <= high for _, low, high in figures),
            len(figures),
        )
        for estimand, figures in found.items()
    ]


def table(
    patients: int, years: int, replications: int, reference_patients: int, progress: Progress
) -> list[dict[str, Any]]:
    """Return the result of `simulate` as rows to print."""
    return [
        {
            "relation": one.estimand[0],
            "lag window": one.estimand[1],
            "method": one.estimand[2],
            "truth": round(one.truth, 4),
            "truth is": "planted" if one.planted else "of a large registry",
            "mean estimate": round(one.mean, 4),
            "intervals that contain it": f"{one.covered} of {one.replications}",
            "coverage, %": round(100 * one.covered / one.replications, 1),
            "as stated": "yes" if one.as_stated else "no",
        }
        for one in simulate(patients, years, replications, reference_patients, progress)
    ]


def planted(model: "Planted") -> dict[Estimand, float]:
    """Return the values that the simulation fixes."""
    return {
        ("trend", "none", "mixed_model"): model.progression,
        ("progression", "year_before", "regression"): model.lead,
        ("progression", "during", "regression"): model.during,
        ("progression", "year_after", "regression"): 0.0,
    }


def naive_pearson(registry: "Followed") -> tuple[float, float, float]:
    """Estimate naively: join every radiograph with every visit of the patient, and treat all rows as independent.

    Returns:
        Pearson's correlation and the limits of the textbook interval.
    """
    from scipy import stats

    joined: pd.DataFrame = registry.radiographs.merge(registry.visits, on="patient_id", suffixes=("", "_of_activity"))
    found = stats.pearsonr(joined[_DAMAGE], joined[_FORM])
    interval = found.confidence_interval(_CONFIDENCE)
    return float(found.statistic), float(interval.low), float(interval.high)


def _figures(registry: "Followed") -> dict[Estimand, tuple[float, float, float]]:
    """Return each estimate with its interval, for one measure of damage and one form of DAS28."""
    from scoring.analysis.association import associate

    found = associate(
        registry.radiographs,
        registry.visits,
        damages=(_DAMAGE,),
        activities=(_FORM,),
        strata=("overall",),
        level_windows=(_WINDOW,),
        confidence=_CONFIDENCE,
    )
    return {
        (row["relation"], row["lag_window"], row["method"]): (row["estimate"], row["ci_low"], row["ci_high"])
        for row in found.to_dict("records")
    }
