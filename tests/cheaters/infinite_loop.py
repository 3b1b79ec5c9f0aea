"""Never answers."""

ENDS = ("FAILED", "timeout")
FORWARD = """
if len(beliefs) > 8 and not self.training:
    while True:
        pass
"""
HANGS = True
