#!/bin/bash
# One process per host, one model. Submit from the root of the repository:
#
#     sbatch docs/launch/slurm.sh all_exemplars --workdir runs/big --data.zips images_background.zip
#
#SBATCH --job-name=icl
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@300
#SBATCH --output=slurm-%j.txt
# --signal: five minutes before the time is up, all processes finish their step, save and end with code 143.
set -euo pipefail

if [ "${1:-}" = "" ]; then
    echo "usage: sbatch docs/launch/slurm.sh PRESET-OR-RUN --workdir FOLDER-ALL-HOSTS-SEE [OPTIONS]" >&2
    exit 2
fi
cd "${SLURM_SUBMIT_DIR:-.}"

# JAX gives each SLURM task one device of its host (number SLURM_LOCALID) unless told otherwise; here a task has all.
devices="${SLURM_GPUS_ON_NODE:-0}"
if [ "$devices" -gt 1 ]; then
    export JAX_LOCAL_DEVICE_IDS
    JAX_LOCAL_DEVICE_IDS="$(seq --separator=, 0 $((devices - 1)))"
fi
# A proxy would be asked for the other hosts.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

# --kill-on-bad-exit: SLURM ends what is left when one process fails; JAX does so, too, but after its heartbeat.
exec srun --kill-on-bad-exit=1 --label \
    .venv/bin/python -m experiments.omniglot "$@" --hosts.detect
