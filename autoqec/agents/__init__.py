"""Agents: roles, messages, contexts from git, prompts, validation and repair of replies. No vendor code."""
