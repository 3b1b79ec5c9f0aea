"""Plugin: the hosts `github`, `gitlab` and `gitea` (Forgejo too), for commit statuses and comments on pull requests."""

from autoqec.hookspecs import Register, hookimpl


@hookimpl
def autoqec_register_hosts(register: Register) -> None:
    """Register the three."""
    register(
        "github",
        "autoqec_plugins.hosts.github_host:GitHub",
        domains=("github.com",),
        tokens=("GH_TOKEN", "GITHUB_TOKEN"),
        job=("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_API_URL"),
    )
    register(
        "gitlab",
        "autoqec_plugins.hosts.gitlab_host:GitLab",
        domains=("gitlab.com",),
        tokens=("GITLAB_TOKEN",),
        job=("CI_SERVER_URL", "CI_PROJECT_PATH", "CI_API_V4_URL"),
    )
    register(
        "gitea",
        "autoqec_plugins.hosts.gitea_host:Gitea",
        domains=("codeberg.org", "gitea.com"),
        tokens=("GITEA_TOKEN", "FORGEJO_TOKEN"),
        job=("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_API_URL"),
    )
