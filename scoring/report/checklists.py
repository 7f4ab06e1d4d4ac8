"""Where a model card answers the items of two reporting guidelines, and which it does not answer.

TRIPOD+AI: Collins, Moons, Dhiman et al., BMJ 2024;385:e078378, 27 items. CLAIM: Mongan, Moy, Kahn, Radiol Artif Intell
2020;2:e200029; of its 42 items those that TRIPOD+AI does not have, with the numbers of that edition.
"""

from dataclasses import dataclass
from typing import Final, Literal

Section = Literal["use", "data", "training", "figures", "rau", "calibration", "subgroups", "limits", "versions"]

SECTIONS: Final[dict[Section, str]] = {
    "use": "Intended use",
    "data": "Data",
    "training": "Training",
    "figures": "Figures",
    "rau": "Rau score",
    "calibration": "Calibration",
    "subgroups": "Subgroups",
    "limits": "Limits",
    "versions": "Versions and hashes",
}

NOT_APPLICABLE: Final = "not applicable"
NOT_DONE: Final = "not done"


@dataclass(frozen=True)
class Item:
    """One item of a guideline.

    Attributes:
        number: As the guideline numbers it.
        topic: What is to be reported, in our words.
        section: Where the card answers it; None if it does not.
        why: Of an unanswered item, or what is to be said beside the answer, for a model that a site trained.
        why_synthetic: The same for a model trained on phantoms. One that begins with `not applicable` or `not done`
            stands in place of the section.
    """

    number: str
    topic: str
    section: Section | None = None
    why: str = ""
    why_synthetic: str = ""

    def answer(self, *, synthetic: bool, shown: set[Section]) -> tuple[str, Section | None, str]:
        """Status (`answered`, `not applicable`, `not done`), the section to go to, and a remark.

        Args:
            synthetic: Whether the model was trained on phantoms.
            shown: The sections that this card has; an old evaluation may lack some.
        """
        remark = self.why_synthetic if synthetic and self.why_synthetic else self.why
        for status in (NOT_APPLICABLE, NOT_DONE):
            if remark.startswith(status):
                return status, None, remark.removeprefix(status).lstrip(": ")
        if self.section is None:
            return NOT_DONE, None, remark
        if self.section not in shown:
            return NOT_DONE, None, "the evaluation that this card was made from does not hold it"
        return "answered", self.section, remark


_SITE = "not done: the site that trained the model has to state it"
_NOBODY = "not applicable: no person's data were used"

TRIPOD_AI: Final = (
    Item("1", "Title: model, outcome, population", "use"),
    Item("2", "Structured summary", "figures", "the facts below the title and the table of measures"),
    Item("3a", "Clinical context and existing models", "use"),
    Item("3b", "Target population, place in the care pathway, users", "use"),
    Item("3c", "Known health inequalities", None, _SITE, _NOBODY),
    Item("4", "Objectives", "use"),
    Item("5a", "Sources of data, for training and for evaluation", "data"),
    Item(
        "5b", "Dates of the data", "subgroups", "the years of the radiographs", "the years of the simulated radiographs"
    ),
    Item("6a", "Setting, number and location of centres", None, _SITE, _NOBODY),
    Item("6b", "Eligibility", "data", "joints that were read"),
    Item("6c", "Treatments", None, _SITE, _NOBODY),
    Item(
        "7", "Preparation of the data, quality checks", "versions", "the preprocessing version; the suites of the job"
    ),
    Item("8a", "Outcome and how it was assessed", "use"),
    Item("8b", "Who assessed the outcome", None, _SITE, "not applicable: the reader is simulated"),
    Item("8c", "Blinding of the assessment", None, _SITE, "not applicable: the reader is simulated"),
    Item("9a", "Choice of predictors", "use", "the image of one joint and nothing else"),
    Item("9b", "Definition of predictors", "use"),
    Item("9c", "Who assessed the predictors", None, "not applicable: pixels are not assessed by anybody"),
    Item("10", "Sample size", "data", "as many as there are; no size was calculated"),
    Item("11", "Missing data", "data", "joints that were not read are left out"),
    Item("12a", "Use of the data: parts, and what each was for", "data"),
    Item("12b", "Handling of predictors", "training", "augmentation, in the recipe"),
    Item("12c", "Kind of model, hyperparameters, selection, internal validation", "training"),
    Item("12d", "Differences between clusters", "subgroups"),
    Item("12e", "Measures and plots of performance", "figures"),
    Item("12f", "Updating of the model after evaluation", None, "not applicable: none"),
    Item("12g", "How predictions were computed for the evaluation", "versions", "the engine that scores every night"),
    Item("13", "Class imbalance", "training"),
    Item("14", "Approaches to fairness", None, "not done: the job keeps neither sex nor age nor origin", _NOBODY),
    Item("15", "Output of the model, thresholds", "use"),
    Item("16", "Differences between training and evaluation data", "data"),
    Item("17", "Ethical approval", None, _SITE, _NOBODY),
    Item("18a", "Funding", None, _SITE, "not done: no statement"),
    Item("18b", "Conflicts of interest", None, _SITE, "not done: no statement"),
    Item("18c", "Study protocol", None, "not done: there is none"),
    Item("18d", "Registration of the study", None, "not done: it is not registered"),
    Item("18e", "Availability of the data", "data", _SITE, "drawn again from the seeds"),
    Item("18f", "Availability of the code", "versions"),
    Item("19", "Patient and public involvement", None, "not done"),
    Item("20a", "Flow of participants", "data"),
    Item("20b", "Characteristics of participants", "data", "grades only; age, sex and treatment are not used"),
    Item("20c", "Comparison of the two sets of data", "data"),
    Item("21", "Numbers of participants and of outcomes in each analysis", "data"),
    Item("22", "The full model", "versions", "weights by hash"),
    Item("23a", "Performance with intervals, also in subgroups", "figures"),
    Item("23b", "Differences in performance between clusters", "subgroups"),
    Item("24", "Results of an updating", None, "not applicable: none"),
    Item("25", "Interpretation", "limits"),
    Item("26", "Limitations", "limits"),
    Item("27a", "Poor or missing input when in use", "limits"),
    Item("27b", "What users have to do and know", "use"),
    Item("27c", "Next steps", "limits"),
)

CLAIM: Final = (
    Item("5", "Prospective or retrospective", "data", "retrospective", "not applicable: simulated"),
    Item("12", "De-identification", None, _SITE, _NOBODY),
    Item("15", "Why this reference standard", "use"),
    Item("17", "Annotation tools", None, _SITE, "not applicable: the reader is simulated"),
    Item("18", "Variability between and within readers", "rau", _SITE, "the simulated reader beside the model"),
    Item("21", "Level at which the parts are disjoint", "data", "the patient"),
    Item("22", "Description of the network", "training"),
    Item("23", "Software", "versions"),
    Item("24", "Initial parameters", "training"),
    Item("25", "Training: augmentation, hyperparameters, number of models", "training"),
    Item("26", "Choice of the final model", "training"),
    Item("27", "Ensembles", "training"),
    Item("29", "Significance and uncertainty", "figures"),
    Item("30", "Robustness", "subgroups", "by exposure only"),
    Item("31", "Explanation of the model's answers", None, "not done"),
    Item("32", "Testing on external data", None, "not done"),
    Item("34", "Demographics by part", None, _SITE, _NOBODY),
    Item(
        "37", "Failure analysis", "figures", "gross errors and the confusion matrix; single failures are not discussed"
    ),
)
