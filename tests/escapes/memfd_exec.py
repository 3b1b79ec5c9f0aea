"""Becomes a program that is in memory only."""

import os


def attempt(target):
    program = os.memfd_create("program", 0)
    os.write(program, f"#!/bin/sh\necho out > {target['mark']}\n".encode())
    os.execv(f"/proc/self/fd/{program}", ["program"])
