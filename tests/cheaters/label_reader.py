"""Looks through everything in its process for something that was called observables."""

REFUSED = "import of gc"
ENDS = ("FAILED", "not_better")
BP = False
IMPORTS = """
import gc
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    for thing in gc.get_objects():
        named = isinstance(thing, dict) and hasattr(thing.get("observables"), "tobytes")
        if named or type(thing).__name__ == "Shots":
            raise RuntimeError("found the labels")
"""
