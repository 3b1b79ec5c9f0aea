"""Starts threads until nobody can start another."""

import threading

LEVEL = 3  # threads are counted where it has users of its own; elsewhere memory bounds them
ROOT_MAY = "the kernel counts no threads of root"


def attempt(target):
    threading.stack_size(64 * 1024)
    done = threading.Event()
    try:
        for _ in range(1000):
            threading.Thread(target=done.wait, daemon=True).start()
    finally:
        done.set()
    return True
