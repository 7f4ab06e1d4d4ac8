"""Reads the files of a batch and stages them as Parquet. Validation decides later which rows are accepted."""
