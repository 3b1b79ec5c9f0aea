"""The decoder `chromobius`: colour codes by matching on Möbius strips (Gidney and Jones, arXiv:2312.08813)."""

from __future__ import annotations

from autoqec.decoding.sinter_adapter import CompiledForeign, needed
from autoqec.problem.problem import Problem


class _Chromobius:
    """A sinter decoder around the compiled object of the package."""

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
    """Chromobius, from the package of that name; microseconds per shot.

    Detectors must give basis and colour in a fourth coordinate. crumble's circuits do; stim's colour code circuits do not.
    """

    takes_beliefs = False

    def compile(self, problem: Problem) -> CompiledForeign:
        """Compile for one problem.

        Raises:
            UsageError: The detectors have no colours, or the code is not a colour code.
            MissingPackageError: The package is not installed.
        """
        return CompiledForeign(
            _Chromobius(needed("chromobius", "chromobius", "chromobius")), problem, name="chromobius"
        )
