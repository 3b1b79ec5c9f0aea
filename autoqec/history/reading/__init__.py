"""The record as plain values: one listing of refs, one walk per note tree."""
