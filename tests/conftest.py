"""Shared by all tests: git without the user's own configuration."""

import pytest


@pytest.fixture(autouse=True)
def _own_git_identity(monkeypatch):
    """Tests sign as themselves and see no personal git settings."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for variable in ("AUTOQEC_LOAD_PLUGINS", "AUTOQEC_STRICT_PLUGINS", "AUTOQEC_PROFILE", "AUTOQEC_JOBS"):
        monkeypatch.delenv(variable, raising=False)
