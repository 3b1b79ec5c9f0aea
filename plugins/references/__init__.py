"""Plugin: strong decoders of other people's, to be reported beside a predecoder; each needs a package of its own.

`needs` names the distribution, so that `autoqec plugins` can say what is missing without importing anything. `near_ml` marks
one that is near maximum likelihood: a candidate far below it is too good to be true.
"""

from __future__ import annotations

from autoqec.hookspecs import Register, hookimpl

_HOME = "autoqec_plugins.references"

#: beliefmatching asks for NumPy below 2.3, which it does not need, and would have pip take ours back; the rest is here.
NO_DEPENDENCIES = "--no-deps"


@hookimpl
def autoqec_register_decoders(register: Register) -> None:
    """Offer the references; none takes beliefs."""
    register(
        "belief_matching",
        f"{_HOME}.belief_matching:BeliefMatching",
        takes_beliefs=False,
        needs="beliefmatching",
        pip_options=NO_DEPENDENCIES,
    )
    register("chromobius", f"{_HOME}.chromobius:Chromobius", takes_beliefs=False, needs="chromobius")
    register("mwpf", f"{_HOME}.mwpf:Mwpf", takes_beliefs=False, needs="mwpf[stim]")
    register("relay_bp", f"{_HOME}.relay_bp:RelayBp", takes_beliefs=False, needs="relay-bp")
    register("tesseract", f"{_HOME}.tesseract:Tesseract", takes_beliefs=False, needs="tesseract-decoder", near_ml=True)
