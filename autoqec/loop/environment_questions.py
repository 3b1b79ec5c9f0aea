"""The questions of `autoqec env new --ask`: each is asked until its answer can be used, and no answer is lost."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from autoqec.canonical import dump_flow, load_yaml
from autoqec.errors import AutoQECError, NotFoundError, UsageError
from autoqec.field_problems import field_problems
from autoqec.loop.drafted_environment import offered_files
from autoqec.nearest_names import unknown_name
from autoqec.plugins import Registry
from autoqec.problem.environment import Choice, Environment, LoadedEnvironment
from autoqec.problem.given_files import GivenFiles, brings_noise, read_given
from autoqec.problem.noise import Noise
from autoqec.strict_fields import checked_fields

#: The answer that names files; it is no field.
FROM = "--from"

#: Kinds of noise, without the one that is none of ours.
_NOISES = tuple(kind for kind in get_args(Noise.model_fields["kind"].annotation) if kind != "given")

#: The field of a kind of noise that no other kind has.
_OWN = {"biased": "eta", "erasure": "erased"}


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        field: The dotted field that it is about, or `FROM`.
        text: What is asked.
        default: What an empty answer means; None if there is no such meaning.
        read: What an answer means; raises UsageError or NotFoundError for one that cannot be used.
    """

    field: str
    text: str
    default: str | None
    read: Callable[[str], Any]


Made = TypeVar("Made")

#: Yields questions, and is sent what their answers mean.
Questions = Generator[Question, Any, None]


@dataclass
class Interview:
    """Answers so far.

    Attributes:
        ask: Asks a question with a default, and returns the answer.
        say: Tells what is wrong with an answer.
        texts: The answers as they were typed, by field.
    """

    ask: Callable[[str, str | None], str]
    say: Callable[[str], None]
    texts: dict[str, str] = field(default_factory=dict)
    _again: dict[str, str] = field(default_factory=dict)

    def answers(self, questions: Questions) -> dict[str, Any]:
        """What the answers mean, by field; questions that were answered before are not asked again."""
        found: dict[str, Any] = {}
        try:
            question = next(questions)
            while True:
                found[question.field] = self._answer(question)
                question = questions.send(found[question.field])
        except StopIteration:
            return found

    def _answer(self, question: Question) -> Any:
        while True:
            text = self.texts.get(question.field)
            if text is None:
                text = self.ask(question.text, self._again.pop(question.field, question.default))
            try:
                value = question.read(text)
            except (UsageError, NotFoundError) as error:
                self.texts.pop(question.field, None)
                self.say(error.problem)
                continue
            self.texts[question.field] = text
            return value

    def ask_again(self, error: AutoQECError) -> bool:
        """Forget the answers that an error is about, so that they are asked for again with themselves as default.

        Returns:
            Whether there are such answers; the error has then been told.
        """
        section = re.split(r"\W", error.problem, maxsplit=1)[0]
        inside = [name for name in self.texts if name.partition(".")[0] == section]
        words = set(re.findall(r"\w+", error.problem))
        named = [name for name in inside if name.rpartition(".")[2] in words]
        about = named or inside or [name for name in (FROM,) if name in self.texts and section == "code"]
        for name in about:
            self._again[name] = self.texts.pop(name)
        if about:
            self.say(error.problem)
        return bool(about)

    def command(self, name: str, others: Sequence[str] = ()) -> str:
        """The command that repeats the answers.

        Args:
            name: Of the environment.
            others: Further words of the command.
        """
        words = ["autoqec", "env", "new", name, *others]
        for asked, text in self.texts.items():
            if asked == FROM:
                words += [word for path in shlex.split(text) for word in (FROM, path)]
            elif asked == "story":
                words += ["--story", text]
            else:
                words += ["--set", f"{asked}={text}"]
        return shlex.join(words)


def ask_until_made(interview: Interview, ask: Callable[[], Questions], make: Callable[[dict[str, Any]], Made]) -> Made:
    """Ask questions, and those again whose answers do not fit together, until something can be made of them.

    Args:
        interview: The answers so far.
        ask: Begins the questions.
        make: Makes something of what the answers mean, by field.

    Raises:
        AutoQECError: It cannot be made, and no answer is the reason.
    """
    while True:
        answers = interview.answers(ask())
        try:
            return make(answers)
        except (UsageError, NotFoundError) as error:
            if not interview.ask_again(error):
                raise


