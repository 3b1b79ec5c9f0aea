"""Completion of the command line: right names from light code, silent whatever the lab is like, in the shells themselves."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from autoqec.cli import completing
from autoqec.cli.completed_names import FILES, NAMES, names_of
from autoqec.cli.main import cli, run
from autoqec.history import resolve_commit
from autoqec.testing import make_tiny_lab

#: Words in the name or the placeholder of a parameter that say what it names.
TELLING = re.compile(
    r"run|round|env|profile|ideator|coder|analyst|agents|decoder|remote|executor|verifier", re.IGNORECASE
)

#: Parameters with such a word that take something else: text, numbers, or names that do not exist yet.
FREE = {"compare fewer", "executor_option"}


def values(line, breaks=""):
    return [(each.kind, each.value) for each in completing.completions(cli, line, breaks)]


def names(line):
    return [value for _, value in values(line)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab with two runs: one of twelve rounds, of which git has packed some, and one without any; one round is dropped."""
    folder = tmp_path_factory.mktemp("lab")
    ledger = make_tiny_lab(folder)
    base = resolve_commit(ledger, "HEAD")
    names = [f"autoqec/runs/{run}" for run in ("tiny-abcd", "other-wxyz")]
    names += [f"heads/exp/tiny-abcd/{number}" for number in range(1, 13)]
    names += [f"autoqec/dropped/{kind}/tiny-abcd/13" for kind in ("exp", "marks")]
    lines = "".join(f"create refs/{name} {base}\n" for name in names)
    subprocess.run(["git", "update-ref", "--stdin"], cwd=folder, input=lines, text=True, check=True)
    subprocess.run(["git", "pack-refs", "--all"], cwd=folder, check=True)
    (folder / "circuit.stim").write_text("M 0\n")
    (folder / "envs" / "mine.yaml").write_text("name: mine\n")
    return folder


@pytest.fixture
def here(lab, monkeypatch):
    monkeypatch.chdir(lab)
    return lab


def parameters(command=cli, path=""):
    """The path, the name and the placeholder of every parameter that takes text."""
    with click.Context(command) as context:
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                yield from parameters(command.get_command(context, name), f"{path} {name}".strip())
    for parameter in command.params:
        if type(parameter.type) is type(click.STRING) and not getattr(parameter, "is_flag", False):
            yield path, parameter.name, parameter.metavar or ""


def test_every_parameter_that_names_something_completes_it():
    """If this fails: say in `completed_names` what the parameter names, or here that it names nothing."""
    unknown = [
        f"{path} {name}"
        for path, name, placeholder in parameters()
        if TELLING.search(f"{name} {placeholder}")
        and names_of(path, name) is None
        and name not in FILES
        and not {name, f"{path} {name}"} & FREE
    ]
    assert unknown == []
    there = {name for _, name, _ in parameters()} | {f"{path} {name}" for path, name, _ in parameters()}
    assert [name for name in NAMES if name not in there] == [], "names of parameters that are gone"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("autoqec sho", ["show"]),
        ("X=1 autoqec sho", ["show"]),
        ("autoqec show --tr", ["--trace"]),
        ("autoqec log ", ["other-wxyz", "tiny-abcd"]),
        ("autoqec show ", ["other-wxyz/", "tiny-abcd/"]),
        ("autoqec show exp/t", [f"exp/tiny-abcd/{n}" for n in range(1, 13)]),
        ("autoqec show tiny-abcd/1", ["tiny-abcd/1", "tiny-abcd/10", "tiny-abcd/11", "tiny-abcd/12"]),
        ("autoqec compose tiny-abcd/2 tiny-abcd/3", ["tiny-abcd/3"]),
        ("autoqec review tiny-abcd/1..tiny-abcd/12", ["tiny-abcd/1..tiny-abcd/12"]),
        ("autoqec plot climb tiny-abcd/12", ["tiny-abcd/12"]),
        ("autoqec drop o", ["other-wxyz"]),
        ("autoqec drop tiny-abcd/12", ["tiny-abcd/12"]),
        ("autoqec drop --restore ", ["tiny-abcd/13"]),
        ("autoqec log --env t", ["tiny"]),
        ("autoqec round --env m", ["mine"]),
        ("autoqec round --env=surface_d3", ["--env=surface_d3_depol"]),
        ("autoqec round --profile ", ["dev", "prod", "tiny"]),
        ("autoqec round --coder ran", ["random"]),
        ("autoqec agents compare --agents search,ran", ["search,random"]),
        ("autoqec agents reply c", ["coder"]),
        ("autoqec log --status scr", ["screened_out"]),
        ("autoqec plugins --kind h", ["host"]),
        ("autoqec compare osd mwpm", ["mwpm", "mwpm_correlated"]),
        ("autoqec log --verdict ver", ["verified"]),
        ("autoqec plugins ch", ["check"]),
        ("autoqec show 'tiny-abcd/12", ["tiny-abcd/12"]),
        ("autoqec nonsense ", []),
        ('autoqec show "" x', []),
        ("autoqec", []),
        ("", []),
    ],
)
def test_a_line_is_completed(here, line, expected):
    assert names(line) == expected


