#!/bin/sh
# `make demo`: trains four small models through MLflow and shows what they predict.
set -eu

# Trains configuration $2 in experiment $1, hides output that matches $3, and sets $run to the run's id.
train() {
    log=$(mktemp)
    mlflow run . -e train --env-manager local --experiment-name "$1" -P "config=$2" | tee "$log" | grep -v "$3"
    run=$(sed -n 's/^run \([0-9a-f]*\) .*/\1/p' "$log" | tail -n 1)
    rm -f "$log"
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
python -c "from datamodules.language_model.builtin import perplexity_floor; print(f\"The grammar has a perplexity of {perplexity_floor():.2f}; on enough text no model can do better.\")"
echo
echo "== mlflow run . -e train -P config=configs/tagging/builtin-bilstm-crf.yaml (a tagger of opinions, which need context on both sides)"
train tagging/builtin configs/tagging/builtin-bilstm-crf.yaml "_DSE\|_ESE\|precision\|recall"
echo
echo "== unroll predict --run $run --input - --as text"
python -m pipeline predict --run "$run" --input - --as text <<'TEXT'
Mr. Brown said on Monday that the plan was a disaster.
Mr. Brown said on Monday that the plan was a draft.
The reply was far from perfect, and she flew far from Cairo.
TEXT
echo
echo "== mlflow run . -e train -P config=configs/sentiment/builtin-dan.yaml (a classifier that averages word vectors and ignores word order)"
train sentiment/builtin configs/sentiment/builtin-dan.yaml "_negative\|_positive"
echo
echo "== mlflow run . -e train -P config=configs/sentiment/builtin-bilstm.yaml (a recurrent network on the same reviews)"
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
