#!/bin/bash
# A sweep on as many jobs as the array has: all run the same command in one folder, each takes groups that no other has.
#
#     sbatch docs/launch/slurm_sweep.sh omniglot laptop --grid.data.p-bursty 0 0.5 0.9 1 --seeds 8 --workdir /shared/runs/s
#
#SBATCH --job-name=icl-sweep
#SBATCH --array=0-7
#SBATCH --nodes=1
#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --output=slurm-%A-%a.txt
# --signal: two minutes before the time is up the step is finished and saved; the same sbatch goes on.
set -euo pipefail

if [ "${1:-}" = "" ]; then
    echo "usage: sbatch docs/launch/slurm_sweep.sh EXPERIMENT PRESET --grid.OPTION V1 V2 --workdir FOLDER-ALL-JOBS-SEE" >&2
    exit 2
fi
cd "${SLURM_SUBMIT_DIR:-.}"
experiment="$1"
shift
exec .venv/bin/python -m "experiments.$experiment" sweep "$@"
