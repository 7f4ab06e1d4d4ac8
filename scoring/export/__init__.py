"""What leaves the warehouse: Parquet and CSV of the views, OMOP measurements, FHIR observations."""
