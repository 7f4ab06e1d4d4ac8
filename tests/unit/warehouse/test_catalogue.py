"""The unit of a column according to its comment."""

import pytest

from scoring.warehouse.catalogue import Column, unit_of


@pytest.mark.parametrize(
    ("comment", "unit"),
    [
        ("Expected share of the joint surface that is eroded, percent.", "percent"),
        ("5 % quantile, in points, from the convolution of the joints' grade distributions.", "points"),
        ("Change of the Rau score, points per year.", "points per year"),
        ("Upper end of the 90 % interval.", ""),
        ("Erythrocyte sedimentation rate, mm in the first hour.", "mm/h"),
        ("The patient's global assessment, 0-100 mm.", "mm"),
        ("C-reactive protein, mg/L.", "mg/L"),
        ("From the radiograph to the visit, in days.", "days"),
        ("Correlation coefficient, -1 to 1; null if it is not defined.", "-1 to 1"),
        ("Predicted Ratingen grade, 0-5.", "0 to 5"),
        ("Number of joints with grade 0 by the new model.", "count"),
        ("How often the joint was read on this radiograph.", "count"),
        ("Mean of new minus old, in the unit of measure.", "as measure"),
        ("Share of joints with the same grade by both.", "0 to 1"),
        ("Slope, without unit, of Deming's regression.", "none"),
        ("Smallest of the grades read.", ""),
        ("Probability, 0-1, that this radiograph scores more than 6.3 points above rau_last.", "0 to 1"),
        ("Probability, 0 to 1, of grades 0 to 5, in this order.", "0 to 1"),
        ("Time-integrated DAS28 over the interval, points times years.", "points times years"),
        ("In the unit of method: a correlation; of mixed_model, Rau points for each year.", "as method"),
        ("Landing folder 2026-11-21.", ""),
    ],
)
def test_unit_of_finds_the_unit_or_range_in_a_comment(comment, unit):
    assert unit_of(comment) == unit


@pytest.mark.parametrize(
    ("type_", "numeric"),
    [("real[]", True), ("numeric(10,2)", True), ("bigint", True), ("text", False), ("date", False), ("uuid", False)],
)
def test_column_unit_is_empty_unless_it_is_numeric(type_, numeric):
    column = Column("x", type_, nullable=True, comment="Number of days.", filled="")
    assert column.is_numeric is numeric
    assert bool(column.unit) is numeric
