"""Diagnosis of rounds and runs: finds causes in plain records, each with evidence, a next step and, if possible, a patch."""
