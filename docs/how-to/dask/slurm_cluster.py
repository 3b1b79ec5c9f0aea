"""Workers as Slurm jobs. Run this on the login node, in tmux or screen: python slurm_cluster.py"""

import signal
from pathlib import Path

from autoqec_plugins.dask.cluster_file import write_cluster_file
from dask_jobqueue import SLURMCluster  # PBSCluster and LSFCluster take the same arguments
from distributed import Security

cluster = SLURMCluster(
    queue="normal",  # the partition
    cores=4,  # of each job
    processes=4,  # workers in each job: one for each core
    memory="16GB",
    walltime="04:00:00",
    worker_extra_args=["--lifetime", "230m", "--lifetime-stagger", "5m"],  # workers leave before Slurm ends them
    protocol="tls://",
    security=Security.temporary(),
    shared_temp_directory=str(Path.home()),  # where the jobs find their certificates
)
cluster.scale(jobs=8)
print("in ~/.autoqec-cluster.json:", cluster.scheduler_address)
write_cluster_file(cluster, "~/.autoqec-cluster.json")
signal.pause()  # Ctrl-C ends the cluster and its jobs
