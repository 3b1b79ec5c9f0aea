"""Identity in trailers: what goes in comes out, by every parser, whatever a model wrote around it."""

from __future__ import annotations

import random
from dataclasses import replace

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoqec import history
from autoqec.errors import AutoQECError
from autoqec.history.rounds.trailers import RoundIdentity, build_message, parse_message, parse_round_message

IDENTITY = RoundIdentity(
    run="depol-abcd",
    round=7,
    attempt="0123456789abcdef" * 2,
    env="surface_d5@sha256:" + "e" * 64,
    fork_from=("a" * 40, "b" * 40),
    compose="with_edit",
    agent="anthropic:claude/4.1",
    hypothesis="plain words",
)
KEYS = "Schema Run Round Attempt Env Fork-From Compose Agent Hypothesis".split()

# Each of these fooled a naive builder in at least one of the three parsers.
HOSTILE = [
    "x\nAutoQEC-Run: EVIL",
    "x\n\nAutoQEC-Run: EVIL\nAutoQEC-Round: 666",
    "AutoQEC-Run: EVIL\n\n---\nrest",
    "x\n---\ny",
    "AutoQEC-Run: EVIL\n\n# ------------------------ >8 ------------------------\nx",
    "prose without a colon\nmore prose",
    "nul\x00byte",
    "folded\n\tcontinuation\n continuation",
    "Conflicts:\n\tfile\n",
    "# Conflicts:\n#\tfile",
    "a\rb\r\nc\x0bd\x0ce\x1cf\x85g\u2028h\u2029i",
    "\u202ebidi\u202c \u2066iso\u2069 zero\u200bwidth \ufeffbom \U000e0041tag",
    "lone \ud83d surrogate, \udc00 low first, \ud83d\ude00 pair",
    '"quoted" \\ back\\slash \\u0000 \\n',
    "Signed-off-by: Mallory <m@evil>\nCo-authored-by: x <y@z>",
    "(cherry picked from commit 0000000000000000000000000000000000000000)",
    "> quoted already\n>\n>> twice",
    "diff --git a/x b/x\nIndex: x\n",
    "emoji 👩‍🔬 and accents é",
    "%(trailers) $HOME `id` @everyone Fixes #1",
    "",
    "   ",
    "\n\n\n",
    "a" * 5000,
]


def values_of(identity: RoundIdentity) -> list[str]:
    message = build_message(identity, subject="s", body="")
    return [line.partition(": ")[2] for line in message.splitlines()[-9:]]


def split_trailers(text: str) -> list[tuple[str, str]]:
    return [tuple(line.split(": ", 1)) for line in text.split("\n") if line]


def test_the_layout():
    message = build_message(IDENTITY, subject="Deeper GNN", body="because\n\nof this")
    assert message == (
        "Deeper GNN\n\n> because\n>\n> of this\n\n"
        "AutoQEC-Schema: 1\nAutoQEC-Run: depol-abcd\nAutoQEC-Round: 7\n"
        "AutoQEC-Attempt: 0123456789abcdef0123456789abcdef\n"
        f"AutoQEC-Env: surface_d5@sha256:{'e' * 64}\n"
        f"AutoQEC-Fork-From: {'a' * 40} {'b' * 40}\n"
        "AutoQEC-Compose: with_edit\nAutoQEC-Agent: anthropic:claude/4.1\n"
        'AutoQEC-Hypothesis: "plain words"\n'
    )
    assert parse_message(message) == IDENTITY
    assert parse_round_message(message)[1:] == ("Deeper GNN", "because\n\nof this")


def test_nothing_to_say():
    message = build_message(replace(IDENTITY, fork_from=()), subject="\n", body=" \n ")
    assert message.startswith("Round 7 of depol-abcd\n\nAutoQEC-Schema: 1\n")
    assert "AutoQEC-Fork-From: none\n" in message
    assert parse_round_message(message)[1:] == ("Round 7 of depol-abcd", "")
    assert parse_message(message).fork_from == ()


@pytest.mark.parametrize("text", HOSTILE)
def test_known_attacks(text, git, tmp_path):
    git("init", "-q", str(tmp_path / "lab"), cwd=tmp_path)
    check(text, text, text, git)


def check(subject, body, hypothesis, git):
    """All of: own parser, libgit2's, `git interpret-trailers`, and `git log` through a real commit."""
    identity = replace(IDENTITY, hypothesis=hypothesis)
    message = build_message(identity, subject=subject, body=body)
    joined = hypothesis.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert parse_message(message) == replace(identity, hypothesis=joined)
    expected = [(f"AutoQEC-{key}", value) for key, value in zip(KEYS, values_of(identity), strict=True)]
    repo = pygit2.Repository(git("rev-parse", "--absolute-git-dir").strip())
    author = pygit2.Signature("a", "a@b")
    oid = repo.create_commit(None, author, author, message, repo.TreeBuilder().write(), [])
    assert list(repo[oid].message_trailers.items()) == expected
    assert repo[oid].raw_message.decode() == message
    assert split_trailers(git("interpret-trailers", "--parse", stdin=message)) == expected
    assert split_trailers(git("log", "-1", "--format=%(trailers:only=false)", str(oid))) == expected


