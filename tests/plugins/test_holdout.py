"""The verifier's words under constraints, on an executor that draws failures at known rates instead of decoding."""

import json
import re
from concurrent.futures import Future

import numpy as np
import pytest
from autoqec_plugins.holdout import holdout_verifier as verifier
from autoqec_plugins.holdout.ablation import shuffled, without_gate, without_stage
from autoqec_plugins.holdout.holdout_verifier import HoldoutVerifier
from autoqec_plugins.holdout.sequential import EXTENSION_SHOTS, TARGET_FAILURES

from autoqec import autoqec_check
from autoqec.candidate.weights import bound_to, load_weights, save_weights
from autoqec.loop.auditing import replay_differences
from autoqec.problem.environment import ENVIRONMENT_FILE, Choice, environment_from_files
from autoqec.problem.neighbours import environment_cell
from autoqec.problem.sampling import CHUNK_SHOTS
from autoqec.results.audit import audit
from autoqec.results.counts import PairedCounts
from autoqec.results.decision import rate_surely_below
from autoqec.results.statistics import attempt_alpha
from autoqec.results.verdict import Verdict
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import ChildFailed
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring.executor_contract import blobs_with_prefix
from autoqec.scoring.shard import ChunkScore
from autoqec.scoring.verifier_contract import VerificationRequest
from autoqec.testing import TINY_ENVIRONMENT
from autoqec.views.verdict_text import verdict_lines

COST = {"flops_per_shot": 5000, "params": 16}


