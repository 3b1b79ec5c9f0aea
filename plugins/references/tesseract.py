"""The decoder `tesseract`: a search for the most likely error (Beni, Higgott and Shutty, arXiv:2503.10988); milliseconds."""

from __future__ import annotations

from autoqec.decoding.sinter_adapter import CompiledForeign, needed
from autoqec.problem.problem import Problem


class Tesseract:
    """Tesseract, of the package tesseract-decoder.

    Args:
        beam: How many more residual detections a search state may have than the best one; larger is better and slower.
        queue: Most states that wait; a shot that needs more gets the answer of that moment.
    """

    takes_beliefs = False

    def __init__(self, beam: int = 15, queue: int = 200_000) -> None:
        self._beam, self._queue = beam, queue

    def compile(self, problem: Problem) -> CompiledForeign:
        """Prepare for one problem.

        Raises:
            MissingPackageError: The package is not installed.
        """
        package = needed("tesseract_decoder", "tesseract-decoder", "tesseract")
        decoder = package.TesseractSinterDecoder(det_beam=self._beam, pqlimit=self._queue)
        return CompiledForeign(decoder, problem, name="tesseract")
