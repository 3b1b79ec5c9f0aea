"""Connects to a socket that is a file."""

import socket


def attempt(target):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(target["unix"])
        return True
