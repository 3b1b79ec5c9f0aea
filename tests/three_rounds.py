"""What an agent says in three rounds on surface_d5_depol, given the prompt: one idea, a cheaper one, and both together.

For stand-ins of services, programs and people, which have nothing but the words of a prompt; they load this file by its path.
"""

import json
import re

TRAINING = "init: parents\nlearning_rate: 0.02\nbatch_size: 512\nshots: 51200\nloss: logical_gap\npatience: 0\n"
CANDIDATES = {
    1: {
        "stages/bp/stage.yaml": "kind: neural_bp\niterations: 8\nsharing: per_check\ndamping: per_iteration\n",
        "training.yaml": TRAINING,
    },
    2: {
        "stages/first_look/stage.yaml": "kind: neural_bp\niterations: 3\nalgorithm: min_sum\nposition: 50\n",
        "training.yaml": TRAINING,
    },
}
IDEAS = {
    1: {"text": "Eight iterations of belief propagation put back what matching on edges forgets"},
    2: {"text": "Three iterations of min-sum see most of it at a tenth of the cost"},
    3: {"text": "A cheap first look and a careful second one act on different parts", "compose": "pure"},
}


def section(prompt, name):
    """The values of a section of the prompt."""
    body = re.search(rf'^<data name="{name}">\n(.*?)^</data>$', prompt, re.MULTILINE | re.DOTALL)[1]
    return [json.loads(line) for line in body.splitlines()]


def answer(prompt):
    """The reply of the role that the prompt is for."""
    (about,) = section(prompt, "round")
    run, number, role = about["run"], about["round"], about["you_are"]
    if role == "ideator":
        return IDEAS[number] | ({"fork_from": [f"{run}/1", f"{run}/2"]} if number == 3 else {})
    if role == "coder":
        return {"files": CANDIDATES[number], "message": "What the hypothesis says."}
    (metrics,) = section(prompt, "metrics")
    low = metrics["delta_ler_ci"][0]
    word = "candidate" if low > 0 else "ignore"
    return {
        "summary": f"A gain of at least {low:.5f} per shot.",
        "decision": word,
        "next_seed": "Put the two together.",
    }
