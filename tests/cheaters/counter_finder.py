"""Looks whether somebody records its operations, and does less of them then."""

REFUSED = "import of sys|the attribute utils"
ENDS = ("SUSPICIOUS", "cost_mismatch")
IMPORTS = """
import sys
"""
FORWARD = """
if torch.utils._python_dispatch._get_current_dispatch_mode() is None:
    beliefs = beliefs * (1 + 0.1 * torch.sin(torch.arange(beliefs.shape[1])))
"""
