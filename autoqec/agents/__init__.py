"""The loop's mind, without vendors: roles, messages, contexts from git, validation and repair."""
