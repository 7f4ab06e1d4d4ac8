"""From read joints to a model in the store: data, training, evaluation, and the promotion gate."""
