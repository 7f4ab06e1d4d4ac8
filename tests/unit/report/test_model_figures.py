import numpy as np

from scoring.report import model_figures


def test_confusion_has_the_numbers_in_its_alternative_text() -> None:
    counts = np.diag([6039, 1282, 240, 58, 36, 116])
    counts[0, 1] = 853
    svg = model_figures.confusion(counts.tolist())
    assert 'aria-label="Confusion matrix. Share of joints with the correct grade: grade 0 88 %, grade 1 100 %' in svg
    assert ">6,039<" in svg
    assert ">12 %<" in svg


def test_figures_give_the_same_bytes_each_time() -> None:
    quantiles = {"q05": 0.0, "q25": 1.0, "q50": 2.0, "q75": 3.0, "q95": 4.0}
    history = [
        {"epoch": 1, "loss": 0.5, "validation": {"class_normalized_accuracy": 0.4, "quadratic_weighted_kappa": 0.5}}
    ]
    measures = {"class_normalized_accuracy": 0.4, "mae": 3.0}
    row = {"label": "left PIP5", "measures": measures, "patient_intervals": dict.fromkeys(measures, (0.3, 4.0))}

    def draw() -> list[str]:
        return [
            model_figures.confusion(np.eye(6, dtype=int).tolist()),
            model_figures.spread([{"erosion": 5.0, **quantiles}]),
            model_figures.pit([0.1] * 10),
            model_figures.reliability([{"n": 3, "confidence": 0.6, "hits": 0.5}]),
            model_figures.learning_curves(history, 1),
            model_figures.subgroup_forest([("Joint", [row])], measures),
        ]

    assert draw() == draw()


def test_confusion_leaves_grades_without_joints_empty() -> None:
    svg = model_figures.confusion([[3, 0, 0, 0, 0, 0], *[[0] * 6] * 5])
    assert "grade 0 100 %." in svg
    assert "nan" not in svg
