"""The reference of settings, made from the models themselves: `python tests/docs/settings_page.py > docs/settings.md`."""

from __future__ import annotations

from field_tables import default_text, field_table, meanings_of, values_text

from autoqec.config import BUILTIN, OTHER_VARIABLES, variable_of
from autoqec.settings_schema import BUILTIN_PROFILES, Price, Profile, Simple

_HEAD = """# Settings

A setting has a value from the first of these sources that gives one: a flag of the command, an environment variable,
the lab's file `.autoqec/config.toml`, your own file `~/.config/autoqec/config.toml`, the built-in value. Your own
file has the same form; where `XDG_CONFIG_HOME` is set, it is in that folder. A relative path in it is relative to its
folder. `autoqec doctor` shows every value with its source. `autoqec init` writes a lab's file with the built-in
values. The models that read the settings make this page: `python tests/docs/settings_page.py > docs/settings.md`.

An unknown key of the file, or an unknown `AUTOQEC_…` variable, is an error with exit code 2 that names the nearest
known one. An empty variable counts as unset.

## What a repository may set

Whoever can write to a repository can write its settings file. So the file may choose what is harmless: `lab` in the
column "whose". What is `user` sends, signs, trusts, loads or spends something. Put it into your own file, or a
variable, or a flag. If a lab's file sets it, the value is not used, and commands say so, until you look at it and
agree:

<!-- not run: it asks a question -->
```sh
autoqec trust
```

Your agreement holds for this folder and the contents of the file, and AutoQEC asks again after a change. It is kept
in `~/.local/state/autoqec` (or `XDG_STATE_HOME`), outside all repositories; `autoqec trust --forget` takes it back.
Built-in values ask for nothing and do not hide those of your own file. What is `bounded` needs no agreement up to a
limit: `jobs` up to the processors of the machine, and profiles whose fields do not exceed those of `prod`. Tables
`[agents.ROLE]`, `[executors.NAME]` and `[prices."MODEL"]` are `user`.

If `allowed_signers` or `signing_key` of a lab's file name files in the repository, you trust everybody who can write
there. Prefer your own file.

## Simple settings

A flag has the name of the setting: `--max-cost` for `max_cost`. Each command has the flags that concern it; the
setting `default_env` has the flag `--env`, and `claim_remote` the flag `--remote`.

"""

_PROFILES = """## Profiles

A profile says how much a round may spend. `dev` and `prod` are built in. A table `[profiles.NAME]` changes a profile, or makes
one of your own. A field that you leave out keeps the value of the built-in profile of that name, or of `dev`:

```toml
profile = "night"

[profiles.night]
train_seconds = 7200
score_shots = 500000
```

Choose one with `--profile night`, `AUTOQEC_PROFILE=night` or `profile = "night"`. A round keeps the profile that it began with.

"""

_TABLES = """## Options of agents

A table `[agents.ROLE]` holds options of the agent of a role: `ideator`, `coder` or `analyst`. A value is text, a number,
`true` or `false`. What the options mean is for the agent to say; see [Agents](agents.md).

## Options of executors

A table `[executors.NAME]` holds options of an executor. A value is text, a number, `true` or `false`, or a list of
texts. What the options mean is for the executor to say; see [Score on many machines](how-to/many-machines.md). The flag
`--executor-option NAME=VALUE` gives one for a single command.

## Prices

A table `[prices."MODEL"]` says what a model costs, in US dollars per million tokens. It needs all fields.

"""

_VARIABLES = """## Other environment variables

These variables are no settings of a lab. They hold for one process.

"""


def _simple() -> str:
    meanings = meanings_of(Simple)
    rows = ["| setting | whose | values | built-in | variable | meaning |", "|---|---|---|---|---|---|"]
    for name, field in Simple.model_fields.items():
        place = f"`{variable_of(name)}`"
        cells = (f"`{name}`", Simple.whose(name), values_text(field), default_text(field), place, meanings[name])
        rows.append(f"| {' | '.join(cells)} |")
    assert len(rows) == 2 + len(BUILTIN)
    return "\n".join(rows) + "\n\n"


def _profiles() -> str:
    meanings = meanings_of(Profile)
    rows = [
        f"| field | values | {' | '.join(f'`{name}`' for name in BUILTIN_PROFILES)} | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, field in Profile.model_fields.items():
        builtin = [f"{getattr(profile, name):,.15g}" for profile in BUILTIN_PROFILES.values()]
        rows.append(f"| {' | '.join((f'`{name}`', values_text(field), *builtin, meanings[name]))} |")
    return "\n".join(rows) + "\n\n"


def _variables() -> str:
    rows = ["| variable | meaning |", "|---|---|"]
    rows += [f"| `{name}` | {meaning} |" for name, meaning in OTHER_VARIABLES.items()]
    return "\n".join(rows) + "\n"


def settings_page() -> str:
    """The whole page."""
    return (
        _HEAD + _simple() + _PROFILES + _profiles() + _TABLES + field_table(Price) + "\n\n" + _VARIABLES + _variables()
    )


if __name__ == "__main__":
    print(settings_page(), end="")
