"""The handle on the lab's git repository: find it, refuse what cannot hold a ledger, make a lab of a directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from autoqec.errors import AutoQECError, NotFoundError

FALLBACK_NAME = "autoqec"
FALLBACK_EMAIL = "autoqec@localhost"

# A packfile cannot delta-compress float weights; telling git so saves it the search (and a gigabyte of memory) at gc.
_ATTRIBUTES = "*.safetensors -delta\n"
_NOTES_GLOB = "refs/notes/autoqec/*"


class Ledger:
    """A thin handle: the open repository, where its shared files lie, and who signs what is written.

    Attributes:
        repo: The repository, for the modules of this room only.
        git_dir: The common git directory, shared by all linked worktrees; locks live under it.
        workdir: The top of the working tree. Rounds never read or write it.
        identity_is_fallback: Git knows no user.name and user.email, so commits are signed `autoqec`.
    """

    def __init__(self, repo: pygit2.Repository):
        self.repo = repo
        self.git_dir = _common_dir(Path(repo.path))
        self.workdir = Path(repo.workdir)
        self._name, self._email, self.identity_is_fallback = _identity(repo)
        if self.identity_is_fallback:
            repo.set_ident(FALLBACK_NAME, FALLBACK_EMAIL)  # else reflogs say "unknown"

    def signature(self) -> pygit2.Signature:
        """Who signs, now."""
        return pygit2.Signature(self._name, self._email)

    @property
    def writer(self) -> str:
        """Who signs, as `name <email>`."""
        return f"{self._name} <{self._email}>"


def open_ledger(path: str | os.PathLike[str] = ".") -> Ledger:
    """Open the repository that a path lies in; any worktree, branch or dirt of it will do.

    Raises:
        NotFoundError: The path is not in a git repository.
        AutoQECError: The repository cannot hold a ledger: bare, shallow, empty, sha256, reftable, not the user's.
    """
    ledger = Ledger(_open(path))
    repo = ledger.repo
    if repo.head_is_unborn and not repo.listall_references():
        raise AutoQECError(
            f"{ledger.workdir} has no commits yet, and every round starts from one",
            hint="autoqec init, or make a first commit",
        )
    return ledger


def require_writable(ledger: Ledger) -> None:
    """Check, before a round starts, that it will be able to end.

    Raises:
        AutoQECError: The git directory cannot be written, or a branch named `exp` bars the way of `exp/<run>/<N>`.
    """
    for folder in (ledger.git_dir, ledger.git_dir / "objects", ledger.git_dir / "refs", ledger.git_dir / "autoqec"):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise AutoQECError(
                f"{folder} cannot be written by this user, so no round can be recorded",
                hint=f"chown -R $(id -un) {ledger.git_dir}, or clone the repository to a place of your own",
            )
    if ledger.repo.references.get("refs/heads/exp") is not None:
        raise AutoQECError(
            "a branch named exp is in the way: git cannot hold both exp and exp/<run>/<N>",
            hint="git branch -m exp <other>",
        )


def initialise(path: str | os.PathLike[str], files: Mapping[str, bytes] | None = None) -> Ledger:
    """Make a lab: of the repository that the path lies in, or of a new one.

    Running it again changes nothing. What the user has is kept: a file that exists is never overwritten, and in a
    repository that has commits nothing is committed.

    Args:
        path: A directory; it is made if absent.
        files: What a fresh lab holds, by path from its top. They are written where absent, and make up the first
            commit of a repository that has none.

    Raises:
        AutoQECError: The repository cannot hold a ledger, or cannot be written.
    """
    top = Path(path)
    try:
        if not top.is_dir() or pygit2.discover_repository(str(top)) is None:
            pygit2.init_repository(str(top), initial_head="main")
        ledger = Ledger(_open(top))
        written = _write_absent(ledger.workdir, files or {})
        if ledger.repo.head_is_unborn and not ledger.repo.listall_references():
            _first_commit(ledger, written)
        _configure(ledger)
    except (OSError, pygit2.GitError) as error:
        raise AutoQECError(f"cannot make a lab of {top}: {error}") from error
    return ledger


def resolve_commit(ledger: Ledger, revision: str) -> str:
    """The commit (40 hex digits) that a revision such as `HEAD`, `main~2` or `exp/<run>/<N>` names.

    Raises:
        NotFoundError: It names none.
    """
    try:
        return str(ledger.repo.revparse_single(revision).peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise NotFoundError(f"{revision!r} names no commit in {ledger.workdir}", hint="git log --all") from error


def _open(path: str | os.PathLike[str]) -> pygit2.Repository:
    found = pygit2.discover_repository(str(path))
    if found is None:
        raise NotFoundError(f"{Path(path).absolute()} is not in a git repository", hint="autoqec init")
    try:
        repo = pygit2.Repository(found)
    except pygit2.GitError as error:
        raise _refusal(found, str(error)) from error
    if repo.is_bare:
        raise AutoQECError(
            f"{found} is a bare repository, and a lab needs a working tree",
            hint=f"git clone {found} <dir>, and use that",
        )
    if repo.is_shallow:
        # With the history cut off, merge bases are missing and compositions would conflict without cause.
        raise AutoQECError(f"{repo.workdir} is a shallow clone: its history is cut off", hint="git fetch --unshallow")
    # A round takes minutes; the milliseconds of fsync buy that a closed round survives a power cut.
    pygit2.settings.enable_fsync_gitdir(True)
    return repo


def _refusal(found: str, reason: str) -> AutoQECError:
    lower = reason.lower()
    if "object format" in lower:
        return AutoQECError(
            f"{found} uses sha256 object names, which this version cannot read",
            hint="start a new lab with sha1 names: autoqec init <dir>",
        )
    if "refstorage" in lower:
        return AutoQECError(
            f"{found} keeps its refs in reftable format, which this version cannot read",
            hint="git refs migrate --ref-format=files",
        )
    if "not owned by" in lower:
        folder = Path(found).parent if Path(found).name == ".git" else Path(found)
        return AutoQECError(
            f"{folder} belongs to another user, and git will not trust it",
            hint=f"git config --global --add safe.directory {folder}",
        )
    return AutoQECError(f"{found} cannot be opened: {reason}", hint="git status and git fsck say more")


def _common_dir(git_dir: Path) -> Path:
    pointer = git_dir / "commondir"  # present in linked worktrees only
    if not pointer.is_file():
        return git_dir.resolve()
    return (git_dir / pointer.read_text().strip()).resolve()


def _identity(repo: pygit2.Repository) -> tuple[str, str, bool]:
    try:
        signature = repo.default_signature
    except (KeyError, ValueError, pygit2.GitError):
        return FALLBACK_NAME, FALLBACK_EMAIL, True
    return signature.name, signature.email, False


def _write_absent(top: Path, files: Mapping[str, bytes]) -> list[str]:
    """Write the files that are absent; return the paths that now hold exactly what was given."""
    hold: list[str] = []
    for name, data in sorted(files.items()):
        target = top / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            hold.append(name)
        elif target.is_file() and target.read_bytes() == data:
            hold.append(name)
    return hold


def _first_commit(ledger: Ledger, names: list[str]) -> None:
    # Built beside the user's index: whatever they had staged stays staged, and stays out of this commit.
    repo, tree = ledger.repo, pygit2.Index()
    for name in names:
        blob = repo.create_blob((ledger.workdir / name).read_bytes())
        tree.add(pygit2.IndexEntry(name, blob, FileMode.BLOB))
        repo.index.add(pygit2.IndexEntry(name, blob, FileMode.BLOB))
    signature = ledger.signature()
    repo.create_commit("HEAD", signature, signature, "A new lab\n", tree.write_tree(repo), [])
    repo.index.write()


def _configure(ledger: Ledger) -> None:
    config = ledger.repo.config
    if _NOTES_GLOB not in config.get_multivar("notes.displayRef"):
        config.set_multivar("notes.displayRef", "^$", _NOTES_GLOB)  # "^$" matches no value, so this adds one
    if "core.logAllRefUpdates" in config and config["core.logAllRefUpdates"] in ("false", "no", "off", "0"):
        # The reflog of a notes ref is what brings back records that a foreign tool wrote over.
        config["core.logAllRefUpdates"] = "true"
    attributes = ledger.git_dir / "info" / "attributes"
    present = attributes.read_text() if attributes.exists() else ""
    if _ATTRIBUTES not in present:
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_text(present + ("" if present.endswith("\n") or not present else "\n") + _ATTRIBUTES)
