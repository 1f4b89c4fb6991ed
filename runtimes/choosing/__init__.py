"""Which artifact to deploy: requirements, the Pareto front, the recommendation."""
