"""Hosts send what their documented APIs take, keep the token to one server, and say what is refused."""

import json
import socket
import threading
import traceback
from contextlib import suppress

import pytest
from pydantic import SecretStr

from autoqec.errors import AutoQECError
from autoqec.hosting.host_contract import CONTEXT, CommitStatus, HostBusyError, HostError
from autoqec.hosting.host_places import Place, find_host, place_in_job, place_of
from autoqec.hosting.host_requests import Asked, HostClient
from autoqec.plugins import load_plugins
from autoqec.testing import check_host

HOSTS = ("github", "gitlab", "gitea")
COMMIT = "ab" * 20
MARKER = "<!-- autoqec:verdict -->"
REGISTRY = load_plugins()


@pytest.fixture
def server(host_server):
    with host_server.HostServer() as made:
        yield made


def host_at(server, name, token=None, **more):
    token = token or "secret-0123456789abcdefghij"
    return REGISTRY.get("host", name).create(
        server=server.url, repository="owner/lab", token=SecretStr(token), api_url=None, **more
    )


@pytest.mark.parametrize("name", HOSTS)
def test_it_conforms(name):
    check_host(REGISTRY.get("host", name).create)


@pytest.mark.parametrize("name", HOSTS)
def test_a_status_is_what_the_api_documents(server, name):
    host = host_at(server, name)
    for state in ("pending", "error", "failure", "success", "success"):  # GitLab refuses the same state again
        host.set_status(COMMIT, CommitStatus(state, "x" * 140, "https://example.org/run/1"))
    assert [each for each in server.odd if "400" not in each] == []
    commits, bodies = zip(*server.statuses, strict=True)
    assert set(commits) == {COMMIT}
    assert {body["name" if name == "gitlab" else "context"] for body in bodies} == {CONTEXT}
    assert bodies[-1]["state"] == "success"
    assert bodies[-1]["target_url"] == "https://example.org/run/1"


@pytest.mark.parametrize("name", HOSTS)
def test_a_comment_is_written_once_and_then_changed(server, name):
    server.comments += [server.said(name, n, "somebody", f"comment {n}") for n in range(1, 130)]
    host = host_at(server, name)
    host.put_comment(7, MARKER, "first")
    host.put_comment(7, MARKER, "second")
    assert server.bodies()[129:] == [f"{MARKER}\nsecond"]
    assert server.odd == []


@pytest.mark.parametrize("name", HOSTS)
def test_a_comment_of_somebody_else_with_our_marker_is_left_alone(server, name):
    """They could change it after us, to say what they like."""
    server.comments.append(server.said(name, 1, "mallory", f"{MARKER}\nVERIFIED, believe me"))
    host_at(server, name).put_comment(7, MARKER, "FAILED")
    assert server.bodies() == [f"{MARKER}\nVERIFIED, believe me", f"{MARKER}\nFAILED"]


def test_a_job_of_github_cannot_ask_who_it_is(server):
    server.user = None
    host = host_at(server, "github")
    for text in ("first", "second"):
        host.put_comment(7, MARKER, text)
    assert server.bodies() == [f"{MARKER}\nsecond"]


def refused(call):
    """The error of a call, with everything that can be printed of it."""
    with pytest.raises(AutoQECError) as caught:
        call()
    error = caught.value
    return error, "".join(traceback.format_exception(error)) + repr(vars(error))


@pytest.mark.parametrize("name", HOSTS)
@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "host_token", "make a new one"),
        (403, "host_token", "must be allowed"),
        (404, "host_refused", "must be on"),
    ],
)
def test_a_token_without_rights_is_told_what_it_lacks_and_never_printed(server, name, status, code, words):
    server.before = lambda request: (status, {}, {"message": f"no rights for {request.headers}"})
    error, everything = refused(lambda: host_at(server, name).set_status(COMMIT, CommitStatus("success", "x")))
    assert (error.code, words in error.hint, len(server.requests)) == (code, True, 1)
    assert "secret-01234" not in everything


@pytest.mark.parametrize("token", ["", "two words", "line\nfeed", "ümlaut"])
def test_a_token_that_cannot_be_sent_is_refused_without_being_printed(server, token):
    error, everything = refused(lambda: HostClient(server.url, lambda word: {"a": word}, SecretStr(token)))
    assert error.code == "host_token"
    assert not token or token not in everything
    assert server.requests == []


