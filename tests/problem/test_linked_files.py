"""A repository whose files are links to what its reader can read: nothing of it is read, quoted or stored."""

from __future__ import annotations

import os
import shutil

import pytest

from autoqec.config import load_settings
from autoqec.errors import AutoQECError
from autoqec.problem.environment import builtin_environments, load_environment

SECRET = "hunter2: secret-word\n"
FIELDS = "name: e\nnoise: {kind: given}\ndecoder: mwpm\n"


@pytest.fixture
def repository(tmp_path):
    top = tmp_path / "repository"
    (top / "envs").mkdir(parents=True)
    (top / ".git").mkdir()
    (top / ".autoqec").mkdir()
    (tmp_path / "home").mkdir()
    for name in ("id", "id.yaml", "config.toml"):
        (tmp_path / "home" / name).write_text(SECRET)
    (top / ".git" / "config").write_text(SECRET)
    return top


def refused(read):
    with pytest.raises(AutoQECError) as caught:
        read()
    told = f"{caught.value.problem} {caught.value.hint} {caught.value.about}"
    assert "hunter2" not in told
    assert "secret" not in told
    return caught.value


@pytest.mark.parametrize("target", ["../../home/id", "../.git/config", "/dev/zero", "../../home", "e.yaml"])
def test_an_environment_that_is_a_link_out_of_the_repository_is_not_read(repository, target):
    path = repository / "envs" / "e.yaml"
    path.symlink_to(target)
    error = refused(lambda: load_environment(path))
    assert error.code in ("linked_file", "not_found")


@pytest.mark.parametrize("kind", ["circuit", "dem"])
@pytest.mark.parametrize("target", ["../../home/id", "../.git/config", "/dev/zero", "../../home/absent"])
def test_a_file_that_an_environment_names_is_not_read_through_a_link(repository, kind, target):
    path = repository / "envs" / "e.yaml"
    path.write_text(f"{FIELDS}code: {{kind: {kind}, path: linked}}\n")
    (repository / "envs" / "linked").symlink_to(target)
    error = refused(lambda: load_environment(path))
    assert "code.path" in error.problem
    assert error.code == "linked_file"


def test_a_folder_that_is_a_link_out_of_the_repository_gives_nothing(repository):
    shutil.rmtree(repository / "envs")
    (repository / "envs").symlink_to("../home")
    assert refused(lambda: load_environment(repository / "envs" / "id.yaml")).code == "linked_file"
    (repository / "real").mkdir()
    (repository / "real" / "e.yaml").write_text(f"{FIELDS}code: {{kind: circuit, path: sub/id}}\n")
    (repository / "real" / "sub").symlink_to("../../home")
    assert refused(lambda: load_environment(repository / "real" / "e.yaml")).code == "linked_file"


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_settings_are_not_read_through_a_link_out_of_the_repository(repository, linked):
    if linked == "file":
        (repository / ".autoqec" / "config.toml").symlink_to("../../home/config.toml")
    else:
        (repository / ".autoqec").rmdir()
        (repository / ".autoqec").symlink_to("../home")
    assert refused(lambda: load_settings(repository)).code == "linked_file"


def test_a_pipe_is_not_waited_for(repository):
    os.mkfifo(repository / "envs" / "e.yaml")
    os.mkfifo(repository / ".autoqec" / "config.toml")
    assert refused(lambda: load_environment(repository / "envs" / "e.yaml")).code == "linked_file"
    assert refused(lambda: load_settings(repository)).code == "linked_file"


def test_files_over_the_limit_are_not_read(repository):
    for path in (repository / "envs" / "e.yaml", repository / ".autoqec" / "config.toml"):
        with path.open("wb") as file:
            file.truncate(2**33)
    assert refused(lambda: load_environment(repository / "envs" / "e.yaml")).code == "over_limit"
    assert refused(lambda: load_settings(repository)).code == "over_limit"


def test_a_link_within_the_repository_is_read(repository):
    builtin = builtin_environments() / "surface_d3_depol.yaml"
    (repository / "shared").mkdir()
    (repository / "shared" / "d3.yaml").write_bytes(builtin.read_bytes())
    (repository / "envs" / "d3.yaml").symlink_to("../shared/d3.yaml")
    assert load_environment(repository / "envs" / "d3.yaml").identity == load_environment(builtin).identity
    (repository / "shared" / "config.toml").write_text("jobs = 3\n")
    (repository / ".autoqec" / "config.toml").symlink_to("../shared/config.toml")
    assert load_settings(repository)["jobs"] == 3
