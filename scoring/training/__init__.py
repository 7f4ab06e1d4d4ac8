"""From read joints to a model in the store: snapshot, split, fit, evaluation, and the gate that may propose it."""
