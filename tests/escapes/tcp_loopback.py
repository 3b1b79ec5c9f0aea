"""Calls a server on this machine."""

import socket


def attempt(target):
    with socket.socket() as connection:
        connection.connect(("127.0.0.1", target["tcp"]))
        return connection.getpeername()
