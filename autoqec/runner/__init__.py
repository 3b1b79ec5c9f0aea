"""Training a candidate and holding it: the processes candidates live in, their limits, and what the machine is."""
