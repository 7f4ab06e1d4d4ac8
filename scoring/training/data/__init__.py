"""The joint sets that networks are trained on: snapshots of a site's readings, and synthetic phantoms."""
