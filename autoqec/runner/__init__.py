"""The processes that train candidates and answer predictions, their limits, and the description of the machine."""
