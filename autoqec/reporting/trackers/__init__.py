"""Experiment trackers: a run's figures under names that stay, and the trackers that take them."""
