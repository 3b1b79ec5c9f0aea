"""Judge, matcher and candidate: who is told what, and who pays when something dies."""

import os
import resource
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from warm_processes import children

from autoqec.candidate.weights import save_weights
from autoqec.errors import AutoQECError, UsageError
from autoqec.plugins import load_plugins
from autoqec.problem.code_contract import build_problem
from autoqec.problem.environment import ENVIRONMENT_FILE, environment_from_files
from autoqec.problem.sampling import sample_chunk
from autoqec.results.counts import PairedCounts
from autoqec.results.stratified_counts import shares_for
from autoqec.sandbox.channel import Message
from autoqec.sandbox.child import Child
from autoqec.sandbox.sealed import SealedCandidate
from autoqec.scoring import shard
from autoqec.scoring.decoder_set import open_decoder_set
from autoqec.scoring.fault_strata import sets_to_list, strata_of
from autoqec.scoring.matcher import MEMORY_BYTES, Matcher
from autoqec.scoring.predictor import CandidateFault
from autoqec.scoring.scoring_requests import AgainTask, ScoringTask
from autoqec.scoring.shard import ChunkScore
from autoqec.testing import TINY_ENVIRONMENT, custom_module, untrained

SEED = 0x1F2E3D4C5B6A7988


def blobs(environment=TINY_ENVIRONMENT, stage="kind: neural_bp\niterations: 2\n"):
    files = {ENVIRONMENT_FILE: environment.encode()}
    problem = build_problem(environment_from_files(files, origin="e"), load_plugins().maker("code"), None)
    candidate = {"stages/bp/stage.yaml": stage.encode()}
    return problem, {"env:environment.yaml": files[ENVIRONMENT_FILE]} | untrained(candidate, problem).to_blobs()


@pytest.fixture(scope="module", autouse=True)
def _decoder_set():
    """The judge's matcher goes from one test to the next as it goes from task to task, and ends with them."""
    yield
    shard._forget_decoder_set()


def task(data, seeds=(), **fields):
    files = {name.removeprefix("env:"): blob for name, blob in data.items() if name.startswith("env:")}
    return ScoringTask(environment=files, sealed=SealedCandidate.from_blobs(data), seeds=tuple(seeds), **fields)


@pytest.fixture
def sent(monkeypatch):
    """Every byte that this process sends to a child: fields as JSON text, and blobs."""
    everything = []
    original = Child.send

    def send(self, fields, **data):
        everything.append(repr(fields).encode())
        everything.extend(bytes(blob) for blob in data.values())
        original(self, fields, **data)

    monkeypatch.setattr(Child, "send", send)
    return everything


def secrets(shots):
    """What must not be in it: the seed in any spelling, and the truth of each shot, packed or one byte a bit."""
    packed = shots.observables.tobytes()
    return {
        "seed, decimal": str(SEED).encode(),
        "seed, hexadecimal": f"{SEED:x}".encode(),
        "seed, big-endian": SEED.to_bytes(8, "big"),
        "seed, little-endian": SEED.to_bytes(8, "little"),
        "truth": packed[:512],
        "truth, bit by bit": np.unpackbits(shots.observables[:, 0]).tobytes()[:512],
        "truth, the other way round": packed[::-1][:512],
    }


def test_no_byte_sent_to_the_matcher_or_the_candidate_holds_an_observable_or_a_seed(sent):
    problem, data = blobs()
    shots = sample_chunk(problem, SEED)
    assert shots.observables.any()
    # To the matcher, as the judge scores a chunk; then to the candidate, as a matcher in this process asks it.
    shard._forget_decoder_set()
    shard.score_chunks(task(data, [SEED], references=True).to_message())
    to_matcher = len(sent)
    with ExitStack() as resources:
        open_decoder_set(data, None, None, resources).candidate(shots.syndromes)
    assert to_matcher < len(sent)
    for stream in (b"|".join(sent[:to_matcher]), b"|".join(sent[to_matcher:])):
        assert shots.syndromes.tobytes() in stream, "the recording has what was sent"
        assert [name for name, secret in secrets(shots).items() if secret in stream] == []


