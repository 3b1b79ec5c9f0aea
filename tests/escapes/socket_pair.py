"""Makes a pair of sockets, to hand descriptors on."""

import socket


def attempt(target):
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    return True
