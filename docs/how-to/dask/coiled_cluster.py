"""Workers in your account at a cloud, by Coiled: python coiled_cluster.py"""

import signal

import coiled
from autoqec_plugins.dask.cluster_file import write_cluster_file

cluster = coiled.Cluster(
    name="autoqec",
    n_workers=16,
    worker_options={"nthreads": 1},
    package_sync=True,  # the same packages there as here
    spot_policy="spot_with_fallback",  # workers that are taken away are replaced
    idle_timeout="20 minutes",
)
write_cluster_file(cluster, "~/.autoqec-cluster.json")
print("in ~/.autoqec-cluster.json:", cluster.scheduler_address)
signal.pause()
