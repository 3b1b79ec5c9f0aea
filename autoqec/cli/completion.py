"""`autoqec completion`: print the script with which a shell completes this command."""

from __future__ import annotations

import click

#: How a shell loads its script, for the help.
_SCRIPTS = {
    "bash": r"""# autoqec completion for bash: eval "$(autoqec completion bash)" in ~/.bashrc
_autoqec_completion() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) compopt -o default 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
            part) compopt -o nospace 2>/dev/null; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(_AUTOQEC_COMPLETE=bash COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" "$1" 2>/dev/null)
}
complete -o nosort -F _autoqec_completion autoqec 2>/dev/null || complete -F _autoqec_completion autoqec
""",
    "zsh": r"""#compdef autoqec
# autoqec completion for zsh: eval "$(autoqec completion zsh)" in ~/.zshrc, after compinit
_autoqec() {
    local kind value help
    local -a plain shown parts
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            file) _files ;;
            dir) _path_files -/ ;;
            part) parts+=("$value") ;;
            plain) plain+=("$value"); shown+=("$value${help:+  -- $help}") ;;
        esac
    done < <(_AUTOQEC_COMPLETE=zsh COMP_LINE="${words[1,CURRENT-1]} $PREFIX" "${words[1]}" 2>/dev/null)
    (( $#plain )) && compadd -l -d shown -a -- plain
    (( $#parts )) && compadd -S '' -a -- parts
    return 0
}
if (( $+functions[compdef] )); then
    compdef _autoqec autoqec
fi
if [[ "${funcstack[1]:-}" == _autoqec ]]; then
    _autoqec "$@"
fi
""",
    "fish": r"""# autoqec completion for fish: autoqec completion fish > ~/.config/fish/completions/autoqec.fish
function __autoqec_completion
    set -l line (commandline -cp | string collect)
    for item in (env _AUTOQEC_COMPLETE=fish COMP_LINE=$line autoqec 2>/dev/null)
        set -l parts (string split -m 2 \t -- $item)
        switch $parts[1]
            case file
                __fish_complete_path (commandline -ct)
            case dir
                __fish_complete_directories (commandline -ct)
            case '*'
                printf '%s\t%s\n' $parts[2] $parts[3]
        end
    end
end
complete -c autoqec -f -a '(__autoqec_completion)'
""",
}


@click.command()
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
def command(shell: str) -> int:
    """Print the script that completes commands, options and names in a shell: bash, zsh or fish.

    Put `eval "$(autoqec completion bash)"` in ~/.bashrc, or the same for zsh in ~/.zshrc after compinit. For fish, write the
    script to ~/.config/fish/completions/autoqec.fish.

    It completes commands, options, rounds, runs, environments, profiles, agents and decoders. Those of plugins of others are
    not completed, because pressing a key would run their code.
    """
    from autoqec.views.console import print_lines

    print_lines([_SCRIPTS[shell].removesuffix("\n")])
    return 0
