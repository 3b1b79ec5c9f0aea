"""Opens the lab's git repository, checks that it can hold a lab, and makes new labs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from autoqec.errors import AutoQECError, NotFoundError
from autoqec.history.store.git_variables import across_filesystems, ceilings, require_same_repository
from autoqec.whole_files import explained, write_file

FALLBACK_NAME = "autoqec"
FALLBACK_EMAIL = "autoqec@localhost"

# Float weights do not delta-compress; this attribute saves git the attempt (and a gigabyte of memory) at gc.
_ATTRIBUTES = "*.safetensors -delta\n"
_NOTES_GLOB = "refs/notes/autoqec/*"


class Ledger:
    """The open repository, its directories, and the author of new commits.

    Attributes:
        repo: The repository, for the modules of this room only.
        git_dir: The common git directory, shared by all linked worktrees; locks live under it.
        workdir: The top of the working tree. Rounds never read or write it.
        identity_is_fallback: user.name and user.email are not set, so the author is `autoqec`.
        network_seconds: How long a fetch or push may make no progress; the setting of that name.
    """

    network_seconds: float = 300.0

    def __init__(self, repo: pygit2.Repository):
        self.repo = repo
        self.git_dir = _common_dir(Path(repo.path))
        self.workdir = Path(repo.workdir)
        self._name, self._email, self.identity_is_fallback = _identity(repo)
        if self.identity_is_fallback:
            repo.set_ident(FALLBACK_NAME, FALLBACK_EMAIL)  # otherwise reflogs say "unknown"

    def signature(self) -> pygit2.Signature:
        """Return the author with the current time."""
        return pygit2.Signature(self._name, self._email)

    @property
    def writer(self) -> str:
        """The author as `name <email>`."""
        return f"{self._name} <{self._email}>"


def open_ledger(path: str | os.PathLike[str] = ".") -> Ledger:
    """Open the repository that contains a path; its worktree, branch and uncommitted changes do not matter.

    Raises:
        NotFoundError: The path is not in a git repository.
        AutoQECError: The repository cannot be a lab: bare, shallow, empty, sha256, reftable, or another user's.
    """
    ledger = Ledger(_open(path))
    repo = ledger.repo
    if repo.head_is_unborn and not repo.listall_references():
        raise AutoQECError(
            f"{ledger.workdir} has no commits yet; every round starts from a commit",
            hint="autoqec init, or make a first commit",
        )
    return ledger


def require_writable(ledger: Ledger) -> None:
    """Check that the repository is writable before a round starts.

    Raises:
        AutoQECError: The git directory is not writable, or a branch named `exp` excludes `exp/<run>/<N>`.
    """
    for folder in (ledger.git_dir, ledger.git_dir / "objects", ledger.git_dir / "refs", ledger.git_dir / "autoqec"):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            raise AutoQECError(
                f"{folder} is not writable for this user, so autoqec cannot record a round",
                hint=f"chown -R $(id -un) {ledger.git_dir}, or clone the repository into a folder of your own",
            )
    if ledger.repo.references.get("refs/heads/exp") is not None:
        raise AutoQECError(
            "there is a branch named exp: git cannot have both exp and exp/<run>/<N>",
            hint="git branch -m exp <other>",
        )


def initialise(path: str | os.PathLike[str], files: Mapping[str, bytes] | None = None) -> Ledger:
    """Make a lab: turn the repository that contains the path into one, or make a new repository.

    Running it again changes nothing. It never overwrites a file, and commits nothing in a repository that has commits.

    Args:
        path: A directory; it is made if absent.
        files: The files of a fresh lab, by path from its top. Absent files are written; they form the first commit of a
            repository without commits.

    Raises:
        AutoQECError: The repository cannot be a lab, or is not writable.
    """
    top = Path(path)
    try:
        if not top.is_dir() or pygit2.discover_repository(str(top), across_filesystems(), ceilings()) is None:
            pygit2.init_repository(str(top), initial_head="main")
        ledger = Ledger(_open(top))
        written = _write_absent(ledger.workdir, files or {})
        if ledger.repo.head_is_unborn and not ledger.repo.listall_references():
            _first_commit(ledger, written)
        _configure(ledger)
    except (OSError, pygit2.GitError) as error:
        raise AutoQECError(f"cannot make a lab in {top}: {error}") from error
    return ledger


def resolve_commit(ledger: Ledger, revision: str) -> str:
    """Return the commit (40 hex digits) that a revision such as `HEAD`, `main~2` or `exp/<run>/<N>` names.

    Raises:
        NotFoundError: The revision names no commit.
    """
    try:
        return str(ledger.repo.revparse_single(revision).peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise NotFoundError(f"{revision!r} names no commit in {ledger.workdir}", hint="git log --all") from error


def _open(path: str | os.PathLike[str]) -> pygit2.Repository:
    found = pygit2.discover_repository(str(path), across_filesystems(), ceilings())
    if found is None:
        try:
            where = Path(path).absolute()
        except FileNotFoundError:
            raise NotFoundError("the current directory was deleted", hint="cd into your lab") from None
        raise NotFoundError(f"{where} is not in a git repository", hint="autoqec init")
    try:
        repo = pygit2.Repository(found)
    except pygit2.GitError as error:
        raise _refusal(found, str(error)) from error
    git_dir = Path(repo.path)
    require_same_repository(git_dir, _common_dir(git_dir), None if repo.workdir is None else Path(repo.workdir))
    if repo.is_bare:
        raise AutoQECError(
            f"{found} is a bare repository; a lab needs a working tree",
            hint=f"git clone {found} <dir>, and use the clone",
        )
    if repo.is_shallow:
        # Without the full history, merge bases are missing, and compositions would conflict without cause.
        raise AutoQECError(f"{repo.workdir} is a shallow clone: its history is cut off", hint="git fetch --unshallow")
    # fsync costs milliseconds per round of minutes; with it a closed round survives a power cut.
    pygit2.settings.enable_fsync_gitdir(True)
    return repo


def _refusal(found: str, reason: str) -> AutoQECError:
    lower = reason.lower()
    if "object format" in lower:
        return AutoQECError(
            f"{found} uses sha256 object names; autoqec reads sha1 only",
            hint="start a new lab with sha1 names: autoqec init <dir>",
        )
    if "refstorage" in lower:
        return AutoQECError(
            f"{found} stores its refs in the reftable format; autoqec reads the files format only",
            hint="git refs migrate --ref-format=files",
        )
    if "not owned by" in lower:
        folder = Path(found).parent if Path(found).name == ".git" else Path(found)
        return AutoQECError(
            f"{folder} belongs to another user, and git does not trust it",
            hint=f"git config --global --add safe.directory {folder}",
        )
    return AutoQECError(f"cannot open {found}: {reason}", hint="run git status and git fsck")


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
    """Write the absent files; return the paths whose contents now equal `files`."""
    hold: list[str] = []
    for name, data in sorted(files.items()):
        target = top / name
        if not target.exists():
            with explained(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            write_file(target, data)
            hold.append(name)
        elif target.is_file() and target.read_bytes() == data:
            hold.append(name)
    return hold


def _first_commit(ledger: Ledger, names: list[str]) -> None:
    # Built in a separate index: staged changes stay staged and out of this commit.
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
        # The reflog of a notes ref lets `autoqec fsck` restore records that another tool overwrote.
        config["core.logAllRefUpdates"] = "true"
    attributes = ledger.git_dir / "info" / "attributes"
    present = attributes.read_text() if attributes.exists() else ""
    if _ATTRIBUTES not in present:
        text = present + ("" if present.endswith("\n") or not present else "\n") + _ATTRIBUTES
        with explained(attributes):
            attributes.parent.mkdir(exist_ok=True)
        write_file(attributes, text.encode())
