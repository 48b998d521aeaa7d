#!/bin/sh
# `make demo`: what a newcomer sees first. Trains through MLflow, then shows what came of it.
set -eu

# Trains a configuration and leaves the run's ID in $run. What matches $3 is not shown.
train() {
    said=$(mktemp)
    mlflow run . -e train --env-manager local --experiment-name "$1" -P "config=$2" | tee "$said" | grep -v "$3"
    run=$(sed -n 's/^run \([0-9a-f]*\) .*/\1/p' "$said" | tail -n 1)
    rm -f "$said"
    test -n "$run"
}

echo "== mlflow run . (configs/lm/builtin-lstm.yaml: an LSTM on the built-in grammar)"
train lm/builtin configs/lm/builtin-lstm.yaml "^$"
echo
echo "== unroll runs"
python -m pipeline runs --experiment lm/builtin --limit 5
echo
echo "== unroll generate --run $run --prompt 'the boys who' --num 3"
python -m pipeline generate --run "$run" --prompt "the boys who" --num 3
echo
python -c "from datamodules.language_model.builtin import perplexity_floor; print(f\"The grammar itself has a perplexity of {perplexity_floor():.2f}: no model can do better in the long run.\")"
echo
echo "== mlflow run . -e train -P config=configs/tagging/builtin-bilstm-crf.yaml (opinions, which need context on both sides)"
train tagging/builtin configs/tagging/builtin-bilstm-crf.yaml "_DSE\|_ESE\|precision\|recall"
echo
echo "== unroll predict --run $run --input - --as text"
python -m pipeline predict --run "$run" --input - --as text <<'TEXT'
Mr. Brown said on Monday that the plan was a disaster.
Mr. Brown said on Monday that the plan was a draft.
The reply was far from perfect, and she flew far from Cairo.
TEXT
echo
echo "== mlflow run . -e train -P config=configs/sentiment/builtin-dan.yaml (reviews by averages of words, which cannot see their order)"
train sentiment/builtin configs/sentiment/builtin-dan.yaml "_negative\|_positive"
echo
echo "== mlflow run . -e train -P config=configs/sentiment/builtin-bilstm.yaml (the same reviews by a recurrent network)"
train sentiment/builtin configs/sentiment/builtin-bilstm.yaml "_negative\|_positive"
echo
echo "== unroll runs --experiment sentiment/builtin"
python -m pipeline runs --experiment sentiment/builtin --limit 2
echo
echo "== unroll predict --run $run --input - --as text --explain leave-one-out"
python -m pipeline predict --run "$run" --input - --as text --explain leave-one-out <<'TEXT'
The music, which was loud, was not brilliant.
The music, which was not loud, was brilliant.
The plot was brilliant, but the music was dull.
TEXT
echo
echo "Compare runs in the browser:  .venv/bin/mlflow ui  (then http://localhost:5000, \"Model training\")"
