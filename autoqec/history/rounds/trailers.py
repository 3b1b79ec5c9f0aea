"""Commit messages of rounds: the round's identity as git trailers, written so that no text can forge or hide one.

Text from a model (subject, body, hypothesis) is untrusted: the subject is reduced to one safe line, every line of the body
is quoted with `> `, and the hypothesis is one JSON string. Before use, a new message must parse back to the same identity,
with the strict parser that also reads history. Git's lenient parsers disagree with each other on hostile text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, replace

from autoqec.errors import AutoQECError
from autoqec.history.store.json_records import refuse_newer
from autoqec.size_limits import MESSAGE_BYTES, in_words

SCHEMA = 1  # the newest layout; parsers for all older ones stay here for good
SUBJECT_LENGTH = 60
MAX_PARENTS = 8  # nobody can review more

_OID = "[0-9a-f]{40}"
_VALUES = {
    "AutoQEC-Schema": "1",
    "AutoQEC-Run": "[a-z0-9][a-z0-9-]{0,39}",
    "AutoQEC-Round": "[1-9][0-9]{0,8}",
    "AutoQEC-Attempt": "[0-9a-f]{32}",
    "AutoQEC-Env": "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}@sha256:[0-9a-f]{64}",
    "AutoQEC-Fork-From": f"none|{_OID}(?: {_OID}){{0,{MAX_PARENTS - 1}}}",
    "AutoQEC-Compose": "none|pure|with_edit",
    "AutoQEC-Agent": "[A-Za-z0-9][A-Za-z0-9_.:/@+=,;-]{0,199}",
    "AutoQEC-Hypothesis": '"[^\n]*"',
}
_SCHEMA = re.compile("AutoQEC-Schema: ([1-9][0-9]{0,8})(?:\n|$)")
_PATTERNS = {key: re.compile(f"{key}: ({pattern})") for key, pattern in _VALUES.items()}
_JSON = json.JSONEncoder(ensure_ascii=False)
_BODY_LINE = re.compile("> [^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]+|>")


@dataclass(frozen=True)
class RoundIdentity:
    """The identity of a round's commit; every field becomes one trailer.

    Attributes:
        run: The run's name.
        round: The round's number, from 1.
        attempt: 32 hex digits, the same as in the round's claim.
        env: `name@sha256:<64 hex digits>` of the environment.
        fork_from: Commits of the rounds that it starts from; empty for the baseline.
        compose: `none`, `pure` (only a merge) or `with_edit`.
        agent: The proposing agent; one word of letters, digits and `_.:/@+=,;-`.
        hypothesis: The hypothesis in the agent's words; any text.
        schema: The version of this layout.
    """

    run: str
    round: int
    attempt: str
    env: str
    fork_from: tuple[str, ...]
    compose: str
    agent: str
    hypothesis: str
    schema: str = "1"


def build_message(identity: RoundIdentity, *, subject: str, body: str) -> str:
    """Build the commit message of a round.

    Args:
        identity: The contents of the trailers.
        subject: Any text; control characters are removed, and it is cut to 60 characters.
        body: Any text; every line is quoted. May be empty.

    Raises:
        AutoQECError: A field of the identity is not a valid trailer.
    """
    # Two surrogates in a row are one character to every reader except Python.
    hypothesis = identity.hypothesis.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    identity = replace(identity, hypothesis=hypothesis)
    values = (
        identity.schema,
        identity.run,
        str(identity.round),
        identity.attempt,
        identity.env,
        " ".join(identity.fork_from) or "none",
        identity.compose,
        identity.agent,
        _quote(hypothesis),
    )
    paragraphs = [_subject(subject) or f"Round {identity.round} of {identity.run}"]
    if quoted := _quote_body(body):
        paragraphs.append(quoted)
    paragraphs.append("\n".join(f"{key}: {value}" for key, value in zip(_VALUES, values, strict=True)))
    message = "\n\n".join(paragraphs) + "\n"
    if parse_message(message) != identity:
        raise AutoQECError(
            f"the commit message of {identity.run}/{identity.round} does not parse back to the same identity"
        )
    return message


def parse_message(message: str) -> RoundIdentity:
    """Parse the identity from a commit message.

    Raises:
        AutoQECError: The message does not have exactly the format of `build_message`.
    """
    return parse_round_message(message)[0]


def parse_round_message(message: str) -> tuple[RoundIdentity, str, str]:
    """Parse the identity, the subject and the unquoted body from a round's commit message.

    Raises:
        AutoQECError: The message does not have exactly the format of `build_message`.
    """
    if len(message) > MESSAGE_BYTES:
        raise _unreadable(f"it takes {in_words(len(message))}, over the limit of {in_words(MESSAGE_BYTES)}")
    # Checked first, because a later schema may have other trailers. Text cannot fake one: each of its lines is quoted.
    if schema := _SCHEMA.match(message.rstrip("\n").rpartition("\n\n")[2]):
        refuse_newer(int(schema[1]), SCHEMA, name="the commit message")
    lines = message.split("\n")
    count = len(_VALUES)
    if len(lines) < count + 3 or lines[-1] != "" or lines[-count - 2] != "":
        raise _unreadable("it does not end in a paragraph of the nine trailers")
    values: dict[str, str] = {}
    for line, (key, pattern) in zip(lines[-count - 1 : -1], _PATTERNS.items(), strict=True):
        match = pattern.fullmatch(line)
        if match is None:
            raise _unreadable(f"{line[:80]!r} is not a valid {key} trailer")
        values[key] = match[1]
    subject, *rest = lines[: -count - 2]
    if not subject or subject != _subject(subject):
        raise _unreadable(f"{subject[:80]!r} is not a valid subject")
    if rest and (rest[0] != "" or len(rest) < 2):
        raise _unreadable("there is no blank line after the subject")
    for line in rest[1:]:
        if _BODY_LINE.fullmatch(line) is None:
            raise _unreadable(f"{line[:80]!r} is not a quoted line")
    fork_from = values["AutoQEC-Fork-From"]
    identity = RoundIdentity(
        schema=values["AutoQEC-Schema"],
        run=values["AutoQEC-Run"],
        round=int(values["AutoQEC-Round"]),
        attempt=values["AutoQEC-Attempt"],
        env=values["AutoQEC-Env"],
        fork_from=() if fork_from == "none" else tuple(fork_from.split(" ")),
        compose=values["AutoQEC-Compose"],
        agent=values["AutoQEC-Agent"],
        hypothesis=_unquote(values["AutoQEC-Hypothesis"]),
    )
    return identity, subject, "\n".join(line[2:] for line in rest[1:])


def _unreadable(reason: str) -> AutoQECError:
    return AutoQECError(f"the commit message is not that of a round: {reason}", hint="autoqec fsck")


def _is_hidden(char: str) -> bool:
    # Controls, bidi and zero-width marks, surrogates, line and paragraph separators: characters that nobody can see.
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _quote(text: str) -> str:
    """Encode text as a readable one-line JSON string, with an escape for every invisible character."""
    quoted = _JSON.encode(text)
    if quoted.isprintable():  # stricter than `_is_hidden` and a hundred times faster; true for nearly all text
        return quoted
    return "".join(json.dumps(char)[1:-1] if _is_hidden(char) else char for char in quoted)


def _unquote(quoted: str) -> str:
    try:
        text = json.loads(quoted)
    except ValueError as error:
        raise _unreadable(f"its hypothesis is not a JSON string: {error}") from error
    if not isinstance(text, str) or _quote(text) != quoted:
        raise _unreadable("its hypothesis is not spelled canonically")
    return text


def _subject(text: str) -> str:
    words = (text if text.isprintable() else "".join(" " if _is_hidden(char) else char for char in text)).split()
    # To some git tool, a line that starts with one of these is a comment, a quote, or the end of the message.
    return " ".join(words).lstrip("#->; ")[:SUBJECT_LENGTH].rstrip()


def _quote_body(text: str) -> str:
    lines = ["".join(char for char in line if char == "\t" or not _is_hidden(char)) for line in text.splitlines()]
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return "\n".join(f"> {line}" if line else ">" for line in lines)
