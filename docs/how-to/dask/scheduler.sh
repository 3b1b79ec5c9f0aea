#!/bin/sh
# A scheduler and two workers by hand, with certificates of your own in ~/.autoqec-tls; the files lie in a folder of all machines.
set -eu
tls="--tls-ca-file $HOME/.autoqec-tls/ca.pem --tls-cert $HOME/.autoqec-tls/cert.pem --tls-key $HOME/.autoqec-tls/key.pem"
file="${1:-$HOME/.autoqec-scheduler.json}"
rm -f "$file" # that of an earlier scheduler: workers would look for it there
dask scheduler --protocol tls $tls --port 0 --no-dashboard --scheduler-file "$file" &
dask worker --protocol tls $tls --scheduler-file "$file" --nworkers 2 --nthreads 1 --no-dashboard &
trap 'kill 0' INT TERM
wait
