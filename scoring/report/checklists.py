"""Items of two reporting guidelines, and the section of the model card that reports each of them.

TRIPOD+AI: Collins, Moons, Dhiman et al., BMJ 2024;385:e078378, 27 items. CLAIM: Mongan, Moy, Kahn, Radiol Artif Intell
2020;2:e200029; those of its 42 items that TRIPOD+AI does not have, with the numbers of that edition.
"""

from dataclasses import dataclass
from typing import Final, Literal

Section = Literal["use", "data", "training", "performance", "rau", "calibration", "subgroups", "limits", "versions"]

SECTIONS: Final[dict[Section, str]] = {
    "use": "Intended use",
    "data": "Data",
    "training": "Training",
    "performance": "Performance",
    "rau": "Rau score",
    "calibration": "Calibration",
    "subgroups": "Subgroups",
    "limits": "Limitations",
    "versions": "Versions and hashes",
}

NOT_APPLICABLE: Final = "not applicable"
NOT_DONE: Final = "not done"


@dataclass(frozen=True)
class Item:
    """One item of a guideline.

    Attributes:
        number: Number in the guideline.
        topic: Topic of the item.
        section: Section of the card that reports it; None if it is not reported.
        remark: Reason why the item is not reported, or a remark on it, for a model that a site has trained.
        remark_synthetic: The same for a model trained on phantoms. A remark that begins with `not applicable` or
            `not done` replaces the section.
    """

    number: str
    topic: str
    section: Section | None = None
    remark: str = ""
    remark_synthetic: str = ""

    def answer(self, *, synthetic: bool, shown: set[Section]) -> tuple[str, Section | None, str]:
        """Return the status (`reported`, `not applicable`, `not done`), the section and a remark.

        Args:
            synthetic: True if the model was trained on phantoms.
            shown: Sections of this card; an old evaluation may lack some.
        """
        remark = self.remark_synthetic if synthetic and self.remark_synthetic else self.remark
        for status in (NOT_APPLICABLE, NOT_DONE):
            if remark.startswith(status):
                return status, None, remark.removeprefix(status).lstrip(": ")
        if self.section is None:
            return NOT_DONE, None, remark
        if self.section not in shown:
            return NOT_DONE, None, "missing in the evaluation of this card"
        return "reported", self.section, remark


_SITE = "not done: to be stated by the site that trained the model"
_NO_PATIENTS = "not applicable: no patient data were used"
_SIMULATED = "not applicable: the reader is simulated"

TRIPOD_AI: Final = (
    Item("1", "Title: model, target population, outcome", "use"),
    Item("2", "Structured summary", "performance", "the facts below the title, and the table of measures"),
    Item("3a", "Healthcare context and existing models", "use"),
    Item("3b", "Target population, purpose in the care pathway, intended users", "use"),
    Item("3c", "Known health inequalities", None, _SITE, _NO_PATIENTS),
    Item("4", "Objectives", "use"),
    Item("5a", "Sources of data for development and evaluation", "data"),
    Item("5b", "Dates of the data", "subgroups", "years of the radiographs", "years of the simulated radiographs"),
    Item("6a", "Study setting, number and location of centres", None, _SITE, _NO_PATIENTS),
    Item("6b", "Eligibility criteria", "data", "joints with a reading"),
    Item("6c", "Treatments received", None, _SITE, _NO_PATIENTS),
    Item("7", "Data preparation and quality checks", "versions", "preprocessing version; validation rules of the job"),
    Item("8a", "Outcome and its assessment", "use"),
    Item("8b", "Qualifications of outcome assessors", None, _SITE, _SIMULATED),
    Item("8c", "Blinding of the outcome assessment", None, _SITE, _SIMULATED),
    Item("9a", "Choice of predictors", "use", "the image of one joint only"),
    Item("9b", "Definition of predictors", "use"),
    Item("9c", "Qualifications of predictor assessors", None, "not applicable: pixels need no assessor"),
    Item("10", "Sample size", "data", "all available joints; no sample size calculation"),
    Item("11", "Missing data", "data", "joints without a reading are excluded"),
    Item("12a", "Use and partitioning of the data", "data"),
    Item("12b", "Handling of predictors", "training", "augmentation, in the recipe"),
    Item("12c", "Type of model, hyperparameters, model building, internal validation", "training"),
    Item("12d", "Heterogeneity across clusters", "subgroups"),
    Item("12e", "Measures and plots of performance", "performance"),
    Item("12f", "Model updating after the evaluation", None, "not applicable: no updating"),
    Item("12g", "Calculation of predictions for the evaluation", "versions", "the engine of the nightly job"),
    Item("13", "Class imbalance", "training"),
    Item("14", "Approaches to fairness", None, "not done: the job does not store sex, age or origin", _NO_PATIENTS),
    Item("15", "Output of the model, thresholds", "use"),
    Item("16", "Differences between development and evaluation data", "data"),
    Item("17", "Ethical approval", None, _SITE, _NO_PATIENTS),
    Item("18a", "Funding", None, _SITE, "not done: no statement"),
    Item("18b", "Conflicts of interest", None, _SITE, "not done: no statement"),
    Item("18c", "Study protocol", None, "not done: no protocol"),
    Item("18d", "Registration of the study", None, "not done: not registered"),
    Item("18e", "Availability of the data", "data", _SITE, "reproducible from the seeds"),
    Item("18f", "Availability of the code", "versions"),
    Item("19", "Patient and public involvement", None, "not done"),
    Item("20a", "Flow of participants", "data"),
    Item("20b", "Characteristics of participants", "data", "grades only; age, sex and treatment are not used"),
    Item("20c", "Comparison of development and evaluation data", "data"),
    Item("21", "Numbers of participants and outcomes in each analysis", "data"),
    Item("22", "Full model", "versions", "weights by hash"),
    Item("23a", "Performance with confidence intervals, also in subgroups", "performance"),
    Item("23b", "Heterogeneity of performance across clusters", "subgroups"),
    Item("24", "Results of model updating", None, "not applicable: no updating"),
    Item("25", "Interpretation", "limits"),
    Item("26", "Limitations", "limits"),
    Item("27a", "Handling of poor or missing input data", "limits"),
    Item("27b", "User interaction and required expertise", "use"),
    Item("27c", "Next steps", "limits"),
)

CLAIM: Final = (
    Item("5", "Prospective or retrospective study", "data", "retrospective", "not applicable: simulated data"),
    Item("12", "De-identification", None, _SITE, _NO_PATIENTS),
    Item("15", "Rationale for the reference standard", "use"),
    Item("17", "Annotation tools", None, _SITE, _SIMULATED),
    Item("18", "Inter- and intrarater variability", "rau", _SITE, "the simulated reader next to the model"),
    Item("21", "Level at which partitions are disjoint", "data", "the patient"),
    Item("22", "Description of the network", "training"),
    Item("23", "Software libraries", "versions"),
    Item("24", "Initialisation of the parameters", "training"),
    Item("25", "Training: augmentation, hyperparameters, number of models", "training"),
    Item("26", "Selection of the final model", "training"),
    Item("27", "Ensembling", "training"),
    Item("29", "Statistical measures of significance and uncertainty", "performance"),
    Item("30", "Robustness", "subgroups", "by exposure only"),
    Item("31", "Explainability", None, "not done"),
    Item("32", "Testing on external data", None, "not done"),
    Item("34", "Demographics of each partition", None, _SITE, _NO_PATIENTS),
    Item("37", "Failure analysis", "performance", "gross errors and confusion matrix; no individual cases"),
)
