"""What counts mean, in plain Python: statistics, decisions, audits, the Pareto front, comparisons."""
