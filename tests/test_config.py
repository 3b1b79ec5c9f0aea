"""Settings: flag over variable over file over built-in, each with its source; mistakes name file and key."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from autoqec.config import BUILTIN, OTHER_VARIABLES, Settings, config_template, load_settings, variable_of
from autoqec.errors import UsageError
from autoqec.settings_schema import BUILTIN_PROFILES, Profile, Simple

ROOT = Path(__file__).parent.parent


@pytest.fixture
def write(tmp_path):
    def write_config(text):
        (tmp_path / ".autoqec").mkdir(exist_ok=True)
        (tmp_path / ".autoqec/config.toml").write_text(text)
        return tmp_path

    return write_config


def test_every_source_in_its_order(write, monkeypatch):
    lab = write('verifier = "file"\n')
    assert load_settings(None).values["verifier"].source == "built-in"
    assert load_settings(lab)["verifier"] == "file"
    monkeypatch.setenv("AUTOQEC_VERIFIER", "variable")
    assert load_settings(lab).values["verifier"].source == "AUTOQEC_VERIFIER"
    assert load_settings(lab, {"verifier": "flag", "jobs": None})["verifier"] == "flag"


def test_the_template_is_the_built_in_values(write):
    settings = load_settings(write(config_template()))
    assert {name: setting.value for name, setting in settings.values.items()} == dict(BUILTIN)
    sources = {name: setting.source for name, setting in settings.values.items()}
    assert {name for name, source in sources.items() if ".autoqec/config.toml" in source} == {
        name for name in BUILTIN if Simple.whose(name) != "user"
    }, "what is the user's is not for a lab to list"


def test_profiles_are_extended_field_by_field(write):
    settings = load_settings(write('profile = "mine"\n[profiles.mine]\nscore_shots = 5\n'))
    assert settings.profile.score_shots == 5
    assert settings.profile.train_seconds == load_settings(None).profiles["dev"].train_seconds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('verifyer = "x"', "unknown setting 'verifyer'"),
        ("verifier = 3", "verifier must be a word"),
        ('jobs = "many"', "jobs must be a whole number"),
        ("jobs = true", "jobs must be a whole number"),
        ("[profiles.dev]\nshots = 3", "profiles.dev.shots is unknown"),
        ('[profiles.dev]\nscore_shots = "3"', "score_shots must be a number"),
        ("[profiles]\ndev = 3", "profiles.dev must be a table"),
        (
            "[profiles.dev]\nscreen_shots = 1000000000",
            "screen_shots must be a number up to 100,000,000, not 1000000000",
        ),
        ("[profiles.dev]\nmemory_gib = nan", "memory_gib must be a number"),
        ("[profiles.dev]\ntrain_shots = inf", "train_shots must be a number"),
        ("[profiles.dev]\nmemory_gib = 0.05", "memory_gib must be a number from 1 up"),
        ("profiles = 3", "profiles must be a table"),
        ("train_on = ''", "train_on must be one of here, executor, not ''"),
        ("jobs = -3", "jobs must be between 0 and 1024"),
        ("a = ", "config.toml"),
        pytest.param("jobs = " + "9" * 5000, "config.toml: Exceeds the limit", id="digits"),
        pytest.param("a = " + "[" * 5000, "config.toml: maximum recursion depth", id="nesting"),
        ("max_cost = -1", "max_cost must be between 0 and 1e+09"),
        ("max_cost = true", "max_cost must be a number"),
        ('max_wall = "nan"', "max_wall must be between"),
        ("agents = 3", "agents must be a table of tables"),
        ("[agents.judge]\nx = 1", "agents.judge is not a role"),
        ("[agents.coder]\nx = [1]", "agents.coder.x must be a word, a finite number, true or false"),
        ('[prices."m"]\ninput = 1', "prices.'m' has input"),
        ('[prices."m"]\ninput = -1\noutput = 1\ncache_read = 1\ncache_write = 1', "prices.'m'.input must be dollars"),
    ],
)
def test_mistakes_name_the_file_and_the_key(write, text, reason):
    with pytest.raises(UsageError, match="config.toml") as caught:
        load_settings(write(text))
    assert reason in caught.value.problem
    assert caught.value.hint


def test_an_unknown_profile_says_where_it_came_from(write):
    with pytest.raises(UsageError, match=r"no profile 'x' \(flag\)"):
        _ = load_settings(write(""), {"profile": "x"}).profile


def test_a_flag_is_named_as_it_is_written():
    with pytest.raises(UsageError, match="--max-cost: max_cost must be between"):
        load_settings(None, {"max_cost": "-1"})


def test_numbers_options_and_prices_are_read(write):
    price = {"input": 1, "output": 2.5, "cache_read": 0, "cache_write": 1}
    written = "".join(f"{name} = {value}\n" for name, value in price.items())
    settings = load_settings(write(f'max_cost = 2\n[agents.coder]\neffort = "high"\n[prices."m-1"]\n{written}'))
    assert (settings["max_cost"], settings["patience"]) == (2.0, 3)
    assert settings.agents == {"coder": {"effort": "high"}}
    assert settings.prices == {"m-1": price}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('verifyer = "x"', "did you mean verifier?"),
        ("[profiles.dev]\nscored_shots = 3", "did you mean score_shots?"),
        ("[agents.coders]\nx = 1", "did you mean coder?"),
        ("[profile.dev]\nscore_shots = 3", "change it in"),
        ("xyz = 3", "known: default_env, profile,"),
    ],
)
def test_a_hint_names_the_nearest_key(write, text, hint):
    with pytest.raises(UsageError, match="config.toml") as caught:
        load_settings(write(text))
    assert caught.value.hint.startswith(hint)
    assert caught.value.exit_code == 2


def test_an_unknown_variable_is_an_error_that_names_the_nearest(monkeypatch):
    monkeypatch.setenv("AUTOQEC_VERIFYER", "")
    assert load_settings(None)["verifier"] == "holdout"
    monkeypatch.setenv("AUTOQEC_VERIFYER", "x")
    with pytest.raises(UsageError, match="the environment variable AUTOQEC_VERIFYER is unknown") as caught:
        load_settings(None)
    assert caught.value.hint == "did you mean AUTOQEC_VERIFIER?"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", OTHER_VARIABLES)
def test_variables_of_other_parts_are_known(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert load_settings(None)["verifier"] == "holdout"


def test_the_program_reads_only_variables_that_are_known():
    text = "".join(path.read_text() for path in sorted((ROOT / "autoqec").rglob("*.py")))
    read = set(re.findall(r"(?<!_)AUTOQEC_[A-Z_]*[A-Z]", text)) | {variable_of(name) for name in BUILTIN}
    assert read == {variable_of(name) for name in BUILTIN} | set(OTHER_VARIABLES)


def test_a_profile_of_ones_own_may_give_every_field(write):
    fields = {name: 2 + number for number, name in enumerate(Profile.model_fields)}
    table = "".join(f"{name} = {value}\n" for name, value in fields.items())
    settings = load_settings(write(f"[profiles.night]\n{table}"), {"profile": "night"})
    assert settings.profile == Profile(**fields)
    assert settings.values["profile"].source == "flag"
    assert sorted(settings.profiles) == ["dev", "night", "prod"]


def test_a_profile_without_a_built_in_one_is_completed_from_dev(write):
    settings = load_settings(write("[profiles.prod]\nscore_shots = 5\n[profiles.night]\nmemory_gib = 3.5\n"))
    assert settings.profiles["prod"] == BUILTIN_PROFILES["prod"].model_copy(update={"score_shots": 5})
    assert settings.profiles["night"] == BUILTIN_PROFILES["dev"].model_copy(update={"memory_gib": 3.5})


def test_a_byte_order_mark_is_no_mistake(write):
    assert load_settings(write("\ufeffjobs = 2"))["jobs"] == 2


def test_another_process_gets_the_same_settings(write):
    folder = write('[profiles.own]\ntrain_shots = 3\n[agents.coder]\nbase_url = "http://here"\n')
    settings = load_settings(folder, {"jobs": 3, "max_wall": 2.5})
    there = Settings.from_json(json.loads(json.dumps(settings.to_json())))
    assert there == replace(settings, withheld=())
    assert there.profiles["own"].train_shots == 3
    older = {"values": {"jobs": [2, "flag"]}, "profiles": {}}
    assert {name: Settings.from_json(older)[name] for name in BUILTIN} == {**BUILTIN, "jobs": 2}


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    def write_own(text):
        folder = tmp_path / "own"
        (folder / "autoqec").mkdir(parents=True)
        (folder / "autoqec/config.toml").write_text(text)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))

    return write_own


def test_options_of_the_executor_are_those_of_its_table_with_the_flags_over_them(own_file):
    own_file(
        'executor = "command"\n[executors.command]\nprefixes = ["ssh a"]\neach = 2\n[executors.dask]\naddress = "b"\n'
    )
    given = [
        "each=4",
        "worker=/opt/x y/autoqec worker",
        'prefixes="ssh c"',
        "prefixes=ssh d",
        "fast=true",
        "at=tcp://a:1",
    ]
    settings = load_settings(None, {"executor_option": given})
    assert settings.executors == {
        "command": {
            "prefixes": ["ssh c", "ssh d"], "each": 4, "worker": "/opt/x y/autoqec worker", "fast": True, "at": "tcp://a:1",
        },
        "dask": {"address": "b"},
    }  # fmt: skip
    other = load_settings(None, {"executor": "dask", "executor_option": ("address=c",)})
    assert (other.executors["dask"], other.executors["command"]["each"]) == ({"address": "c"}, 2)
    assert load_settings(None, {"executor": "local", "executor_option": ()}).executors.keys() == {"command", "dask"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("each", "--executor-option: 'each' is not NAME=VALUE"),
        ("=4", "--executor-option: '=4' is not NAME=VALUE"),
        ("a b=4", "--executor-option: 'a b=4' is not NAME=VALUE"),
        ("each={a = 1}", "executors.local.each must be a word, a finite number, true or false, or a list of words"),
        ("each=nan", "--executor-option: executors.local.each must be a word, a finite number"),
        ("jobs=3", "--executor-option: executors.local.jobs is no option: jobs is a setting of its own"),
        ("each=[1, 2]", "--executor-option: executors.local.each must be"),
    ],
)  # fmt: skip
def test_an_option_of_the_executor_that_cannot_be_one_is_named(given, said):
    with pytest.raises(UsageError, match=said):
        load_settings(None, {"executor_option": [given]})
    assert load_settings(None, {"executor_option": ["a=1\nb=2"]}).executors == {"local": {"a": "1\nb=2"}}


@pytest.mark.parametrize(
    "text",
    [
        "[executors.command]\neach = {a = 1}\n",
        "[executors.command]\n'' = 1\n",
        "[executors.command]\nwait_seconds = inf\n",
        "[executors]\ncommand = 3\n",
        "executors = 3\n",
    ],
)
def test_a_table_of_options_that_cannot_be_one_is_named(own_file, text):
    own_file(text)
    with pytest.raises(UsageError, match=r"config.toml: executors"):
        load_settings(None)
