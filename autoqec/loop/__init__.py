"""One round as a list of steps; each leaves its result in git, so resuming is starting at the first that has none."""
