"""Gives a file a second name."""

import os


def attempt(target):
    os.link(target["secret"], f"{target['folder']}/twin")
    return True
