"""Diagnosis of rounds and runs: causes read off plain records, each with evidence, a next step and perhaps a mend."""