class Rates:
    """An executor whose candidate fails at one rate and whose baseline at another, each on its own.

    Args:
        rate: The candidate's, or a function of p, rounds and stages that gives it or raises.
        cost: What examining it says.
        base: The baseline's; twice the candidate's if not said.
        faults: Of each weight, how many of a thousand fault sets both, the baseline only and the candidate only fail.
        references: Failures of references in each chunk.
        again: What fresh processes answer; the same if not said.
        missing: References that were left out.
        idle: Whether beliefs that say nothing do as well as the candidate's.
        sent: Shots of each chunk that a gate sends on; None without one.
        passes: How often an ensemble's pipeline is asked about one of these, in each chunk; None without one.
    """

    def __init__(
        self,
        rate,
        cost=COST,
        base=None,
        faults=None,
        references=None,
        again="same",
        missing=None,
        idle=False,
        sent=None,
        passes=None,
    ):
        self.rate, self.cost, self.base, self.chunks = rate, cost, base, 0
        self.faults, self.references, self.again, self.missing = faults or {}, references or {}, again, missing or {}
        self.idle, self.sent, self.passes = idle, sent, passes

    def submit(self, task):
        future = Future()
        try:
            future.set_result(Message(self.answer(task.function.partition(":")[2], task)))
        except ChildFailed as error:
            future.set_exception(error)
        return future

    def answer(self, function, task):
        fields, place = task.message.fields, self.place(task)
        if function == "cost":
            return dict(self.cost)
        if function == "answer_again":
            return {"answers": [self.again] * len(fields["seeds"])}
        if function == "survey":
            return {"fingerprint": "at-({},{})".format(*place), "structure": str(place[1]), "simd": "sse2"}
        if function == "outline":
            return {
                "distance": 5,
                "found": "graphlike",
                "sets": [1, 200, 10**6, 0],
                "probabilities": [0.1, 0.2, 0.2, 0.1],
            }
        if function == "examine_faults":
            both, plain, own = (n * fields["count"] // 1000 for n in self.faults.get(fields["weight"], (0, 0, 0)))
            shown = [{"mechanisms": [3], "detectors": [1, 2], "observables": [], "odds": 0.01}] if own else []
            counts = PairedCounts(fields["count"], both, plain, own).to_dict()
            return {"counts": counts, "odds_baseline": 0.0, "odds_candidate": 0.01 * own, "regressions": shown}
        self.chunks += len(fields["seeds"])
        slugs = {path.split("/")[1] for path in SealedCandidate.from_blobs(task.message.blobs).files if "/" in path}
        return {
            "chunks": [self.chunk(seed, *place, slugs).to_dict() for seed in fields["seeds"]],
            "missing": self.missing,
        }

    def place(self, task):
        """Where a task is scored: p and rounds of its environment."""
        loaded = environment_from_files(blobs_with_prefix("env:", task.message.blobs), origin="e.yaml")
        cell = environment_cell(loaded.environment)
        return task.message.fields.get("drift") or cell.p, cell.rounds

    def chunk(self, seed, p, rounds, slugs):
        rng = np.random.default_rng(seed)
        rate = self.rate(p, rounds, slugs) if callable(self.rate) else self.rate
        base, mine = (rng.random(CHUNK_SHOTS) < each for each in (2 * rate if self.base is None else self.base, rate))
        both, plain, own = (int(x.sum()) for x in (base & mine, base & ~mine, ~base & mine))
        counts = PairedCounts(CHUNK_SHOTS, both, plain, own)
        return ChunkScore(
            counts=counts, neutral=PairedCounts(CHUNK_SHOTS, both + plain, 0, 0) if self.idle else counts, invalid=0,
            references=self.references, predict_seconds=0.0, decode_seconds=0.0, baseline_seconds=0.0, cpu_seconds=0.0,
            digest=str(seed),
            failed=np.packbits(mine).tobytes().hex(), answers="same", lock=None,
            sent=self.sent, gate_flops=0 if self.sent is None else 9, passes=self.passes,
        )  # fmt: skip


#: Weights that were trained at two rates of the tiny environment's three rounds.
WEIGHTS = save_weights({"bp.scale": np.ones(3, np.float32)}, fingerprints=["at-(0.006,3)", "at-(0.01,3)"])


def verdict(executor, constraints="{}", protocol="min_shots: 16384", weights=b"", files=(), headline=16_384, **more):
    shots = f"protocol: {{{protocol}, headline_shots: {headline}"
    text = TINY_ENVIRONMENT.replace("protocol: {min_shots: 16384, headline_shots: 32768", shots)
    text += f"constraints: {constraints}\n"
    loaded = environment_from_files({ENVIRONMENT_FILE: text.encode()}, origin="e.yaml")
    given = files if isinstance(files, dict) else dict.fromkeys(files, b"")
    request = VerificationRequest(loaded, SealedCandidate(given, weights), "0" * 40, seed_key=bytes(32), **more)
    return HoldoutVerifier().verify(request, executor, lambda event: None)


@pytest.mark.parametrize(
    ("constraints", "over"),
    [
        ("{max_params: 15}", ["params 16 is above max_params 15"]),
        ("{max_flops_per_shot: 4999, max_params: 16}", ["flops_per_shot 5,000 is above max_flops_per_shot 4,999"]),
    ],
)
def test_a_candidate_over_budget_is_refused_before_a_shot_is_spent(constraints, over):
    executor = Rates(0.005)
    found = verdict(executor, constraints)
    assert (found.verdict, found.reason, found.details["over"]) == ("FAILED", "over_budget", over)
    assert executor.chunks == 0


#: The files of a candidate with a gate.
GATED = ("stages/bp/stage.yaml", "gate.yaml")


def test_a_gated_candidate_costs_what_it_costs_on_average_of_the_scored_shots():
    found = verdict(Rates(0.005, sent=410), files=GATED, weights=WEIGHTS)
    details, evidence = found.details, found.evidence
    shots = details["shots_in_all"]
    assert (found.verdict, details["sent"], details["flops_per_sent_shot"]) == ("VERIFIED", shots * 410 // 4096, 5000)
    assert details["gate_flops"] == 9 * shots // 4096
    assert details["flops_per_shot"] == -(-(5000 * details["sent"] + details["gate_flops"]) // shots) == 501
    assert evidence.sent_on == found.sent_on == 410 / 4096
    assert f"the gate sent {details['sent']:,} of {shots:,} shots on, 10.01%, at 5,000 FLOPs each" in verdict_lines(
        found.noted(run="r")
    )
    ungated = verdict(Rates(0.005), files=GATED[:1], weights=WEIGHTS)
    assert not {"sent", "gate_flops", "flops_per_sent_shot"} & set(ungated.details)
    assert (ungated.sent_on, ungated.details["flops_per_shot"]) == (None, 5000)


#: The files of a candidate with a gate and an ensemble.
ENSEMBLED = dict.fromkeys(GATED, b"") | {"ensemble.yaml": b"members: 8\n"}


def test_an_ensemble_costs_its_passes_on_average_of_the_scored_shots():
    found = verdict(Rates(0.005, sent=410, passes=1000), files=ENSEMBLED, weights=WEIGHTS)
    details, shots = found.details, found.details["shots_in_all"]
    assert (details["sent"], details["passes"]) == (shots * 410 // 4096, shots * 1000 // 4096)
    assert details["flops_per_shot"] == -(-(5000 * details["passes"] + details["gate_flops"]) // shots) == 1221
    assert found.passes_per_sent_shot == 1000 / 410
    lines = verdict_lines(found.noted(run="r"))
    said = f"took {details['passes']:,} passes of 5,000 FLOPs over {details['sent']:,} of {shots:,} shots (10.01%), 2.44 for each"
    assert said in lines
    assert f"(5,000 · {details['passes']:,} + {details['gate_flops']:,})/{shots:,} = 1,221 per shot" in lines
    likeliest = "if the likeliest solution alone decides"
    for row in ("without the ensemble", "with one member alone", "with half of the members", likeliest):
        assert f"{row}: ΔLER" in lines
    assert verdict(Rates(0.005, sent=410), files=GATED, weights=WEIGHTS).passes_per_sent_shot is None


@pytest.mark.parametrize(("most", "word"), [(499, "FAILED"), (501, "VERIFIED")])
def test_limits_are_those_of_the_mean(most, word):
    executor = Rates(0.005, sent=410)
    found = verdict(executor, f"{{max_flops_per_shot: {most}}}", files=GATED)
    assert found.verdict == word
    if word == "FAILED":
        said = ["flops_per_shot 501 is above max_flops_per_shot 499"]
        assert (found.reason, found.details["over"]) == ("over_budget", said)
        assert executor.chunks * CHUNK_SHOTS == found.details["shots_in_all"], "nothing after the target is scored"


def test_an_ablation_has_a_line_without_the_gate():
    rate = Rates(lambda p, rounds, slugs: 0.005 if "bp" in slugs else 0.01, base=0.01, sent=400)
    found = verdict(rate, weights=WEIGHTS, files=GATED).details["ablation"]
    assert [row["name"] for row in found["variants"]] == ["shuffled", "without the gate", "without bp"]
    assert found["earner"] == "bp", "a gate is no stage"
    assert found["variants"][1]["earned"] == 0.0
    ungated = SealedCandidate({"stages/bp/stage.yaml": b"a", "output.yaml": b"b"}, WEIGHTS)
    assert without_gate(SealedCandidate({**ungated.files, "gate.yaml": b"c"}, WEIGHTS)) == ungated
    assert without_gate(ungated) is None


def test_a_candidate_at_its_limits_is_within_them():
    found = verdict(Rates(0.005), "{max_params: 16, max_flops_per_shot: 5000}")
    assert (found.verdict, found.reason) == ("VERIFIED", "better")
    assert "ler_candidate_bound" not in found.details


@pytest.mark.parametrize(
    ("rate", "word", "reason"),
    [
        (0.008, "VERIFIED", "better"),
        (0.0099, "FAILED", "target_missed"),  # it may well be below, and is not shown to be
        (0.011, "FAILED", "target_missed"),
    ],
)
def test_a_target_must_be_shown_to_be_met(rate, word, reason):
    found = verdict(Rates(rate), "{target_ler: 0.01}")
    assert (found.verdict, found.reason) == (word, reason)
    assert found.details["ler_candidate"] < found.details["ler_candidate_bound"] < 1.2 * rate


def test_what_misses_its_target_is_verified_as_seldom_as_the_attempt_says():
    """At a rate just above the target, over many keys: the bound is exact, so this is the level and not a guess."""
    rng = np.random.default_rng(1)
    failures = rng.binomial(EXTENSION_SHOTS, 0.01, size=4000)
    level = 0.02
    shown = [rate_surely_below(PairedCounts(EXTENSION_SHOTS, 0, 0, int(n)), level) <= 0.01 for n in failures]
    assert 0.01 < np.mean(shown) <= level + 3 * (level / len(shown)) ** 0.5
    assert attempt_alpha(0.05, 1, 0) < level


def test_a_low_target_is_given_the_shots_to_be_shown():
    found = verdict(Rates(0.0004), "{target_ler: 0.0005}")
    assert found.details["extension"]["shots"] >= TARGET_FAILURES / 0.0005 > EXTENSION_SHOTS
    assert (found.verdict, found.reason) == ("VERIFIED", "better")


def test_a_batch_dependent_candidate_is_suspicious_only_if_it_is_better():
    found = verdict(Rates(0.005, again="other"), weights=WEIGHTS)
    assert (found.verdict, found.reason) == ("SUSPICIOUS", "batch_dependent")
    assert found.details["answered_again"]["differing"] == found.details["answered_again"]["chunks"]
    assert verdict(Rates(0.0, again="other"), max_shots=60_000).reason == "undecided"


def test_a_gain_of_the_decoder_alone_is_suspicious():
    found = verdict(Rates(0.005, idle=True), weights=WEIGHTS)
    assert (found.verdict, found.reason) == ("SUSPICIOUS", "decoder_gain")
    assert found.details["neutral"]["baseline_only"] == 0


def test_a_reference_that_was_left_out_is_named_in_the_verdict():
    line = "pip install 'tesseract-decoder'"
    assert verdict(Rates(0.005, missing={"tesseract": line})).details["references_missing"] == {"tesseract": line}
    assert "references_missing" not in verdict(Rates(0.005)).details


#: What is checked beside the figures has a quarter of their shots.
MANY = 131_072

CELLS = "min_shots: 16384, cells: [{p: 0.01}, {rounds: 5}]"


def test_cells_are_judged_each_by_itself_and_all_must_be_better():
    found = verdict(Rates(0.005), protocol=CELLS, weights=WEIGHTS)
    assert (found.verdict, found.reason, found.details["cell"]) == (
        "VERIFIED",
        "better",
        {"p": 0.006, "rounds": 3, "distance": 3},
    )
    first, second = found.details["cells"]
    assert [first["cell"], second["cell"]] == [{"p": 0.01}, {"rounds": 5}]
    assert [first["weights"], second["weights"]] == ["trained_here", "carried_over"]
    assert [first["same_shape"], second["same_shape"]] == [True, False]
    assert len({str(each["test"]) for each in (found.details, first, second)}) == 3, "each has shots of its own"
    assert all(
        each["log_e_better"] >= each["log_e_needed"] == found.details["log_e_needed"] for each in (first, second)
    )


@pytest.mark.parametrize("bad", [0.01, 0.006])
def test_a_gain_elsewhere_does_not_make_up_for_none_here(bad):
    """Pooled, the counts would be overwhelmingly better."""
    executor = Rates(lambda p, rounds, _: 0.02 if (p, rounds) == (bad, 3) else 0.004, base=0.018)
    found = verdict(executor, protocol=CELLS, weights=WEIGHTS)
    assert (found.verdict, found.reason) == ("FAILED", "not_better")
    words = {str(each["cell"]): each["word"] for each in (found.details, *found.details["cells"])}
    assert list(words.values()).count("better") == 2, words


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("bad_weights: the weights do not fit stage 'bp'", "weights_do_not_fit"), ("crash: exit 1", "crash")],
)
def test_a_cell_that_the_weights_do_not_fit_says_so(fault, reason):
    def rate(p, rounds, _):
        if rounds == 5:
            raise ChildFailed(fault, kind="CandidateFault", about={"reason": fault.partition(":")[0]})
        return 0.005

    found = verdict(Rates(rate), protocol=CELLS, weights=WEIGHTS)
    assert (found.verdict, found.reason) == ("FAILED", reason)
    assert [each["word"] for each in found.details["cells"]] == ["better", reason]
    assert found.details["word"] == "better"


def checks(found):
    return {row["check"]: row["result"] for row in found.details["checks"]}


def test_a_verdict_that_passes_holds_every_check_and_what_it_rests_on():
    found = verdict(Rates(0.005), headline=MANY, weights=WEIGHTS)
    assert checks(found) == {
        "batches": "passed",
        "neutral": "passed",
        "own_code": "passed",
        "cost": "passed",
        "reference_ml": "not_made",
        "distance": "passed",
        "harm": "passed",
        "two_p_slope": "passed",
        "error_model": "by_construction",
        "extrapolation": "by_construction",
    }
    assert [(row["label"], row["word"]) for row in found.details["harm"]] == [
        ("p = 0.0048", "no_harm"), ("p = 0.0072", "no_harm"), ("rounds = 2", "no_harm"), ("rounds = 4", "no_harm"),
    ]  # fmt: skip
    assert found.details["certificate"]["word"] == "kept"


@pytest.mark.parametrize(
    ("where", "word", "result"),
    [((0.0048, 3), "SUSPICIOUS", "failed"), ((0.006, 4), "VERIFIED", "warned")],
)
def test_harm_at_another_p_is_suspicious_and_at_another_number_of_rounds_is_told(where, word, result):
    rate = Rates(lambda p, rounds, _: 0.02 if (p, rounds) == where else 0.004, base=0.012)
    found = verdict(rate, headline=MANY, weights=WEIGHTS)
    assert (found.verdict, checks(found)["harm"]) == (word, result)
    assert found.reason == ("harm" if word == "SUSPICIOUS" else "better")


@pytest.mark.parametrize(
    ("fault", "where", "word", "reason"),
    [
        ("bad_weights: the weights do not fit stage 'bp'", (0.006, 4), "not_applicable", "better"),
        ("crash: exit 1", (0.006, 4), "unknown", "better"),
        ("crash: exit 1", (0.0072, 3), "harm", "harm"),
        ("timeout: no answer", (0.0072, 3), "harm", "harm"),
    ],
)
def test_no_answer_at_a_neighbouring_cell(fault, where, word, reason):
    def rate(p, rounds, _):
        if (p, rounds) == where:
            raise ChildFailed(fault, kind="CandidateFault", about={"reason": fault.partition(":")[0]})
        return 0.005

    found = verdict(Rates(rate, base=0.01), weights=WEIGHTS)
    assert found.reason == reason
    (row,) = [row for row in found.details["harm"] if "why" in row]
    assert row["word"] == word
    assert fault.partition(": ")[2] in row["why"]


@pytest.mark.parametrize(
    ("faults", "word", "reason"),
    [
        ({1: (0, 0, 5)}, "regression", "distance_regression"),
        ({1: (5, 0, 0)}, "kept", "better"),
        ({2: (0, 0, 100)}, "regression", "distance_regression"),
        ({2: (10, 20, 20)}, "traded", "better"),
    ],
)
def test_few_faults_that_only_the_candidate_fails(faults, word, reason):
    found = verdict(Rates(0.005, faults=faults), weights=WEIGHTS)
    certificate = found.details["certificate"]
    assert (certificate["word"], found.reason) == (word, reason)
    assert [(row["weight"], row["how"]) for row in certificate["rows"]] == [(1, "listed"), (2, "drawn")]
    if word != "kept":
        assert certificate["regressions"][0]["detectors"] == [1, 2]
        assert certificate["regressions"][0]["probability"] == pytest.approx(0.1 * 0.01)


def test_a_full_certificate_lists_what_it_can():
    found = verdict(Rates(0.005), weights=WEIGHTS, full_certificate=True)
    assert [row["how"] for row in found.details["certificate"]["rows"]] == ["listed", "listed"]


def test_an_ablation_says_which_stage_earns_the_gain():
    files = ("stages/bp/stage.yaml", "stages/gnn/stage.yaml", "output.yaml")
    rate = Rates(lambda p, rounds, slugs: 0.005 if "bp" in slugs else 0.0099, base=0.01)
    found = verdict(rate, weights=WEIGHTS, files=files).details["ablation"]
    assert [row["name"] for row in found["variants"]] == ["shuffled", "without bp", "without gnn"]
    assert found["earner"] == "bp"
    rows = {row["name"]: row for row in found["variants"]}
    assert rows["without bp"]["earned"] == pytest.approx(0.0049, rel=0.2)
    assert rows["without bp"]["earned_ci"][0] > 0 == rows["without gnn"]["earned"]
    assert verdict(Rates(0.005), files=files).details["ablation"]["earner"] is None


def test_a_variant_that_breaks_says_why():
    def rate(p, rounds, slugs):
        if slugs == {"gnn"}:
            raise ChildFailed("crash: no bp before it", kind="CandidateFault", about={"reason": "crash"})
        return 0.005

    files = ("stages/bp/stage.yaml", "stages/gnn/stage.yaml")
    found = verdict(Rates(rate, base=0.01), weights=WEIGHTS, files=files)
    assert found.verdict == "VERIFIED"
    assert [row.get("fault") for row in found.details["ablation"]["variants"]] == [None, "crash: no bp before it", None]


def test_variants_have_the_tensors_that_are_left():
    data = save_weights(
        {"bp.scale": np.arange(100, dtype=np.float32), "bp.index": np.arange(9), "gnn.w": np.ones((2, 2), np.float32)},
        fingerprints=["f", "g"],
    )
    sealed = SealedCandidate({"stages/bp/stage.yaml": b"", "stages/gnn/module.py": b"", "output.yaml": b""}, data)
    less = without_stage(sealed, "bp")
    assert (sorted(less.files), list(load_weights(less.weights))) == (
        ["output.yaml", "stages/gnn/module.py"],
        ["gnn.w"],
    )
    assert bound_to(less.weights) == ("f", "g")
    one, again, other = (load_weights(shuffled(sealed, key).weights) for key in (b"a", b"a", b"b"))
    assert one["bp.scale"].tolist() == again["bp.scale"].tolist() != other["bp.scale"].tolist()
    assert sorted(one["bp.scale"]) == list(range(100)) != one["bp.scale"].tolist()
    assert one["bp.index"].tolist() == list(range(9)), "an index that is shuffled is another graph"
    assert shuffled(SealedCandidate({}, b""), b"a") is None


@pytest.mark.parametrize(("failures", "result"), [(60, "failed"), (22, "passed")])
def test_a_candidate_far_below_a_decoder_near_maximum_likelihood_is_too_good(monkeypatch, failures, result):
    """The candidate fails 20 of each 4,096 shots."""
    monkeypatch.setattr(verifier, "_near_ml", lambda references: ["ml"])
    found = verdict(Rates(20 / 4096, references={"ml": failures}), weights=WEIGHTS)
    assert checks(found)["reference_ml"] == result
    assert found.reason == ("beats_reference_ml" if result == "failed" else "better")


class Gated(Rates):
    """An executor whose reference `ml` runs behind a gate and misses answers, unless it is asked without one."""

    def __init__(self, rate, gated, ungated):
        super().__init__(rate, references={"ml": gated})
        self.ungated, self.asked = {"ml": ungated}, []

    def answer(self, function, task):
        if function != "score_chunks":
            return super().answer(function, task)
        whole = task.message.fields["ungated"]
        self.asked.append((task.message.fields["strong"], whole))
        answer = super().answer(function, task)
        for chunk in answer["chunks"]:
            gate = {} if whole else {"sent": 410, "sampled": 116, "differing": 1}
            chunk["reference_runs"] = {"ml": {"seconds": 0.0} | gate}
            chunk["references"] = self.ungated if whole else self.references
        return answer


@pytest.mark.parametrize("where", ["references", "strong_reference"])
@pytest.mark.parametrize(
    ("gated", "ungated", "result"), [(60, 60, "failed"), (60, 21, "passed"), (18, 18, "passed")], ids=str
)
def test_a_candidate_above_a_gated_reference_is_held_against_the_one_without_a_gate(
    monkeypatch, where, gated, ungated, result
):
    """The candidate fails 20 of each 4,096 shots."""
    executor = Gated(20 / 4096, gated, ungated)
    if where == "references":
        monkeypatch.setattr(verifier, "_near_ml", lambda references: ["ml"])
        found = verdict(executor, weights=WEIGHTS)
        noted = found.details["gated"]["ml"]
    else:
        found = verdict(executor, weights=WEIGHTS, strong_reference="ml")
        noted = found.details["share_of_gap"]["gated"]
    assert checks(found)["reference_ml"] == result
    assert (noted["sent"], noted["shots"]) == (410 * noted["shots"] // 4096, 16_384 if where == "references" else 4096)
    better = gated > 20
    assert noted.get("ungated") == (ungated * noted["shots"] // 4096 if better else None)
    assert any(whole for _, whole in executor.asked) == better, "no gate is opened for any other candidate"
    note = Verdict.from_dict(json.loads(json.dumps(found.to_dict())))
    assert audit(note) == []
    lines = verdict_lines(note.noted(verifier="holdout"))
    assert "ml ran on the 10.0% of shots that the plain decoder is least sure of" in lines
    assert ("without its gate it fails" in lines) == better


def test_a_verdict_that_hides_the_ungated_reference_is_not_believed(monkeypatch):
    monkeypatch.setattr(verifier, "_near_ml", lambda references: ["ml"])
    found = verdict(Gated(20 / 4096, 60, 21), weights=WEIGHTS)
    note = json.loads(json.dumps(found.to_dict()))
    del note["gated"]["ml"]["ungated"]
    assert audit(Verdict.from_dict(note)) != []


def test_a_reference_is_near_ml_if_its_plugin_says_so():
    assert verifier._near_ml([Choice(kind="tesseract", beam=5), Choice(kind="mwpm_correlated")]) == (
        "tesseract(beam=5)",
    )


@pytest.mark.parametrize(
    ("executor", "more"),
    [
        (Rates(0.005), {}),
        (Rates(0.005), {"protocol": CELLS}),
        (Rates(0.005, faults={2: (10, 20, 20)}), {"full_certificate": True, "alpha": 0.01, "attempt": 70}),
        (Rates(0.008), {"constraints": "{target_ler: 0.01}"}),
        (Rates(0.0099), {"constraints": "{target_ler: 0.01}"}),
        (Rates(0.012, base=0.01), {}),
        (Rates(0.005, faults={1: (0, 0, 5)}), {}),
        (Rates(0.0, base=0.0), {"max_shots": 60_000}),
        (Rates(0.005, again="other"), {}),
        (Rates(0.005), {"constraints": "{max_params: 1}"}),
        (Rates(0.005, sent=400), {"files": GATED, "protocol": CELLS}),
        (Rates(0.012, base=0.01, sent=400), {"files": GATED}),
        (Rates(0.005, sent=400), {"files": GATED, "constraints": "{max_flops_per_shot: 400}"}),
        (Rates(0.005, sent=400), {"files": GATED, "constraints": "{max_params: 1}"}),
    ],
)
def test_every_verdict_passes_its_own_audit(executor, more):
    note = json.loads(json.dumps(verdict(executor, weights=WEIGHTS, **more).to_dict()))
    assert audit(Verdict.from_dict(note)) == []


@pytest.fixture(scope="module")
def noted():
    return json.dumps(verdict(Rates(0.005, faults={2: (10, 20, 20)}), weights=WEIGHTS, protocol=CELLS).to_dict())


def lower(number):
    return number - 1


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("alpha_attempt", lambda _: 0.05, "alpha_attempt: the note says 0.05"),
        ("verified_before", lambda _: 3, "verified_before: the note says 3, but 0 attempts came before"),
        ("verified_before", lambda _: -1, "verified_before"),
        ("attempt", lambda _: 0, "attempts are numbered from 1"),
        ("alpha", lambda _: 20.0, "an error budget is between 0 and"),
        ("alpha_attempt", lambda _: 0.06, "above the error budget of the run"),
        ("test.candidate_only", lower, "log_e_better"),
        ("log_e_better", lambda x: x + 1, "log_e_better"),
        ("extension.baseline_only", lower, "ler_baseline"),
        ("delta_ler_ci.0", lambda x: x * 1.01, "delta_ler_ci.0"),
        ("digests", lambda digests: digests[:-1], "digests, times 4096 shots"),
        ("cells.1.test.both", lower, "cells.1."),
        ("cells.0.word", lambda _: "not_better", "verdict and reason"),
        ("harm.2.counts.candidate_only", lambda x: x + 500, "harm.2.word: the note says no_harm, its counts give harm"),
        ("certificate.rows.1.counts.candidate_only", lambda x: x + 1, "certificate.rows.1.excess_ci.0"),
        ("certificate.word", lambda _: "kept", "certificate.word"),
        ("ablation.variants.0.earned", lambda x: x + 0.01, "ablation.variants.0.earned"),
        (
            "answered_again.differing",
            lambda _: [1],
            "verdict and reason.0: the note says VERIFIED, its counts give SUSPICIOUS",
        ),
        ("checks.0.result", lambda _: "warned", "checks.0.result: the note says warned, its counts give passed"),
        ("checks.0.says", lambda says: re.sub(r"\d", "8", says, count=1), "checks.0.says"),
        ("reason", lambda _: "excellent", "verdict and reason.1"),
        ("test", lambda _: None, "the note is incomplete"),
    ],
)
def test_an_audit_says_what_was_altered(noted, path, change, said):
    note = json.loads(noted)
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    inner = note
    for step in way:
        inner = inner[step]
    inner[last] = change(inner[last])
    found = audit(Verdict.from_dict(note))
    assert any(said in sentence for sentence in found), found


@pytest.fixture(scope="module")
def noted_gated():
    return json.dumps(verdict(Rates(0.005, sent=400), weights=WEIGHTS, protocol=CELLS, files=GATED).to_dict())


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("flops_per_shot", lower, "flops_per_shot: the note says 488, its counts give 489"),
        ("sent", lambda sent: sent - 4096, "flops_per_shot: the note says 489"),
        ("sent", lambda _: -1, "sent: the note says -1 of"),
        ("sent", lambda _: None, "the note is incomplete: it has no sent"),
        ("flops_per_sent_shot", lambda x: x - 100, "flops_per_shot: the note says 489"),
        ("flops_per_sent_shot", lambda _: None, "the note is incomplete: it has no flops_per_sent_shot"),
        ("gate_flops", lambda _: -1, "the note says -1 FLOPs of the gate"),
        ("cells.1.sent", lambda _: 10**9, "cells.1.sent: the note says 1000000000"),
    ],
)
def test_an_audit_says_what_was_altered_of_the_cost_behind_a_gate(noted_gated, path, change, said):
    test_an_audit_says_what_was_altered(noted_gated, path, change, said)


@pytest.fixture(scope="module")
def noted_ensembled():
    executor = Rates(0.005, sent=400, passes=900)
    return json.dumps(verdict(executor, weights=WEIGHTS, protocol=CELLS, files=ENSEMBLED).to_dict())


@pytest.mark.parametrize(
    ("path", "change", "said"),
    [
        ("passes", lambda passes: passes - 4096, "flops_per_shot: the note says 1099"),
        ("passes", lambda _: 1, "sent: the note says"),
        ("passes", lambda _: 10**9, "sent: the note says"),
        ("passes", lambda _: None, "flops_per_shot: the note says 1099"),
        ("sent", lambda _: None, "the note is incomplete: it has no sent"),
        ("cells.1.passes", lambda _: 399, "cells.1.sent: the note says"),
        ("cells.1.sent", lambda _: None, "cells.1.passes: the note counts passes, but not the shots"),
    ],
)
def test_an_audit_says_what_was_altered_of_the_passes(noted_ensembled, path, change, said):
    test_an_audit_says_what_was_altered(noted_ensembled, path, change, said)


@pytest.mark.parametrize(
    ("passes", "sent"),
    [(399, 400), (64 * 400 + 1, 400), (1, 0), (900, None)],
    ids=["fewer", "too many", "none", "unsaid"],
)
def test_passes_that_cannot_be_are_refused_by_the_audit_and_by_the_checker_even_if_the_cost_follows(
    noted_ensembled, passes, sent
):
    note = json.loads(noted_ensembled)
    chunks = note["shots_in_all"] // 4096
    note |= {"passes": passes * chunks, "sent": None if sent is None else sent * chunks}
    note["flops_per_shot"] = -(-(5000 * note["passes"] + note["gate_flops"]) // note["shots_in_all"])
    if sent is None:
        del note["sent"]
    assert audit(Verdict.from_dict(note)) != []
    assert not any(wrong for _, wrong in autoqec_check.follows(json.loads(noted_ensembled)))
    if sent is None:
        with pytest.raises(KeyError, match="sent"):  # which the checker reports as a field that is missing
            list(autoqec_check.follows(note))
    else:
        assert any(wrong for _, wrong in autoqec_check.follows(note))


def test_the_words_of_a_check_may_change_and_its_figures_may_not(noted):
    note = json.loads(noted)
    for check in note["checks"]:
        check["says"] = "Put differently: " + " and ".join(
            re.findall(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", check["says"])
        )
    assert audit(Verdict.from_dict(note)) == []


def test_a_beacon_and_another_level_are_other_shots_and_another_border():
    plain, lit, strict = (verdict(Rates(0.005), **more).details for more in ({}, {"beacon": "r1"}, {"alpha": 0.01}))
    assert plain["test"] != lit["test"]
    assert (plain["beacon"], lit["beacon"]) == ("", "r1")
    assert strict["test"] == plain["test"]
    assert strict["alpha_attempt"] == pytest.approx(plain["alpha_attempt"] / 5)


#: Half the failures more at the second cell, so little that it takes many looks to see.
SLOW = Rates(lambda p, rounds, _: 0.0098 if p == 0.01 else 0.005, base=0.01)


@pytest.mark.parametrize(
    ("executor", "protocol", "cell"),
    [(Rates(0.0098, base=0.01), "min_shots: 16384", None), (SLOW, CELLS, "p = 0.01")],
)
def test_a_test_that_is_undecided_when_the_time_is_spent_is_broken_off_and_a_replay_stops_there_too(
    executor, protocol, cell
):
    few = {"protocol": protocol, "weights": WEIGHTS, "max_shots": 131_072}
    found = verdict(executor, **few, max_seconds=1e-9)
    assert (found.verdict, found.reason) == ("FAILED", "undecided")
    assert found.details["out_of_time"] == {"cell": cell, "shots": 16_384, "seconds": 1e-9}
    assert [each["label"] for each in found.details.get("cells", ())] == ([cell] if cell else [])
    note = Verdict.from_dict(json.loads(json.dumps(found.to_dict())))
    assert audit(note) == []
    assert "the limit of 1e-09 s was reached" in verdict_lines(note.noted(verifier="holdout"))
    again = verdict(executor, **few, stop=note.evidence.out_of_time)
    assert replay_differences(note, again) == []
    whole = verdict(executor, **few)
    assert replay_differences(note, whole) != []
    assert "the note says" in str(audit(note.noted(out_of_time=note.details["out_of_time"] | {"shots": 4096})))


def test_what_is_decided_before_the_time_is_spent_has_all_its_checks():
    strong = Rates(0.005, references={"mwpm_correlated": 30})
    found = verdict(strong, max_seconds=1e-9, weights=WEIGHTS, headline=MANY, strong_reference="mwpm_correlated")
    assert found.verdict == "VERIFIED"
    assert "out_of_time" not in found.details
    assert found.details["share_of_gap"]["reference"] == "mwpm_correlated"
    parts = ["loading", "test", "figures", "strong_reference", "answered_again", "harm", "certificate", "ablation"]
    assert list(found.details["seconds_by_part"]) == parts
    note = Verdict.from_dict(json.loads(json.dumps(found.to_dict())))
    assert audit(note) == []
    assert replay_differences(note, verdict(Rates(0.005), weights=WEIGHTS, headline=MANY)) == []
