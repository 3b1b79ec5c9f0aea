"""What settings there are: models of a lab's settings file, which say of each its kind, its bounds and its built-in value."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import get_annotations
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return value


def _no_text(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("a number has no quotes")
    return value


#: A number that a flag, a variable or the file may spell as text, and one that the file must spell as a number.
_Whole: TypeAlias = Annotated[int, BeforeValidator(_no_truth)]
_Decimal: TypeAlias = Annotated[float, BeforeValidator(_no_truth)]
_WholeNumber: TypeAlias = Annotated[int, BeforeValidator(_no_text)]
_Number: TypeAlias = Annotated[float, BeforeValidator(_no_text)]

_MOST = 10**15

#: A screen is scored in one go and has no limit of time.
_MOST_SCREENED = 10**8


#: A number among options, which travel as JSON.
_Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]

#: What an executor is given beside its options, by a setting of that name.
_GIVEN = ("jobs",)


def _option(name: str) -> str:
    if not name.isidentifier() or name in _GIVEN:
        raise ValueError("it is no name of an option")
    return name


#: The name of an option of an executor: a parameter of its factory.
_Option: TypeAlias = Annotated[str, AfterValidator(_option)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


#: Whose value of a setting counts. `lab`: a repository may set it. `bounded`: it may, up to a limit (`autoqec.wanted_settings`).
#: `user`: it sends, signs, trusts, loads or spends something, so a repository's value counts once the user trusts the file.
Whose = Literal["lab", "bounded", "user"]
_WHOSE = "whose"


def _of(whose: Whose, default: Any, **limits: Any) -> Any:
    """A setting with its built-in value; whoever adds one must say whose it is."""
    return Field(default=default, json_schema_extra={_WHOSE: whose}, **limits)


class _Settings(_Table):
    """Settings, each of which says whose it is."""

    @classmethod
    def __pydantic_init_subclass__(cls, **more: Any) -> None:
        super().__pydantic_init_subclass__(**more)
        for name, field in cls.model_fields.items():
            if not isinstance(field.json_schema_extra, dict) or _WHOSE not in field.json_schema_extra:
                raise TypeError(f"the setting {name} does not say whose it is: use _of")

    @classmethod
    def whose(cls, name: str) -> Whose:
        """Whose value of a setting counts."""
        told = cls.model_fields[name].json_schema_extra
        assert isinstance(told, dict)
        found: Any = told[_WHOSE]
        return cast(Whose, found)

    @classmethod
    def meaning(cls, name: str) -> str:
        """The sentence about a setting in the docstring of its model."""
        owner = next(each for each in cls.__mro__ if name in get_annotations(each))
        lines = [line.strip() for line in (owner.__doc__ or "").splitlines()]
        return next(line.partition(": ")[2] for line in lines if line.startswith(f"{name}: "))


class Simple(_Settings):
    """The settings that a flag, a variable or the file may give.

    Attributes:
        default_env: Environment that `autoqec round` uses without `--env`.
        profile: Name of the profile: how much a round may spend.
        ideator: Agent that proposes hypotheses.
        coder: Agent that writes candidates.
        analyst: Agent that judges results in words.
        verifier: Verifier plugin.
        executor: Executor plugin that scores shots.
        train_on: Where candidates are trained: `here`, or as tasks of the `executor`.
        device: Where a candidate's stages are computed for its metrics: `cpu`, `cuda`, or `auto` for a GPU where there is one.
        jobs: Worker processes; 0 for one per processor.
        claim_remote: Remote that round numbers are claimed on; empty to claim them in this clone alone.
        network_seconds: Seconds after which a fetch or push that makes no progress is stopped.
        strong_reference: A slow decoder beside a verdict, such as `tesseract`; empty for one that is installed, or `none`.
        signing_key: Path of the ssh key that signs verdicts; empty for none.
        allowed_signers: File of signers known by name, see `man ssh-keygen`; empty for none.
        trust: Records that count: `signed` by an allowed signer, or `any`; empty for `signed` if there are allowed signers.
        patience: Consecutive fully trained rounds without VERIFIED after which `autoqec round` stops; 0 for no limit.
        max_wall: Seconds after which a command starts no further step; 0 for no limit.
        max_tokens: Tokens that the agents of a run may use; 0 for no limit.
        max_cost: US dollars that the agents of a run may cost; 0 for no limit.
    """

    default_env: str = _of("lab", "surface_d5_depol")
    profile: str = _of("lab", "dev")
    ideator: str = _of("user", "search")
    coder: str = _of("user", "search")
    analyst: str = _of("user", "search")
    verifier: str = _of("user", "holdout")
    executor: str = _of("user", "local")
    train_on: Literal["here", "executor"] = _of("user", "here")
    device: Literal["cpu", "auto", "cuda"] = _of("user", "cpu")
    jobs: _Whole = _of("bounded", 0, ge=0, le=1024)
    claim_remote: str = _of("user", "")
    network_seconds: _Decimal = _of("user", 300.0, ge=1, le=86_400)
    strong_reference: str = _of("user", "")
    signing_key: str = _of("user", "")
    allowed_signers: str = _of("user", "")
    trust: Literal["", "any", "signed"] = _of("user", "")
    patience: _Whole = _of("lab", 3, ge=0, le=100_000)
    max_wall: _Decimal = _of("user", 0.0, ge=0, le=1e9)
    max_tokens: _Whole = _of("user", 0, ge=0, le=10**12)
    max_cost: _Decimal = _of("user", 0.0, ge=0, le=1e9)


class Profile(_Table):
    """How much a round may spend.

    Attributes:
        train_shots: Training shots that are drawn, at most.
        train_seconds: Seconds of training.
        screen_shots: Development shots of the screen that may end a round after a tenth of its training; 0 for no screen.
        memory_gib: Address space of a training process, in GiB.
        score_shots: Shots scored for the metrics, at least.
        verify_shots: Shots of a verdict, at most; fewer if the environment's protocol says so.
        verify_seconds: Seconds after which an undecided verdict stays undecided; 0 for no limit.
    """

    train_shots: _WholeNumber = Field(ge=0, le=_MOST)
    train_seconds: _Number = Field(ge=0, le=_MOST)
    # Less than 1 GiB cannot work: importing the libraries alone takes most of a gibibyte of address space.
    memory_gib: _Number = Field(ge=1, le=_MOST)
    score_shots: _WholeNumber = Field(ge=1, le=_MOST)
    verify_shots: _WholeNumber = Field(ge=1, le=_MOST)
    # Claims of rounds that were begun before there were these do not have them.
    verify_seconds: _Number = Field(default=0.0, ge=0, le=_MOST)
    screen_shots: _WholeNumber = Field(default=0, ge=0, le=_MOST_SCREENED)


class Price(_Table):
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: Tokens of prompts.
        output: Tokens of replies.
        cache_read: Tokens of prompts that come from the cache.
        cache_write: Tokens of prompts that are put there.
    """

    input: _Number = Field(ge=0, lt=1e6)
    output: _Number = Field(ge=0, lt=1e6)
    cache_read: _Number = Field(ge=0, lt=1e6)
    cache_write: _Number = Field(ge=0, lt=1e6)


