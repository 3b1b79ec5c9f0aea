"""Reads a file that only the judge should know."""


def attempt(target):
    with open(target["secret"]) as file:
        return file.read()
