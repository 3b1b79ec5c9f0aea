"""Runs rounds as lists of steps. Each step leaves its result in git; `resume` starts at the first step without one."""
