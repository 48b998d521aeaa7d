#!/bin/sh
# `make demo`: what a newcomer sees first. Trains through MLflow, then shows what came of it.
set -eu
echo "== mlflow run . (configs/lm/builtin-lstm.yaml: an LSTM on the built-in grammar)"
said=$(mktemp)
mlflow run . --env-manager local --experiment-name lm/builtin | tee "$said"
run=$(sed -n 's/^run \([0-9a-f]*\) .*/\1/p' "$said" | tail -n 1)
rm -f "$said"
test -n "$run" || exit 1
echo
echo "== unroll runs"
python -m pipeline runs --experiment lm/builtin --limit 5
echo
echo "== unroll generate --run $run --prompt 'the boys who' --num 3"
python -m pipeline generate --run "$run" --prompt "the boys who" --num 3
echo
python -c "from datamodules.builtin import perplexity_floor; print(f\"The grammar itself has a perplexity of {perplexity_floor():.2f}: no model can do better in the long run.\")"
echo
echo "== mlflow run . -e train -P config=configs/tagging/builtin-bilstm-crf.yaml (opinions, which need context on both sides)"
said=$(mktemp)
mlflow run . -e train --env-manager local --experiment-name tagging/builtin -P config=configs/tagging/builtin-bilstm-crf.yaml | tee "$said" | grep -v "_DSE\|_ESE\|precision\|recall"
run=$(sed -n 's/^run \([0-9a-f]*\) .*/\1/p' "$said" | tail -n 1)
rm -f "$said"
test -n "$run" || exit 1
echo
echo "== unroll predict --run $run --input - --as text"
python -m pipeline predict --run "$run" --input - --as text <<'TEXT'
Mr. Brown said on Monday that the plan was a disaster.
Mr. Brown said on Monday that the plan was a draft.
The reply was far from perfect, and she flew far from Cairo.
TEXT
echo
echo "Compare runs in the browser:  .venv/bin/mlflow ui  (then open http://localhost:5000)"
