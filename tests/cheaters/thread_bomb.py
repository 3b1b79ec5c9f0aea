"""Starts threads without end."""

REFUSED = "import of threading"
ENDS = ("FAILED", "crash")
IMPORTS = """
import threading
"""
FORWARD = """
if len(beliefs) > 8 and not self.training:
    while True:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
