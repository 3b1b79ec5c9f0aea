"""Workers on machines that you reach with ssh. Run this on the first of them: python ssh_cluster.py"""

import signal

from autoqec_plugins.dask.cluster_file import write_cluster_file
from distributed import SSHCluster

cluster = SSHCluster(
    ["localhost", "node1", "node2"],  # the first runs the scheduler, the others run workers
    connect_options={"known_hosts": "~/.ssh/known_hosts"},
    worker_options={"nthreads": 1, "n_workers": 8},  # eight workers on each machine
    scheduler_options={"port": 0, "dashboard_address": None},
    remote_python="/home/me/venv/bin/python",
)
write_cluster_file(cluster, "~/.autoqec-cluster.json")
print("in ~/.autoqec-cluster.json:", cluster.scheduler_address)
signal.pause()