def questions(like: LoadedEnvironment, registry: Registry, given: GivenFiles | None, story: str) -> Questions:
    """Ask for story, code, noise, decoder and references, with the values of an environment as defaults.

    The questions about the code follow the fields of its `Config`, so they work for codes of plugins too. Noise is asked for
    only where the code brings none.
    """
    if not story:
        yield Question("story", "story", f"Made from {like.name}.", _story)
    brought = yield from _about_code(like, registry, given)
    if not brought:
        yield from _about_noise(like.environment.noise)
    able = [entry.name for entry in registry.all("decoder") if entry.capabilities.get("takes_beliefs")]
    yield Question(
        "decoder",
        f"decoder ({', '.join(able)})",
        dump_flow(like.environment.decoder.short),
        lambda text: _decoder(load_yaml(text, name="decoder"), registry, "decoder"),
    )
    references = [reference.short for reference in like.environment.references]
    yield Question("references", "references, a list", dump_flow(references), lambda text: _references(text, registry))


def _about_code(
    like: LoadedEnvironment, registry: Registry, given: GivenFiles | None
) -> Generator[Question, Any, bool]:
    """Ask for the code; returns whether it brings its noise."""
    code, offers = like.environment.code, offered_files(registry)
    kind = code.kind if given is None else given.kind
    if given is None:
        names = registry.names("code")
        kind = yield Question("code.kind", f"code.kind ({', '.join(names)})", kind, lambda text: _one_of(text, names))
        if offers[kind]:
            patterns = ", ".join(each.partition("=")[2] for each in offers[kind])
            given = yield Question(
                FROM, f"file or files ({patterns}), or their folder", None, lambda text: _files(text, kind, offers)
            )
    maker = registry.maker("code")(kind)
    known: dict[str, Any] = dict(code.fields) if kind == code.kind else {}
    if given is not None:
        names_of = {each: path.name for each, path in given.paths.items()}
        known |= {name: value for name, value in given.code(names_of).items() if name != "kind"}
    for name, described in maker.Config.model_fields.items():
        if given is not None and any(each.partition(".")[0] == name for each in given.paths):
            continue
        default = known.get(name, None if described.is_required() else described.default)
        needed = described.is_required() and name not in known
        read = _reader(maker.Config, "code", name)
        known[name] = yield Question(f"code.{name}", f"code.{name}", None if needed else dump_flow(default), read)
    if given is None:
        return False
    files = {path.name: given.contents[each] for each, path in given.paths.items()}
    try:
        return brings_noise(maker, known, files)
    except (ValidationError, UsageError):
        return False  # said in full when the code is built


def _about_noise(noise: Noise) -> Questions:
    default = noise.kind if noise.kind != "given" else None
    kind = yield Question(
        "noise.kind", f"noise.kind ({', '.join(_NOISES)})", default, lambda text: _one_of(text, _NOISES)
    )
    rates = list(noise.p)
    yield Question("noise.p", "noise.p, a list", dump_flow(rates) if rates else None, _reader(Noise, "noise", "p"))
    if kind in _OWN:
        own = _OWN[kind]
        yield Question(f"noise.{own}", f"noise.{own}", None, _reader(Noise, "noise", own))


def _reader(model: type[BaseModel], section: str, name: str) -> Callable[[str], Any]:
    """Reads the value of a field of a model; what other fields must be is no matter here."""

    def read(text: str) -> Any:
        value = load_yaml(text, name=f"{section}.{name}")
        try:
            checked_fields(model, {name: value})
        except ValidationError as error:
            for problem in field_problems(error, model):
                if problem.field.partition(".")[0] == name:
                    raise UsageError(f"{section}.{problem.field}: {problem.text}") from error
        return value

    return read


def _story(text: str) -> str:
    limit = next(each.max_length for each in Environment.model_fields["story"].metadata if hasattr(each, "max_length"))
    if len(text) > limit:
        raise UsageError(f"story: must be text of at most {limit} characters, not {len(text):,}")
    return text


def _one_of(text: str, names: Sequence[str]) -> str:
    if text not in names:
        raise UsageError(f"there is no {text}{unknown_name(text, names)}")
    return text


def _files(text: str, kind: str, offers: Mapping[str, Sequence[str]]) -> GivenFiles:
    try:
        paths = [Path(word) for word in shlex.split(text)]
    except ValueError as error:
        raise UsageError(f"{text}: a quote is not closed") from error
    return read_given(paths, {kind: offers[kind]})


def _decoder(value: Any, registry: Registry, where: str) -> Any:
    try:
        choice = checked_fields(Choice, {"kind": value} if isinstance(value, str) else value)
    except ValidationError as error:
        raise UsageError(
            f"{where}: must be a decoder's name, or a mapping of kind and fields, not {value!r}"
        ) from error
    registry.get("decoder", choice.kind)
    return value


def _references(text: str, registry: Registry) -> Any:
    found = load_yaml(text, name="references")
    if not isinstance(found, list):
        raise UsageError(f"references: must be a list, such as [mwpm_correlated], not {text}")
    for place, each in enumerate(found):
        _decoder(each, registry, f"references.{place}")
    return found
