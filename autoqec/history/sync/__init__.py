"""Sharing a lab between clones: push, pull, renumbering, archives and bundles."""