def test_what_goes_on_gets_no_space_and_files_are_left_to_the_shell(here):
    assert values("autoqec show o") == [("part", "other-wxyz/")] or values("autoqec show o") == []
    assert ("part", "tiny-abcd/") in values("autoqec show ")
    assert ("part", "anthropic:") in values("autoqec round --ideator a")
    for line in (
        "autoqec env check ./",
        "autoqec compare osd cir",
        "autoqec round --record ",
        "autoqec sweep osd --csv ",
    ):
        assert values(line) == [("file", "")], line
    assert values("autoqec export tiny-abcd/1 --to ") in ([("dir", "")], [("file", "")])


def test_bash_gets_what_comes_after_its_own_breaks_of_a_word(here):
    assert values("autoqec round --env=surface_d3", "\"'><=;|&(:")[0] == ("plain", "surface_d3_depol")
    assert values("autoqec round --ideator cli", ":=") == [("part", "cli:")]
    assert values("autoqec round --ideator cli:", ":=") == [("part", "")]


def test_rounds_come_from_refs_alone(here, monkeypatch, tmp_path):
    """A lab of 5,000 rounds: the list of refs is read, and no object of them, so the objects need not even exist."""
    shutil.copytree(here, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    with open(".git/packed-refs", "a") as packed:
        for number in range(1, 5001):
            packed.write(f"{number:040x} refs/autoqec/claims/other-wxyz/{number}\n")
    assert len(names("autoqec show other-wxyz/")) == 5000
    assert names("autoqec show other-wxyz/500") == ["other-wxyz/500", "other-wxyz/5000"]


def complete(line, cwd, **more):
    environment = {**os.environ, "_AUTOQEC_COMPLETE": "zsh", "COMP_LINE": line, **more}
    done = subprocess.run(
        [sys.executable, "-m", "autoqec"], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def files(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def test_nothing_heavy_is_imported_and_nothing_is_written(lab):
    before = files(lab)
    code = (
        "import os, sys\nfrom autoqec.cli import completing\nfrom autoqec.cli.main import cli\n"
        "for line in ('autoqec ', 'autoqec show ti', 'autoqec round --env ', 'autoqec round --profile ',\n"
        "             'autoqec round --coder ', 'autoqec compare m', 'autoqec push '):\n"
        "    os.environ['COMP_LINE'] = line\n    assert completing.answer_shell('zsh', cli) == 0\n"
        "print(*[name for name in ('torch', 'numpy', 'rich', 'stim', 'scipy', 'pymatching') if name in sys.modules],"
        " file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=lab, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "\n")
    assert "plain\ttiny-abcd/12\t\n" in done.stdout
    assert files(lab) == before


def no_lab(folder):
    pass


def no_git(folder):
    (folder / ".git").write_text("gitdir: /nowhere\n")


def damaged(folder):
    make_tiny_lab(folder)
    (folder / ".autoqec/config.toml").write_bytes(b"\xff = [")
    (folder / ".git/packed-refs").write_bytes(b"\0" * 1000)
    (folder / ".git/refs/autoqec/runs").mkdir(parents=True)
    (folder / ".git/refs/autoqec/runs/tiny-abcd").write_text("junk\n")
    (folder / ".git/HEAD").write_text("")


@pytest.mark.parametrize("make", [no_lab, no_git, damaged])
def test_a_key_press_never_prints_an_error(make, tmp_path, monkeypatch, capfd):
    """Whatever is wrong is for a command to say; the names that do not need the lab are there all the same."""
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    for line in (
        "autoqec show ",
        "autoqec log ",
        "autoqec round --profile ",
        "autoqec push ",
        "autoqec drop --restore ",
    ):
        monkeypatch.setenv("COMP_LINE", line)
        assert completing.answer_shell("bash", cli) == 0
    found = capfd.readouterr()
    assert (found.err, found.out.replace("dev", "").replace("prod", "").split()) == (
        "",
        ["plain"] * found.out.count("plain"),
    )
    monkeypatch.setenv("COMP_LINE", "autoqec compare osd mwpm")
    assert completing.answer_shell("bash", cli) == 0
    assert capfd.readouterr().out.startswith("plain\tmwpm\t")


def test_the_command_itself_answers(lab, tmp_path):
    assert complete("autoqec show tiny-abcd/12", lab) == (0, "plain\ttiny-abcd/12\t\n", "")
    assert complete("autoqec show ", tmp_path) == (0, "", "")


HOSTILE = ("$(touch pwned)", "`touch pwned`", ";touch pwned", "a b", "-rf", "x'y", 'x"y', "*", "~", "é")


@pytest.fixture
def hostile(lab, tmp_path):
    """The lab with environments, profiles and refs whose names mean something to a shell."""
    folder = tmp_path / "hostile"
    shutil.copytree(lab, folder)
    for name in HOSTILE:
        (folder / "envs" / f"{name}.yaml").write_text("name: x\n")
    config = folder / ".autoqec/config.toml"
    config.write_text(config.read_text() + '\n[profiles."$(touch pwned)"]\ntrain_shots = 1024\n')
    oid = (folder / ".git/packed-refs").read_text().split("\n")[1][:40]
    for name in ("$(touch${IFS}pwned)", "a;touch", "`id`"):
        path = folder / f".git/refs/autoqec/runs/{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{oid}\n")
    return folder


def test_hostile_names_are_not_offered(hostile, monkeypatch):
    monkeypatch.chdir(hostile)
    assert names("autoqec log ") == ["other-wxyz", "tiny-abcd"]
    assert {"mine", "tiny"} <= set(names("autoqec round --env "))
    assert not set(HOSTILE) & set(names("autoqec round --env "))


#: A stand-in for the command: completes as it does, and says what it was given otherwise.
SHELL_FUNCTION = """autoqec() {
    if [ -n "$_AUTOQEC_COMPLETE" ]; then command "$PYTHON" -m autoqec; else printf 'RAN<%s>\\n' "$@"; fi
}"""


def script(capsys, shell):
    assert run(["completion", shell]) == 0
    return capsys.readouterr().out


def test_a_script_of_bash_completes_in_bash(hostile, capsys):
    """The function as bash calls it, for several lines in one shell."""
    lines = {
        "autoqec sho": ["show"],
        "autoqec show tiny-abcd/12": ["tiny-abcd/12"],
        "autoqec show $(touch pwned) tiny": [],
        "autoqec round --env=mi": ["mine"],
    }
    text = f"{SHELL_FUNCTION}\n{script(capsys, 'bash')}"
    for line in lines:
        quoted = line.replace("'", "'\\''")
        text += f"COMP_LINE='{quoted}'; COMP_POINT=${{#COMP_LINE}}; _autoqec_completion autoqec 2>/dev/null\n"
        text += 'printf "%s " "${COMPREPLY[@]}"; echo\n'
    done = subprocess.run(
        ["bash", "--norc", "-c", text], cwd=hostile, env={**os.environ, "PYTHON": sys.executable}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert [line.split() for line in done.stdout.splitlines()] == list(lines.values())
    assert not (hostile / "pwned").exists()


def typed(program, setup, keys, until, cwd):
    """What an interactive shell shows for keys at its prompt, until some text is there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.environ |= {"PYTHON": sys.executable, "TERM": "dumb", "PS1": "$ ", "HOME": str(cwd), "HISTFILE": ""}
        os.execvp(program[0], program)
    shown, deadline = b"", time.monotonic() + 60
    waiting = [(setup + "\necho READ''Y\n", b"READY"), (keys, until)]
    try:
        for text, end in waiting:
            os.write(terminal, text.encode())
            start = len(shown)
            while end not in shown[start:]:
                assert time.monotonic() < deadline, shown.decode(errors="replace")[-2000:]
                if select.select([terminal], [], [], 1)[0]:
                    shown += os.read(terminal, 65536)
        return shown.decode(errors="replace")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_a_tab_in_bash(hostile, capsys, tmp_path):
    file = tmp_path / "completion.bash"
    file.write_text(f"{SHELL_FUNCTION}\n{script(capsys, 'bash')}")
    shown = typed(
        ["bash", "--norc", "--noprofile", "-i"], f"source {file}", "autoqec show tiny-abcd/12\t\n", b"RAN<tiny", hostile
    )
    assert "RAN<show>" in shown
    assert "error" not in shown
    assert not (hostile / "pwned").exists()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_a_tab_in_zsh(hostile, capsys, tmp_path):
    file = tmp_path / "completion.zsh"
    file.write_text(f"autoload -U compinit; compinit -D -u\n{SHELL_FUNCTION}\n{script(capsys, 'zsh')}")
    shown = typed(["zsh", "-f", "-i"], f"source {file}", "autoqec show tiny-abcd/12\t\n", b"RAN<tiny-abcd/12>", hostile)
    assert "RAN<show>" in shown
    assert "error" not in shown
    assert not (hostile / "pwned").exists()


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_a_tab_in_fish(hostile, capsys, tmp_path):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "autoqec"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m autoqec "$@"\n')
    program.chmod(0o755)
    file = tmp_path / "completion.fish"
    file.write_text(script(capsys, "fish"))
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    lines = {"autoqec sho": "show", "autoqec show tiny-abcd/12": "tiny-abcd/12"}
    for line, expected in lines.items():
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {file}; complete -C '{line}'"],
            cwd=hostile, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip().split("\t")[0] == expected
        assert done.stderr == ""
    assert not Path(hostile / "pwned").exists()
