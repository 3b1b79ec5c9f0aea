"""Which addresses are contacted, and what happens when one never answers."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.store import git_program, network_step
from autoqec.history.store.git_program import find_remote, git_environment, is_bundle
from autoqec.history.store.network_step import NetworkTimeoutError, run_limited
from autoqec.history.store.transports import TransportError, check_address

REFUSED = [
    "ext::sh -c touch% x",
    "fd::17",
    "fd::0,1",
    "::x",
    "codecommit::region://x",
    "http://example.org/x.git",
    "ftp://example.org/x.git",
    "EXT::x",
    "HTTP://example.org",
    "ssh+git://example.org/x",
    "rad://x",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_can_run_a_program_or_is_not_safe_is_refused(lab, run, git, address):
    with pytest.raises(TransportError) as caught:
        history.pull(lab, address)
    assert caught.value.code == "transport_refused"
    assert caught.value.exit_code == 2
    git("remote", "add", "evil", address)
    for share in (history.pull, history.push):
        with pytest.raises(TransportError):
            share(lab, "evil")
    with pytest.raises(TransportError):
        history.claim_shared_round(lab, run.name, "evil")
    assert history.list_claims(lab) == []


@pytest.mark.parametrize(
    "address",
    ["https://example.org/x.git", "ssh://git@example.org/x", "git://example.org/x", "git@example.org:x/y.git",
     "[::1]:x", "ssh://[::1]:22/x", "file:///tmp/x", "/tmp/a::b", "./a", "../a"],
)  # fmt: skip
def test_what_git_users_write_is_allowed(address):
    check_address(address, "origin")


@pytest.mark.parametrize("address", ["--upload-pack=touch x", "-oProxyCommand=x"])
def test_an_address_that_looks_like_an_option_is_refused(address):
    with pytest.raises(TransportError, match="looks like an option"):
        check_address(address, "origin")


def test_git_keeps_to_the_list_where_its_configuration_leads_elsewhere(lab, run, git, tmp_path):
    """`vcs` and `insteadOf` turn a harmless address into a remote helper."""
    mark = tmp_path / "ran"
    for name in ("protocol.ext.allow", "protocol.allow"):
        git("config", name, "always")
    git("remote", "add", "origin", "https://example.org/x.git")
    git("config", "remote.origin.vcs", "ext")
    with pytest.raises(TransportError, match="not allowed"):
        history.pull(lab)
    git("config", "--unset", "remote.origin.vcs")
    git("config", f"url.ext::sh -c touch% {mark}% .insteadOf", "https://example.org/")
    with pytest.raises(TransportError):
        history.pull(lab)
    with pytest.raises(TransportError):
        history.pull(lab, "https://example.org/y.git")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("variable", "list_"),
    [(None, "file:git:https:ssh"), ("ssh:ext:fd", "ssh"), ("http:https", "http:https"), ("", "")],
)
def test_the_variable_of_git_narrows_the_list_or_names_http(monkeypatch, variable, list_):
    monkeypatch.delenv("GIT_ALLOW_PROTOCOL", raising=False)
    if variable is not None:
        monkeypatch.setenv("GIT_ALLOW_PROTOCOL", variable)
    assert git_environment()["GIT_ALLOW_PROTOCOL"] == list_


def test_a_pipe_in_the_place_of_a_bundle_is_not_opened(lab, git, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    git("remote", "add", "origin", str(tmp_path / "pipe"))
    assert not is_bundle(str(tmp_path / "pipe"))
    assert history.fetch_bundle(lab) is None


@pytest.fixture
def silent():
    """The port of a server that accepts connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = []
    thread = threading.Thread(target=lambda: _accept(server, kept), daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()
    for connection in kept:
        connection.close()


def _accept(server: socket.socket, kept: list[socket.socket]) -> None:
    while True:
        try:
            kept.append(server.accept()[0])
        except OSError:
            return


@pytest.mark.parametrize("address", ["git://127.0.0.1:{}/x.git", "https://127.0.0.1:{}/x.git"])
def test_a_server_that_never_answers_is_left_and_nothing_of_git_stays(lab, run, silent, address):
    lab.network_seconds = 1.0
    for share in (history.pull, history.push):
        with pytest.raises(NetworkTimeoutError, match="has not answered for 1 seconds") as caught:
            share(lab, address.format(silent))
        assert "network_seconds" in caught.value.hint
    assert _processes_with(f"127.0.0.1:{silent}") == []
    assert not list(lab.git_dir.rglob("*.lock"))


def test_a_remote_that_ignores_a_polite_end_is_killed_with_all_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(network_step, "_PATIENCE", 0.2)
    script = tmp_path / "stubborn"
    script.write_text("#!/bin/sh\ntrap '' TERM\nsleep 98765431 & wait; wait; sleep 98765431\n")
    script.chmod(0o755)
    with pytest.raises(NetworkTimeoutError):
        run_limited([str(script)], os.environ, 1.0, name="origin")
    assert _processes_with("98765431") == []
    assert _processes_with(str(script)) == []


def test_what_a_remote_starts_while_it_is_ended_goes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(network_step, "_PATIENCE", 0.5)
    script = tmp_path / "restless"
    script.write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 98765432 & sleep 0.05; done\n")
    script.chmod(0o755)
    with pytest.raises(NetworkTimeoutError):
        run_limited([str(script)], os.environ, 1.0, name="origin")
    assert _processes_with("98765432") == []
    assert _processes_with(str(script)) == []


@pytest.mark.parametrize(
    ("whole", "without", "why"),
    [
        (1e3, 299, ""),
        (301, 301, "has not answered for 300 seconds"),
        (17_999, 299, ""),
        (18_001, 0, "has kept git busy for 18000 seconds"),
    ],
)
def test_a_step_that_reports_progress_is_not_cut_off_but_not_for_ever(whole, without, why):
    assert network_step.why_stopped(whole, without, 300.0) == why


def test_a_remote_that_sends_too_much_is_left(lab, run, git, tmp_path, monkeypatch):
    monkeypatch.setattr(git_program, "PULL_BYTES", 4 * 2**30)
    calls = iter([0, 5 * 2**30])  # bytes received before the step and in it
    monkeypatch.setattr(git_program, "_received", lambda ledger: next(calls))
    uploads = tmp_path / "upload-pack"
    uploads.write_text("#!/bin/sh\nsleep 98765432\n")
    uploads.chmod(0o755)
    git("remote", "add", "origin", str(lab.workdir))
    git("config", "remote.origin.uploadpack", str(uploads))
    with pytest.raises(NetworkTimeoutError, match="sends more than the 4096.0 MiB that a pull takes"):
        history.pull(lab)
    assert _processes_with("98765432") == []


def test_what_git_says_comes_back_whole():
    done = run_limited(["sh", "-c", "echo out; echo said >&2; exit 3"], os.environ, 60.0, name="origin")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "said\n")


def test_what_the_server_says_is_quoted_without_its_progress(lab, run, git, tmp_path):
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(AutoQECError, match=r"\(pre-receive hook declined; not today\)"):
        history.push(lab, str(bare))


def test_an_address_of_a_path_is_absolute(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ext::x").mkdir()
    assert find_remote(lab, "ext::x").address == str(tmp_path / "ext::x")


def _processes_with(word: str) -> list[str]:
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in text and str(os.getpid()) != command.parent.name:
            found.append(text)
    return found
