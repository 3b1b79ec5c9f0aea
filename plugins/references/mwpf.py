"""The decoder `mwpf`: minimum-weight parity factors on hypergraphs (Wu et al., arXiv:2508.04969); milliseconds per shot."""

from __future__ import annotations

from autoqec.decoding.sinter_adapter import CompiledForeign, needed
from autoqec.problem.problem import Problem


class Mwpf:
    """Hypergraph minimum-weight parity factor, from the package mwpf.

    Args:
        cluster_nodes: Maximum number of nodes of a cluster that is optimised; larger is better and slower, 0 is union-find.
    """

    takes_beliefs = False

    def __init__(self, cluster_nodes: int = 50) -> None:
        self._nodes = cluster_nodes

    def compile(self, problem: Problem) -> CompiledForeign:
        """Compile for one problem.

        Raises:
            MissingPackageError: The package is not installed.
        """
        package = needed("mwpf.sinter_decoders", "mwpf[stim]", "mwpf")
        return CompiledForeign(package.SinterMWPFDecoder(cluster_node_limit=self._nodes), problem, name="mwpf")
