"""Points a name at another file, for the judge to follow."""

import os


def attempt(target):
    os.symlink(target["secret"], f"{target['folder']}/link")
    return True
