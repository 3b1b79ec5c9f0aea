"""Sends a datagram on this machine."""

import socket


def attempt(target):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"out", ("127.0.0.1", target["udp"]))
