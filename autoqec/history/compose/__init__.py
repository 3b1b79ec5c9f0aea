"""Composing rounds: which commits may be merged, and the three-way merge of candidates."""
