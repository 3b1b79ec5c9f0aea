"""Examining a lab and repairing what can be repaired without losing anything."""
