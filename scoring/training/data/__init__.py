"""The joint sets that networks are trained on: snapshots of readings and synthetic phantoms."""
