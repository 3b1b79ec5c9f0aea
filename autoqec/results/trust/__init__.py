"""Trust: which lines of a round's notes count, and which verdict, metrics and analysis of the round count."""
