"""Rules for rounds that were scored: what their development metrics and the losses of their training say."""

from __future__ import annotations

from collections.abc import Iterator

from autoqec.agents.diagnosis.cases import Case, Changes, Diagnosis, figure, found, span
from autoqec.agents.diagnosis.patches import (
    OUTPUT,
    TRAINING,
    calmer,
    fields_of,
    scaled_rate,
    smaller_stages,
    value_of,
)
from autoqec.results.figures import Figures
from autoqec.results.metrics import Metrics
from autoqec.results.metrics_parts import TrainingLog

#: A candidate that fails this many times as often as the plain decoder is not merely a little off.
_MUCH_WORSE = 1.5

#: Parts by which a validation loss must change to be said to.
_FALL, _RISE = 1e-3, 1e-2


def scored_causes(case: Case) -> Iterator[Diagnosis]:
    """What is poor or doubtful about a round's metrics, causes before their effects."""
    metrics = case.past.metrics
    if metrics is None:
        return
    if (invalid := metrics.measured.invalid) > 0:
        shots = figure(metrics.figures.shots)
        yield found(case, "invalid_shots", f"invalid: {figure(invalid)} of {shots} shots", changes=calmer(case.files))
    if metrics.screened_out:
        return  # its training and its figures are not those of a whole round
    yield from _training(case, metrics)
    yield from _beliefs(case, metrics)
    if case.past.verdict is None:
        yield from _decision(case, metrics.figures)


def _training(case: Case, metrics: Metrics) -> Iterator[Diagnosis]:
    training = metrics.training
    steps, planned = training.steps, training.steps_planned
    if steps == 0 and metrics.costs.params > 0:
        shots, epochs = (value_of(case.files, TRAINING, name) for name in ("shots", "epochs"))
        if 0 in (shots, epochs) and (training.inherited or case.past.verdict == "VERIFIED"):
            return  # it asked for no step: it has its parent's weights, or initial ones that gain
        evidence = f"steps: 0 of {figure(planned)} planned; shots {figure(shots)}, epochs {figure(epochs)}"
        yield found(case, "no_training", evidence + _batch_too_large(case), changes=_some_training(case))
        return
    if training.nan_steps is not None and training.nan_steps > 0:
        evidence = f"nan_steps: {figure(training.nan_steps)} of {figure(steps)}"
        yield found(case, "not_finite_steps", evidence, changes=calmer(case.files))
    out_of_time = training.out_of_time
    if out_of_time and steps is not None:
        evidence = f"{figure(steps)} of {figure(planned)} steps in {figure(training.seconds)} s"
        yield found(case, "out_of_time", evidence, changes=_in_time(case, steps, planned))
    yield from _losses(case, training, bool(steps and planned and steps < planned and not out_of_time))


def _batch_too_large(case: Case) -> str:
    """What to say where all shots that the profile allows are less than a batch."""
    batch, most = value_of(case.files, TRAINING, "batch_size"), case.profile.get("train_shots")
    too_large = batch is not None and isinstance(most, int | float) and batch > most
    return f"; a batch has {figure(batch)} shots, and the profile allows {figure(most)} in all" if too_large else ""


def _some_training(case: Case) -> Changes:
    """Shots and epochs where there are none, or a batch that fits into the profile's shots."""
    wanted = {
        name: some for name, some in (("shots", 32_768), ("epochs", 1)) if not value_of(case.files, TRAINING, name)
    }
    if not wanted and _batch_too_large(case):
        wanted = {"batch_size": max(8, int(case.profile["train_shots"]) // 8)}
    return {TRAINING: wanted} if wanted else {}


def _in_time(case: Case, steps: float, planned: float | None) -> Changes:
    shots = value_of(case.files, TRAINING, "shots")
    return {TRAINING: {"shots": int(shots * steps / planned)}} if shots and planned and steps else {}


def _losses(case: Case, training: TrainingLog, early: bool) -> Iterator[Diagnosis]:
    before, after = training.validation_before, training.validation_after
    curve = [point.loss for point in training.validation]
    if before is None or after is None or not training.steps:
        return
    fell = f"validation loss {figure(before)} before, {figure(after)} after"
    best, last = min(curve, default=after), curve[-1] if curve else after
    if after >= before - _FALL * abs(before):
        # Where it rose meanwhile, steps were too large; where it stayed as it was, too small.
        rose = last > before + _RISE * abs(before)
        changes = scaled_rate(case.files, 1 / 3 if rose else 3)
        yield found(case, "loss_did_not_fall", fell, f"last looked at: {figure(last)}", changes=changes)
    elif last > best + _RISE * abs(best):
        yield _rose(case, f"{fell}; best {figure(best)}, last {figure(last)}")
    elif early:
        done = f"{figure(training.steps)} of {figure(training.steps_planned)} steps"
        yield found(case, "stopped_early", f"{done}; {fell}")


def _rose(case: Case, evidence: str) -> Diagnosis:
    shots, epochs = (value_of(case.files, TRAINING, name) for name in ("shots", "epochs"))
    if epochs is not None and epochs <= 1:  # shots that are drawn once cannot be learned by heart
        return found(case, "loss_rose", evidence, changes=scaled_rate(case.files, 1 / 3))
    changes: Changes = {TRAINING: {"epochs": 1, "shots": int(shots * epochs)}} if shots and epochs else {}
    return found(case, "overfitting", evidence, f"epochs {figure(epochs)}", changes=changes)


def _beliefs(case: Case, metrics: Metrics) -> Iterator[Diagnosis]:
    shots, ratio = metrics.figures.shots, metrics.figures.ler_ratio
    counts = metrics.measured.counts
    output = fields_of(case.files, OUTPUT)
    flips, threshold = output.get("mode") == "hard_flip", value_of(case.files, OUTPUT, "threshold")
    at = f"output.yaml: threshold: {figure(threshold)}" if flips else ""
    if shots and counts is not None and counts.baseline_only == counts.candidate_only == 0:
        evidence = f"of {figure(shots)} shots none fails on one side only: baseline_only 0, candidate_only 0"
        lower: Changes = {OUTPUT: {"threshold": round(threshold / 2, 3)}} if flips and threshold else {}
        yield found(case, "flips_nothing" if flips else "beliefs_change_nothing", evidence, at, changes=lower)
        return
    low, high = metrics.figures.ratio_interval
    if ratio is None or high is None or low <= 1:
        return
    evidence = f"ler_ratio {figure(ratio)}, 95 % {span((low, high))}"
    if flips:
        higher: Changes = {OUTPUT: {"threshold": round((1 + threshold) / 2, 3)}} if threshold else {}
        yield found(case, "flips_too_much", evidence, at, changes=higher)
    elif ratio >= _MUCH_WORSE:
        yield found(case, "saturated_beliefs", evidence, changes=smaller_stages(case.files))
    else:
        loss = fields_of(case.files, TRAINING).get("loss")
        other: Changes = {TRAINING: {"loss": "weighted_bce"}} if loss == "bce" else {}
        yield found(case, "worse_than_plain", evidence, f"training.yaml: loss: {loss}", changes=other)


def _decision(case: Case, figures: Figures) -> Iterator[Diagnosis]:
    if case.past.decision != "ignore":
        return
    gain, ends = figures.delta_ler, figures.gain_interval
    evidence = f"delta_ler {figure(gain)}, 95 % {span(ends)} over {figure(figures.shots)} development shots"
    cause = "sure_gain_ignored" if ends[0] > 0 else "gain_not_sure" if gain > 0 else "no_gain"
    yield found(case, cause, evidence)
