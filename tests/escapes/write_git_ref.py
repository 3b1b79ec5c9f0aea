"""Makes a branch of its own."""

import os


def attempt(target):
    os.makedirs(f"{target['git']}/refs/heads", exist_ok=True)
    with open(f"{target['git']}/refs/heads/forged", "w") as file:
        return file.write("0" * 40)
