"""Checks of a lab (`autoqec fsck`), and the repairs that cannot lose data."""
