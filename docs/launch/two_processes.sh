#!/bin/bash
# Two processes on this machine train one model, each with one CPU device: to try what several hosts will do.
#
#     docs/launch/two_processes.sh laptop --workdir runs/two --train.steps 20
#
# PYTHON and PORT may be set in the environment. Ctrl+C, or SIGTERM to this script, reaches both processes.
set -uo pipefail

if [ "${1:-}" = "" ]; then
    echo "usage: docs/launch/two_processes.sh PRESET-OR-RUN --workdir FOLDER [OPTIONS]" >&2
    exit 2
fi
cd "$(dirname "$0")/../.."
python="${PYTHON:-.venv/bin/python}"
port="${PORT:-$("$python" -c 'import socket; print(socket.create_server(("", 0)).getsockname()[1])')}"
export JAX_PLATFORMS=cpu
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

# One that is started in the background would ignore Ctrl+C, as bash arranges without job control.
set -m
pids=()
for index in 0 1; do
    "$python" -m experiments.omniglot "$@" \
        --hosts.coordinator "127.0.0.1:$port" --hosts.count 2 --hosts.index "$index" &
    pids+=("$!")
done
trap 'kill -INT "${pids[@]}" 2>/dev/null' INT
trap 'kill -TERM "${pids[@]}" 2>/dev/null' TERM

# A trapped signal interrupts `wait`, so each process is waited for until it has gone; the first failure is the code.
code=0
for pid in "${pids[@]}"; do
    while :; do
        wait "$pid"
        result=$?
        kill -0 "$pid" 2>/dev/null || break
    done
    if [ "$code" -eq 0 ]; then code="$result"; fi
done
exit "$code"
