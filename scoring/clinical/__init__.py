"""Definitions of the field: joints, Ratingen grade, Rau score, DAS28 and EULAR response. Pure functions on numpy."""
