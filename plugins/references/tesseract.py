"""The decoder `tesseract`: search for the most likely error (Beni, Higgott and Shutty, arXiv:2503.10988)."""

from __future__ import annotations

from autoqec.decoding.sinter_adapter import CompiledForeign, needed
from autoqec.problem.problem import Problem


class Tesseract:
    """Tesseract, from the package tesseract-decoder; milliseconds per shot.

    Args:
        beam: Maximum number of residual detections of a search state above the best state; larger is better and slower.
        queue: Maximum number of states in the queue; a shot that needs more gets the best result so far.
    """

    takes_beliefs = False

    def __init__(self, beam: int = 15, queue: int = 200_000) -> None:
        self._beam, self._queue = beam, queue

    def compile(self, problem: Problem) -> CompiledForeign:
        """Compile for one problem.

        Raises:
            MissingPackageError: The package is not installed.
        """
        package = needed("tesseract_decoder", "tesseract-decoder", "tesseract")
        decoder = package.TesseractSinterDecoder(det_beam=self._beam, pqlimit=self._queue)
        return CompiledForeign(decoder, problem, name="tesseract")
