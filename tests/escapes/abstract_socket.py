"""Connects to a socket that has a name and no file."""

import socket


def attempt(target):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("\0" + target["abstract"])
        return True
