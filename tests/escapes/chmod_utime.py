"""Changes who may run a file, and when it was written."""

import os


def attempt(target):
    os.chmod(target["victim"], 0o777)
    os.utime(target["victim"], (0, 0))
    return True
