"""The drop zone: what the extractor and the registry deliver, read and staged as Parquet. Nothing is judged here."""
