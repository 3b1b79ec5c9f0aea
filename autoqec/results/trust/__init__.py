"""Trust: which lines of a round's notes count, and which verdict, metrics and analysis of the round count."""

from autoqec.results.note_lines import Line
from autoqec.results.trust.line_trust import (
    ANY,
    UNDECIDED,
    Policy,
    Ruling,
    Signer,
    Standing,
    State,
    Subject,
    cheap_audit,
    rule,
    standing_of,
)

__all__ = [
    "ANY",
    "UNDECIDED",
    "Line",
    "Policy",
    "Ruling",
    "Signer",
    "Standing",
    "State",
    "Subject",
    "cheap_audit",
    "rule",
    "standing_of",
]
