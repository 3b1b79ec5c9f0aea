"""The decoder `chromobius`: colour codes by matching on Möbius strips (Gidney and Jones, arXiv:2312.08813); microseconds."""

from __future__ import annotations

from autoqec.decoding.sinter_adapter import CompiledForeign, needed
from autoqec.problem.problem import Problem


class _Chromobius:
    """sinter's half of the contract, for the compiled object that the package makes."""

    def __init__(self, package: object) -> None:
        self._package = package

    def compile_decoder_for_dem(self, *, dem: object) -> object:
        compiled = self._package.compile_decoder_for_dem(dem)  # type: ignore[attr-defined]

        class Compiled:
            @staticmethod
            def decode_shots_bit_packed(*, bit_packed_detection_event_data: object) -> object:
                return compiled.predict_obs_flips_from_dets_bit_packed(bit_packed_detection_event_data)

        return Compiled()


class Chromobius:
    """Chromobius, of the package of that name.

    Detectors must say basis and colour in a fourth coordinate, as stim's colour code circuits do not and crumble's do.
    """

    takes_beliefs = False

    def compile(self, problem: Problem) -> CompiledForeign:
        """Prepare for one problem.

        Raises:
            UsageError: The detectors have no colours, or it is no colour code.
            MissingPackageError: The package is not installed.
        """
        return CompiledForeign(
            _Chromobius(needed("chromobius", "chromobius", "chromobius")), problem, name="chromobius"
        )
