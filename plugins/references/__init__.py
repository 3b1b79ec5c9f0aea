"""Plugin: strong published decoders, reported beside a predecoder; each needs its own package.

`needs` names the distribution, so that `autoqec plugins` can report missing packages without an import. `near_ml` marks a
decoder near maximum likelihood: a candidate with a far lower error rate is too good to be true. `slow` marks one that takes
more than 200 µs a shot where it is of use: as a reference it runs behind a gate (`autoqec.scoring.gated_references`).
"""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl

_HOME = "autoqec_plugins.references"

#: beliefmatching requires NumPy below 2.3 without need, so pip would downgrade NumPy; its other dependencies are installed.
NO_DEPENDENCIES = "--no-deps"


@hookimpl
def autoqec_register_decoders(register: Register) -> None:
    """Register the reference decoders; none takes beliefs."""
    register(
        "belief_matching",
        f"{_HOME}.belief_matching:BeliefMatching",
        takes_beliefs=False,
        slow=True,
        needs="beliefmatching",
        pip_options=NO_DEPENDENCIES,
    )
    register("chromobius", f"{_HOME}.chromobius:Chromobius", takes_beliefs=False, needs="chromobius")
    register("mwpf", f"{_HOME}.mwpf:Mwpf", takes_beliefs=False, slow=True, needs="mwpf[stim]")
    register("relay_bp", f"{_HOME}.relay_bp:RelayBp", takes_beliefs=False, slow=True, needs="relay-bp")
    register(
        "tesseract",
        f"{_HOME}.tesseract:Tesseract",
        takes_beliefs=False,
        slow=True,
        needs="tesseract-decoder",
        near_ml=True,
    )
