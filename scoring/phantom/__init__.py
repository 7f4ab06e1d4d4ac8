"""Synthetic radiographs and a synthetic registry with known ground truth. Nothing here comes from a patient."""
