"""The messages of agents: one strict pydantic model per role, limited in size. All their contents are untrusted data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from autoqec.agents.agent_contract import Role
from autoqec.errors import UsageError

#: A round's name for agents: `run/number`.
RoundName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}/[1-9][0-9]{0,6}$")]

#: A file of a candidate, relative to `.autoqec/candidate/`.
CandidatePath = Annotated[str, Field(min_length=1, max_length=200)]

#: The contents of a file, including the last line feed.
FileText = Annotated[str, StringConstraints(max_length=200_000, strip_whitespace=False)]

#: Maximum number of parents; nobody can review more.
MAX_PARENTS = 8


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Hypothesis(_Message):
    """The Ideator's reply: what to try, and from where.

    Attributes:
        text: The idea in one sentence.
        fork_from: Rounds to start from; none for the baseline, several to compose them.
        compose: `none`; `pure` merges the parents as they are; `with_edit` lets the Coder edit the merge.
        expected_delta_ler: Expected gain per shot over the baseline.
        expected_flops: Expected FLOPs per shot.
        expected_params: Expected learned numbers.
        rationale: Why it should work.
        hint: Advice to the Coder; the embedded agents put the exact change here as JSON.
    """

    text: str = Field(min_length=1, max_length=500)
    fork_from: tuple[RoundName, ...] = Field(default=(), max_length=MAX_PARENTS)
    compose: Literal["none", "pure", "with_edit"] = "none"
    # Described here: the text above is a part of the schema that readers of earlier records compare.
    screen: Literal["auto", "only"] = Field(
        default="auto",
        description="`auto` ends the round at the screen of its training if it is clearly worse than a round that costs no more. "
        "`only` ends it there in any case, so that ideas can be compared cheaply; a fork with `init: parents` trains on.",
    )
    expected_delta_ler: float | None = Field(default=None, ge=-1, le=1)
    expected_flops: int | None = Field(default=None, ge=0)
    expected_params: int | None = Field(default=None, ge=0)
    rationale: str = Field(default="", max_length=4000)
    hint: str = Field(default="", max_length=8000)

    @field_validator("text")
    @classmethod
    def _says_something(cls, text: str) -> str:
        if not any(char.isprintable() and not char.isspace() for char in text):
            raise ValueError("it has no visible character")
        return text

    @model_validator(mode="after")
    def _parents_match(self) -> Hypothesis:
        if len(set(self.fork_from)) != len(self.fork_from):
            raise ValueError("fork_from names the same round twice")
        if (self.compose == "none") != (len(self.fork_from) < 2):
            raise ValueError("compose is pure or with_edit exactly when fork_from names two rounds or more")
        return self


class Proposal(_Message):
    """The Coder's reply: the candidate's files, complete or as an edit of those it starts from, and the text of the commit.

    Attributes:
        files: Contents by path relative to `.autoqec/candidate/`.
        edit: False: `files` is the complete set. True: every file given takes the place of the parent's or joins them, and
            those that are not named stay.
        remove: Paths of the parent's files that go; only with `edit`.
        tier: 1 chooses among stage kinds that are installed; 2 brings code of its own in `stages/<slug>/module.py`.
        message: What changed and why, for the reviewer of the branch.
    """

    files: dict[CandidatePath, FileText] = Field(max_length=64)
    edit: bool = False
    remove: tuple[CandidatePath, ...] = Field(default=(), max_length=64)
    tier: Literal[1, 2] = 1
    message: str = Field(default="", max_length=4000)

    @model_validator(mode="after")
    def _consistent(self) -> Proposal:
        if self.remove and not self.edit:
            raise ValueError("remove needs edit: true; in a complete set, just leave the file out")
        code = sorted(path for path in self.files if path.endswith(".py"))
        if code and self.tier == 1:
            raise ValueError(f"tier 1 brings no code, but there is {code[0]}; say tier: 2")
        return self

    def complete(self, parent: Mapping[str, str]) -> dict[str, str]:
        """The complete set of files, given those of the parent.

        Raises:
            UsageError: It removes a file that the parent has not.
        """
        if not self.edit:
            return dict(self.files)
        missing = sorted(set(self.remove) - set(parent))
        if missing:
            raise UsageError(
                f"remove: the parent has no file {missing[0]}; it has {', '.join(sorted(parent)) or 'none'}"
            )
        return {path: text for path, text in parent.items() if path not in self.remove} | self.files


class Analysis(_Message):
    """The Analyst's reply: whether the round is worth a verifier's shots, and what to try next.

    Attributes:
        summary: What was seen, in a sentence.
        decision: `candidate` to verify, `ignore` not to.
        next_seed: A thought for the next Ideator.
    """

    summary: str = Field(min_length=1, max_length=1000)
    decision: Literal["candidate", "ignore"]
    next_seed: str = Field(default="", max_length=2000)


#: The message each role sends.
MESSAGES: Mapping[Role, type[BaseModel]] = {"ideator": Hypothesis, "coder": Proposal, "analyst": Analysis}