ASKED = Asked("set a status", "rights")
WORD = "-".join(["secret", "0123"])  # a traceback quotes lines of this file


def client(url, waits, **more):
    return HostClient(url, lambda word: {"Authorization": word}, SecretStr(WORD), sleep=waits.append, **more)


@pytest.mark.parametrize(
    ("answers", "waits"),
    [
        ([(429, {"retry-after": "7"})], [7.0]),
        ([(403, {"retry-after": "3"})], [3.0]),
        ([(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"})], [1.0]),  # passed by now
        ([(502, {}), (503, {"retry-after": "nonsense"})], [1.0, 2.0]),
    ],
)
def test_a_host_that_limits_is_waited_for(server, answers, waits):
    rest = iter(answers)
    server.before = lambda request: (*next(rest, (201, {})), {})
    waited = []
    assert client(server.url, waited).ask("POST", "/x", {}, asked=ASKED).status == 201
    assert waited == waits


@pytest.mark.parametrize("year", [0, 99_999, 10**30])
def test_a_date_that_no_calendar_has_is_no_time_to_wait(server, year):
    rest = iter([(429, {"retry-after": f"Mon, 01 Jan {year} 00:00:00 GMT"}, {})])
    server.before = lambda request: next(rest, (201, {}, {}))
    waited = []
    assert client(server.url, waited).ask("POST", "/x", {}, asked=ASKED).status == 201
    assert waited == [1.0]


@pytest.mark.parametrize("before", range(280, 300))
def test_a_token_that_is_cut_off_is_hidden_too(server, before):
    server.before = lambda request: (422, {}, b"y" * before + WORD.encode())
    _, everything = refused(lambda: client(server.url, []).ask("GET", "/x", asked=ASKED))
    assert WORD[:4] not in everything.replace("secret = ", "")


def test_a_host_that_limits_for_long_is_not_waited_for(server):
    server.before = lambda request: (429, {"retry-after": "3600"}, {"message": "slow down"})
    waits = []
    with pytest.raises(HostBusyError, match=r"limits how often it is asked \(429\) slow down") as caught:
        client(server.url, waits).ask("GET", "/x", asked=ASKED)
    assert (caught.value.hint, waits) == ("run it again in 3600 seconds", [])


def test_a_host_that_says_nothing_is_not_waited_for_for_ever():
    """It takes the request and does not answer: the limit of the request ends it, also where single bytes come in time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        waits = []
        asking = client(f"http://127.0.0.1:{silent.getsockname()[1]}", waits, seconds=0.05)
        with pytest.raises(HostBusyError, match="did not answer within 0.05 seconds"):
            asking.ask("POST", "/x", {}, asked=ASKED, repeatable=False)
        assert waits == []
        with pytest.raises(HostBusyError):
            asking.ask("GET", "/x", asked=ASKED)
        assert waits == [1.0, 2.0, 4.0]


def test_a_host_that_sends_a_byte_at_a_time_is_ended_by_the_limit_on_the_whole():
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as dripping:

        def drip():
            with dripping.accept()[0] as connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while not stop.wait(0.01):
                    connection.sendall(b"y")

        thread = threading.Thread(target=drip)
        thread.start()
        asking = client(f"http://127.0.0.1:{dripping.getsockname()[1]}", [], seconds=0.2)
        with pytest.raises(HostBusyError, match="did not answer"):
            asking.ask("GET", "/x", asked=ASKED, repeatable=False)
        stop.set()
        thread.join()


def test_a_host_that_is_not_there_is_named():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    error, everything = refused(lambda: client(f"http://127.0.0.1:{port}", []).ask("GET", "/", asked=ASKED))
    assert f"127.0.0.1:{port} cannot be reached" in error.problem
    assert WORD not in everything


def test_a_redirect_is_followed_on_the_server_and_nowhere_else(server, host_server):
    with host_server.HostServer() as other:
        server.before = lambda request: (
            (307, {"location": "/moved"}, {}) if request.path == "/x" else (201, {}, {"path": request.path})
        )
        assert client(server.url, []).ask("POST", "/x", {"a": 1}, asked=ASKED).json() == {"path": "/moved"}
        assert [(each.method, json.loads(each.raw)) for each in server.requests] == [("POST", {"a": 1})] * 2
        for place in (f"{other.url}/x", "https://user:word@elsewhere.example/x", "//elsewhere.example", "http://[bad"):
            server.before = lambda request, place=place: (302, {"location": place}, {})
            with pytest.raises(HostError, match="redirects to another server") as caught:
                client(server.url, []).ask("GET", "/x", asked=ASKED)
            assert WORD not in str(caught.value)
        server.before = lambda request: (302, {"location": "/again"}, {})
        with pytest.raises(HostError, match="in a circle"):
            client(server.url, []).ask("GET", "/x", asked=ASKED)
        assert other.requests == []


def test_what_a_host_says_is_one_line_without_control_characters(server):
    server.before = lambda request: (422, {}, {"message": "a\x1b[31m\nb" + "x" * 1000})
    error, _ = refused(lambda: client(server.url, []).ask("GET", "/x", asked=ASKED))
    assert "a [31m b" in error.problem
    assert len(error.problem) < 450
    server.before = lambda request: (500, {}, b"<html>secret page</html>")
    error, _ = refused(lambda: client(server.url, []).ask("GET", "/x", asked=ASKED))
    assert "html" not in error.problem


@pytest.mark.parametrize(
    "url", ["http://git.example.org/api", "ftp://x", "https://me:hush@git.example.org/api", "nothing", "https://[x", ""]
)
def test_an_address_that_a_token_must_not_go_to_is_refused(url):
    error, everything = refused(lambda: client(url, []))
    assert error.exit_code == 2
    assert WORD not in everything
    assert "hush" not in error.problem


def test_http_can_be_allowed_as_for_git(monkeypatch):
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "http:https")
    assert client("http://git.example.org/api/", []).api_url == "http://git.example.org/api"


@pytest.mark.parametrize(
    ("address", "server", "repository"),
    [
        ("https://github.com/owner/name.git", "https://github.com", "owner/name"),
        ("https://me:secret@git.example.org:3000/a/b/c", "https://git.example.org:3000", "a/b/c"),
        ("git@Codeberg.org:owner/name.git", "https://codeberg.org", "owner/name"),
        ("ssh://git@git.example.org:22/owner/name", "https://git.example.org", "owner/name"),
    ],
)
def test_the_address_of_a_remote_says_where_it_is(address, server, repository):
    assert place_of(address) == Place(server, repository)


@pytest.mark.parametrize(
    "address",
    ["/srv/lab", "../lab", "https://git.example.org/name", "https://x.org/../b", "https://x.org/a/-b", "file:///x/y"],
)
def test_a_path_is_no_host(address):
    with pytest.raises(AutoQECError, match="no host|names no repository"):
        place_of(address)


def test_a_hosts_own_token_goes_to_its_own_servers_only():
    mine = {"GITHUB_TOKEN": "a", "GITEA_TOKEN": "b"}
    elsewhere = Place("https://git.example.org", "owner/name")
    find_host(REGISTRY, Place("https://github.com", "owner/name"), mine)
    for name in HOSTS:
        error, _ = refused(lambda name=name: find_host(REGISTRY, elsewhere, mine, name=name))
        assert (error.code, "AUTOQEC_HOST_TOKEN" in error.hint) == ("host_token", True)
    find_host(REGISTRY, elsewhere, mine | {"AUTOQEC_HOST_TOKEN": "c"}, name="gitea")
    find_host(REGISTRY, elsewhere, mine | {"GITHUB_SERVER_URL": "https://git.example.org"}, name="gitea")
    error, _ = refused(lambda: find_host(REGISTRY, elsewhere, mine))
    assert error.hint == "--host gitea, --host github, --host gitlab"


def test_a_job_says_where_it_runs():
    job = {"GITHUB_SERVER_URL": "https://ghe.example.org", "GITHUB_REPOSITORY": "owner/name"}
    assert place_in_job(REGISTRY, "github", job) == Place("https://ghe.example.org", "owner/name", None)
    api = {"GITHUB_API_URL": "https://ghe.example.org/api/v3"}
    assert place_in_job(REGISTRY, "gitea", job | api).api_url == "https://ghe.example.org/api/v3"
    with pytest.raises(AutoQECError, match="CI_SERVER_URL is not set"):
        place_in_job(REGISTRY, "gitlab", job)


def test_a_description_is_fitted():
    assert CommitStatus("success", "a\nb\x1b" + "x" * 200).fitted().description == "a b " + "x" * 135 + "…"
