"""Processes that run what is not trusted: framed pipes, limits, whole-group kill."""
