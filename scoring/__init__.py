"""Nightly scoring of bone erosion in rheumatoid arthritis."""

from importlib.metadata import version

__version__ = version("bone-erosion-scoring")
