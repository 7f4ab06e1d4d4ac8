"""From read joints to a promoted model: snapshot, split, fit, evaluation, model store."""
