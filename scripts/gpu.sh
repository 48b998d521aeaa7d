#!/bin/sh
# The checks and measurements for a machine with a GPU, in parts of at most nine minutes:
#   sh scripts/gpu.sh [tests | training | parts | medium | awd ...]      default: all of them
# PYTHON names the Python to use, GPU_MINUTES the minutes of a training (8). Trainings read the Penn
# Treebank (`unroll prepare ptb`) and continue where the last call stopped. Logs and tables are
# written to gpu/. Without a GPU, `training` and `parts` show that they work, with small sizes.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH PYTHONUNBUFFERED=1
minutes=${GPU_MINUTES:-8}
mkdir -p gpu
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    tiny=
else
    tiny=--tiny
    echo "This machine has no GPU that torch can use: small sizes, and no tests and trainings."
fi

train() { # NAME CONFIGURATION: trains for the given time, from where the last call stopped
    name=$1
    if [ -n "$tiny" ] || [ -f "gpu/$name.done" ]; then
        echo "$name: skipped (no GPU, or already trained: gpu/$name.log)"
        return
    fi
    run=
    if [ -f "gpu/$name.log" ]; then
        run=$(sed -n 's/^run \([0-9a-f]*\) .*/\1/p' "gpu/$name.log" | head -n 1)
    fi
    if [ -n "$run" ]; then
        set -- --resume "$run"
    else
        set -- --config "$2" --run_name "$name"
    fi
    # The pipe would hide the exit code.
    if timeout --signal=TERM "${minutes}m" "$python" -m pipeline train "$@" >>"gpu/$name.log" 2>&1; then
        touch "gpu/$name.done"
    fi
    tail -n 12 "gpu/$name.log"
}

measure() { # NAME: prints the tables of a benchmark, and the end of its log if it fails
    rm -f "gpu/$1.failed" # the pipe hides the exit code
    {
        "$python" -m "benchmarks.gpu.$1" $tiny 2>"gpu/$1.log" || {
            touch "gpu/$1.failed"
            echo "benchmarks.gpu.$1 failed (gpu/$1.log):"
            tail -n 12 "gpu/$1.log"
        }
    } | tee "gpu/$1.txt"
    [ ! -f "gpu/$1.failed" ]
}

for part in ${*:-tests training parts medium awd}; do
    echo "== $part"
    case $part in
        tests) if [ -z "$tiny" ]; then "$python" -m pytest -m gpu -q; fi ;;
        training | parts) measure "$part" ;;
        medium) train medium lm/ptb-lstm-medium ;;
        awd) train awd lm/ptb-awd-lstm ;;
        *)
            echo "unknown part $part; choose from tests training parts medium awd"
            exit 2
            ;;
    esac
done
