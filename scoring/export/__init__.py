"""Exports of the warehouse: views as Parquet and CSV, OMOP measurements, FHIR observations."""
