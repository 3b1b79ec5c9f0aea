"""Puts one file in another's place."""

import os


def attempt(target):
    os.rename(target["victim"], target["victim"] + ".moved")
    return True
