"""Rounds on a batch system of a cluster: the file of the job that works there."""
