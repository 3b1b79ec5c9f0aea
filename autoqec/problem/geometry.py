"""Geometry of detectors: position in space and time, stabiliser type, and distance from the mechanisms that flip them.

An error model has coordinates only if the circuit gives some, and never names the stabiliser of a detector. Unknown values
are zero and flagged as such.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autoqec.problem.problem import Problem

#: Coordinates beyond this are no places: whole numbers of their parts would overflow.
_FARTHEST = 1e9


@dataclass(frozen=True)
class Geometry:
    """Information about a problem that a stage may use, in addition to the Tanner graph.

    Attributes:
        has_coordinates: Whether every detector has coordinates; if not, `coordinates` and `distance` are zero.
        coordinates: x, y and t of each detector, in the circuit's own units, float32 `[detectors, 3]`.
        side: Stabiliser type of each detector, float32 `[detectors]`: 1 or -1, or 0 if unknown.
        mechanism: Mechanism of each incidence, int64 `[incidences]`, ordered by mechanism, then detector.
        detector: Detector of each incidence, int64 `[incidences]`.
        distance: Distance from each incidence's detector to the centroid of its mechanism's detectors, float32
            `[incidences]`.
    """

    has_coordinates: bool
    coordinates: np.ndarray
    side: np.ndarray
    mechanism: np.ndarray
    detector: np.ndarray
    distance: np.ndarray


def find_geometry(problem: Problem) -> Geometry:
    """Derive the geometry from a problem's error model."""
    found = problem.mechanisms
    detector = found.detector.astype(np.int64)
    mechanism = np.repeat(np.arange(len(found), dtype=np.int64), np.diff(found.start))
    places = detector_places(problem)
    empty = np.zeros((problem.num_detectors, 3))
    coordinates = (empty if places is None else places).astype(np.float32)
    centre = np.zeros((len(found), 3))
    np.add.at(centre, mechanism, coordinates[detector])
    centre /= np.diff(found.start)[:, None]
    return Geometry(
        has_coordinates=places is not None,
        coordinates=coordinates,
        side=stabiliser_side(problem),
        mechanism=mechanism,
        detector=detector,
        distance=np.linalg.norm(coordinates[detector] - centre[mechanism], axis=1).astype(np.float32),
    )


def detector_places(problem: Problem) -> np.ndarray | None:
    """Return x, y and t of each detector, float64 `[detectors, 3]`, or None if a detector has no usable coordinates.

    By stim's convention, time is the last of two or three coordinates; a single one is x; a fourth (the colour of Chromobius) is
    ignored.
    """
    by_detector = problem.dem.get_detector_coordinates()
    rows = []
    for detector in range(problem.num_detectors):
        given = list(by_detector.get(detector, ()))
        if not given:
            return None
        if len(given) == 2:
            given.insert(1, 0.0)
        rows.append([*given, 0.0, 0.0][:3])
    places = np.array(rows, dtype=np.float64)
    return places if (np.abs(places) <= _FARTHEST).all() else None


def stabiliser_side(problem: Problem) -> np.ndarray:
    """Infer the stabiliser type of each detector from the connected components of the matching graph.

    In a CSS code, decomposed errors join detectors of one type only, so the matching graph has one component per type. The
    component of the lowest detector is 1, the other -1. A detector without an edge to another detector is 0.

    Returns:
        float32 `[detectors]`; all 0 if there is no matching graph, or not exactly two components.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    side = np.zeros(problem.num_detectors, dtype=np.float32)
    if problem.edges is None:
        return side
    ends = problem.edges.ends[(problem.edges.ends >= 0).all(axis=1)]
    shape = (problem.num_detectors, problem.num_detectors)
    _, part = connected_components(coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=shape))
    parts = list(dict.fromkeys(part[np.unique(ends)]))
    if len(parts) == 2:
        side[part == parts[0]], side[part == parts[1]] = 1.0, -1.0
    return side