def test_it_decodes_as_its_parts_do_here():
    problem, data = blobs()
    shots = sample_chunk(problem, 1)
    with ExitStack() as resources, Matcher(data) as matcher:
        decoders = open_decoder_set(data, None, None, resources)
        assert matcher.wait(problem.observable_bytes) is None, "trusted stages run unlocked"
        (known, _), (answer, seconds) = matcher.known(shots.syndromes, True), matcher.candidate(shots.syndromes)
        here, _ = decoders.known(shots.syndromes, True)
        assert known.keys() == here.keys() == {"", "mwpm_correlated"}
        for name, decoded in here.items():
            assert np.array_equal(known[name].observables, decoded.observables)
        assert np.array_equal(answer.observables, decoders.candidate(shots.syndromes)[0].observables)
        assert seconds["cpu"] > 0
        assert matcher.cost() == {"flops_per_shot": matcher.cost()["flops_per_shot"], "params": 2}


def test_a_matcher_that_dies_over_beliefs_is_the_candidates_failure_and_over_nothing_ours():
    problem, data = blobs()
    syndromes = sample_chunk(problem, 1).syndromes
    with Matcher(data) as matcher:
        matcher.wait(problem.observable_bytes)
        os.kill(matcher._child.pid, signal.SIGSTOP)
        matcher._child._channel.send(Message({"op": "candidate"}, {"syndromes": syndromes.tobytes()}))
        os.kill(matcher._child.pid, signal.SIGKILL)
        with pytest.raises(CandidateFault, match="crash: decoding the candidate's beliefs failed: .*SIGKILL") as caught:
            matcher._exchange(None, 60, blame=True)
        assert caught.value.about == {"signal": "SIGKILL", "reason": "crash"}
        with pytest.raises(AutoQECError, match="the decoders' process failed") as caught:
            matcher._exchange(None, 60, blame=False)
        assert (caught.value.code, caught.value.about) == ("process_ended", {"signal": "SIGKILL"})


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its address space")
@pytest.mark.parametrize(
    ("ask", "fault", "words"),
    [
        (Matcher.candidate, CandidateFault, "crash: decoding the candidate's beliefs failed: it takes more than 8 GiB"),
        (Matcher.neutral, AutoQECError, "the decoders' process failed: it takes more than 8 GiB"),
    ],
)
def test_a_matcher_has_so_much_memory_and_more_for_beliefs_is_the_candidates_failure(ask, fault, words):
    """Beliefs that take gigabytes are not known, so the limit is brought down, from outside, to what the process has."""
    problem, data = blobs()
    syndromes = np.tile(sample_chunk(problem, 1).syndromes, (32, 1))
    with Matcher(data) as matcher:
        matcher.wait(problem.observable_bytes)
        pid = matcher._child.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
        assert (soft, hard) == (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1])
        (candidate,) = children(pid)
        assert resource.prlimit(candidate, resource.RLIMIT_AS)[0] > MEMORY_BYTES, "the candidate has its own"
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize(), hard))
        with pytest.raises(fault, match=words) as caught:
            ask(matcher, syndromes)
    if fault is CandidateFault:
        assert (caught.value.reason, caught.value.code) == ("crash", "out_of_memory")


def test_it_takes_another_candidate_without_starting_anew():
    problem, data = blobs()
    _, other = blobs(stage="kind: neural_bp\niterations: 3\n")
    custom = custom_module("return beliefs", init="pass")
    locked = data | {"file:stages/bp/stage.yaml": b"kind: custom\n", "file:stages/bp/module.py": custom.encode()}
    locked["weights"] = save_weights({}, fingerprints=[problem.fingerprint])
    syndromes = sample_chunk(problem, 1).syndromes
    found, processes = [], []
    with Matcher(data) as matcher:
        matcher.wait(problem.observable_bytes)
        for each in (data, other, locked, data):
            matcher.open(each)
            layers = matcher.wait(problem.observable_bytes)
            found.append((matcher.candidate(syndromes)[0].observables.tobytes(), layers and layers.level >= 1))
            processes.append(children(matcher._child.pid))
    assert found[0] == found[3]
    assert len(set(found)) == 3
    assert [layers for _, layers in found] == [None, None, True, None]
    assert processes[0] == processes[1], "trusted candidates take turns in one process"
    assert [len(each) for each in processes] == [1, 1, 1, 2], "a locked one is a fork of another's, which stays"
    assert processes[2][0] in processes[3]
    assert not set(processes[1]) & set(processes[3])


