"""Synthetic radiographs and a synthetic registry with known truth. Nothing in this room comes from a patient."""