BUILTIN_PROFILES: Mapping[str, Profile] = {
    "dev": Profile(
        train_shots=409_600,
        train_seconds=300.0,
        screen_shots=16_384,
        memory_gib=12.0,
        score_shots=131_072,
        verify_shots=2_000_000,
        verify_seconds=3600.0,
    ),
    "prod": Profile(
        train_shots=1_000_000,
        train_seconds=3600.0,
        screen_shots=65_536,
        memory_gib=12.0,
        score_shots=1_048_576,
        verify_shots=10_000_000,
        verify_seconds=28_800.0,
    ),
}


class SettingsFile(Simple):
    """The whole file `.autoqec/config.toml`.

    Attributes:
        profiles: Profiles by name. A field that is left out is that of the built-in profile of that name, or of `dev`.
        agents: Options of each role's agent; what they mean is for the agent to say.
        executors: Options of each executor, by its name; what they mean is for the executor to say.
        prices: What models cost, by name.
    """

    profiles: dict[str, Profile] = _of("bounded", {})
    agents: dict[Literal["ideator", "coder", "analyst"], dict[str, str | int | _Finite | bool]] = _of("user", {})
    executors: dict[str, dict[_Option, str | int | _Finite | bool | list[str]]] = _of("user", {})
    prices: dict[str, Price] = _of("user", {})

    @field_validator("profiles", mode="before")
    @classmethod
    def _complete(cls, tables: Any) -> Any:
        if not isinstance(tables, dict):
            return tables
        return {
            name: BUILTIN_PROFILES.get(name, BUILTIN_PROFILES["dev"]).model_dump() | table
            if isinstance(table, dict)
            else table
            for name, table in tables.items()
        }