def test_what_is_wrong_with_an_environment_keeps_its_class():
    _, data = blobs()
    broken = data | {
        "env:environment.yaml": TINY_ENVIRONMENT.replace("decoder: mwpm", "decoder: {kind: mwpm, zest: 1}").encode()
    }
    assert broken != data
    with Matcher(broken) as matcher, pytest.raises(UsageError, match="zest"):
        matcher.wait(1)


def test_fresh_processes_answer_the_same_in_other_company():
    _, data = blobs()
    seeds = [1, 2, 3]
    scored = shard.score_chunks(task(data, seeds).to_message()).fields["chunks"]
    for rates in ((), (0.004,), (0.004, 0.009)):
        told = AgainTask(**vars(task(data, seeds[:2])), rates=rates)
        again = shard.answer_again(told.to_message()).fields["answers"]
        assert again == [chunk["answers"] for chunk in scored[:2]]
    assert len({chunk["answers"] for chunk in scored}) == 3


def test_shots_by_strata_go_the_same_way_and_how_many_faults_they_have_stays_here(sent):
    problem, data = blobs()
    sets = sets_to_list(problem, 1000)
    shares = shares_for(strata_of(problem).probabilities[len(sets) :].tolist(), ())
    told = task(data, [SEED, 2], references=True, shares=shares, listed=sets, first_listed=(0, sum(sets)))
    chunks = [ChunkScore.from_dict(each) for each in shard.score_chunks(told.to_message()).fields["chunks"]]
    for each in chunks:
        counts = {name: sum([*of.listed, *of.drawn], PairedCounts()) for name, of in each.strata.items()}
        assert counts[""] == each.counts
        assert counts["neutral"] == each.neutral
        assert counts["reference mwpm_correlated"].baseline_failures == each.references["mwpm_correlated"]
    assert [each.shots for each in chunks[0].strata[""].listed] == list(sets)
    assert not any(each.shots for each in chunks[1].strata[""].listed)
    for word in ("shares", "first_listed", str(SEED)):
        assert not any(word.encode() in each for each in sent)
    again = shard.answer_again(AgainTask(**vars(told), rates=(0.004, 0.009)).to_message()).fields["answers"]
    assert again == [each.answers for each in chunks]


@pytest.mark.parametrize("what", ["cost", "score_chunks"])
def test_after_a_fault_the_next_task_has_processes_of_its_own(what):
    """The matcher ends with a fault of its candidate; whatever task it was, it must not be asked again."""
    _, data = blobs()
    message = task(data, [SEED]).to_message()
    shard.score_chunks(message)
    matcher = shard._decoder_set[1].matcher._child.pid
    (candidate,) = children(matcher)
    os.kill(candidate, signal.SIGKILL)
    with pytest.raises(CandidateFault, match="crash"):
        getattr(shard, what)(message)
    assert shard.cost(message).fields["params"] > 0
    assert shard._decoder_set[1].matcher._child.pid != matcher


def test_a_kept_matcher_that_cannot_be_told_its_next_task_is_ended():
    _, data = blobs()
    closed = []

    class Gone:
        def open(self, *arguments, **more):
            raise AutoQECError("the process ended")

        def close(self):
            closed.append(self)

    gone = Gone()
    with pytest.raises(AutoQECError, match="the process ended"):
        shard._open_decoder_set(task(data), gone)
    assert closed == [gone]
