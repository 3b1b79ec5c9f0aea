"""What `import autoqec` offers to programs and notebooks: labs, rounds, fronts, decoders, environments, comparisons.

Everything here stands on the rooms below, and computes nothing itself. Nothing prints: progress goes to the function that the
caller gives. The working tree, the index and HEAD of a lab are never touched.
"""