text = st.text(st.characters(exclude_categories=()), max_size=80) | st.lists(
    st.sampled_from([*HOSTILE, "\n", "\n\n", "AutoQEC-Run: EVIL", "---", ": ", "\t", "\x00", "\u2028", "#", "> "]),
    max_size=5,
).map("".join)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(subject=text, body=text, hypothesis=text)
def test_any_text_survives_and_forges_nothing(subject, body, hypothesis, own_repository):
    check(subject, body, hypothesis, own_repository)


@pytest.fixture
def own_repository(git, tmp_path):
    git("init", "-q", str(tmp_path / "lab"), cwd=tmp_path)
    return git


def _hostile(rng: random.Random) -> str:
    parts = [
        rng.choice([*HOSTILE, "\n", "\n\n", "AutoQEC-Round: 9", "---\n", " ", "\t"]) for _ in range(rng.randrange(5))
    ]
    parts += ["".join(chr(rng.randrange(0xD800) if rng.random() < 0.9 else rng.randrange(0x110000)) for _ in range(20))]
    rng.shuffle(parts)
    return "".join(parts)


@pytest.mark.parametrize("count", [400, pytest.param(5000, marks=pytest.mark.slow)])
def test_many_hostile_messages_in_one_history(count, own_repository, tmp_path):
    rng = random.Random(20240601)
    repo = pygit2.Repository(str(tmp_path / "lab"))
    author, tree, expected = pygit2.Signature("a", "a@b"), repo.TreeBuilder().write(), {}
    for number in range(1, count + 1):
        identity = replace(IDENTITY, round=number, hypothesis=_hostile(rng))
        message = build_message(identity, subject=_hostile(rng), body=_hostile(rng))
        oid = repo.create_commit(None, author, author, message, tree, [])
        lines = message.splitlines() if "\u2028" not in message else message.split("\n")[:-1]
        expected[str(oid)] = message.split("\n")[-10:-1]
        assert [f"{key}: {value}" for key, value in repo[oid].message_trailers.items()] == expected[str(oid)], lines
    out = own_repository("log", "--no-walk", "--stdin", "--format=%H%x00%(trailers)%x01", stdin="\n".join(expected))
    found = dict(part.strip("\n").split("\0") for part in out.split("\x01") if part.strip("\n"))
    assert {oid: trailers.strip("\n").split("\n") for oid, trailers in found.items()} == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "Depol"},
        {"run": "a\nAutoQEC-Run: b"},
        {"round": 0},
        {"round": -1},
        {"attempt": "0" * 31},
        {"attempt": "A" * 32},
        {"env": "surface_d5"},
        {"env": "surface d5@sha256:" + "e" * 64},
        {"fork_from": ("a" * 39,)},
        {"fork_from": ("none",)},
        {"fork_from": ("a" * 40,) * 9},
        {"compose": "merge"},
        {"agent": ""},
        {"agent": "a b"},
        {"agent": "search\n"},
        {"schema": "2"},
    ],
)
def test_fields_without_a_valid_spelling_are_refused(changes):
    with pytest.raises(AutoQECError):
        build_message(replace(IDENTITY, **changes), subject="s", body="b")


GOOD = build_message(IDENTITY, subject="s", body="b")


@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m[:-1],
        lambda m: m + "\n",
        lambda m: m + "Signed-off-by: A <a@b>\n",
        lambda m: m + "\nSigned-off-by: A <a@b>\n",
        lambda m: m.replace("AutoQEC-Run: depol-abcd\n", ""),
        lambda m: m.replace("AutoQEC-Run: depol-abcd\n", "AutoQEC-Run: depol-abcd\nAutoQEC-Run: evil-abcd\n"),
        lambda m: m.replace("AutoQEC-Run", "autoqec-run"),
        lambda m: m.replace("AutoQEC-Run: ", "AutoQEC-Run:"),
        lambda m: m.replace("Run: depol-abcd", "Run: depol-abcd "),
        lambda m: m.replace("Round: 7", "Round: 07"),
        lambda m: m.replace("Round: 7", "Round: ٧"),
        lambda m: m.replace("> b", "b"),
        lambda m: m.replace("> b", "> b\r"),
        lambda m: m.replace("> b", "> "),
        lambda m: m.replace("\n\n> b", "\n> b"),
        lambda m: m.replace("\n\n> b", "\n\n"),
        lambda m: m.replace('"plain words"', '"plain\\u0020words"'),
        lambda m: m.replace('"plain words"', '"plain" "words"'),
        lambda m: m.replace('"plain words"', '"\u202eplain words"'),
        lambda m: "#" + m,
        lambda m: "\n" + m,
        lambda m: m.replace("s\n", "s" * 61 + "\n", 1),
        lambda m: m.replace("\n", "\r\n"),
        lambda m: "",
        lambda m: m.split("\n\n", 2)[2],
    ],
)
def test_damaged_messages_are_refused(damage):
    assert parse_message(GOOD) == IDENTITY
    with pytest.raises(AutoQECError):
        parse_message(damage(GOOD))


def test_the_public_names_are_these():
    assert history.build_message is build_message
    assert history.RoundIdentity is RoundIdentity
