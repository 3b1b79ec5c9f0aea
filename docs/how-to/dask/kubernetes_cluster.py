"""Workers as pods, by the Dask operator: python kubernetes_cluster.py"""

import signal

from autoqec_plugins.dask.cluster_file import write_cluster_file
from dask_kubernetes.operator import KubeCluster

cluster = KubeCluster(
    name="autoqec",
    namespace="qec",  # a namespace whose network policy lets nobody else reach the scheduler
    image="registry.example.org/autoqec:0.1.0",  # has AutoQEC and autoqec[dask], at the versions that you have here
    n_workers=16,
    worker_command="dask-worker --nthreads 1",
    resources={"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
)
write_cluster_file(cluster, "~/.autoqec-cluster.json")
print("in ~/.autoqec-cluster.json:", cluster.scheduler_address)
signal.pause()
