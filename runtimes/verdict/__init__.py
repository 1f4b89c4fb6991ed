"""Same predictions: the rule on arrays, statistics on counts, and what may be wrong where they differ."""
