"""The verbs of the command line and their options."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.cli.measuring import add_measuring_verbs
from pipeline.errors import InputError

_EPILOG = """\
examples:
  unroll prepare ptb                                   fetch and verify the Penn Treebank
  unroll train --config configs/lm/ptb-lstm-small.yaml train, then test the best checkpoint
  unroll train --config C --model.encoder=GRU --trainer.max_epochs=3
  unroll train --resume RUN                            go on after a kill
  unroll crossvalidate --config C                      train and test on each fold
  unroll runs                                          compare runs
  unroll generate --run RUN --prompt "the boys who"    sample text
  unroll score --run RUN --input sentences.txt         log-probabilities and perplexity
  unroll predict --run RUN --input reviews.txt         tag or classify text
  unroll parameters --config C                         count parameters, part by part
  unroll probe --run RUN                               agreement of verbs, by distance
  unroll gradients --run RUN                           see gradients vanish or explode

RUN is a run id, the beginning of one, or a run's name. `unroll VERB --help` tells more; `--debug`
shows the traceback of an error.
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, and that guesses no abbreviation."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (argparse makes the subparsers)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message} (see `{self.prog} --help`)")


def _model_source(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--run", metavar="RUN", help="a run: id, beginning of an id, or name")
    source.add_argument("--checkpoint", metavar="FILE", type=Path, help="a checkpoint file")


def _add_configuration(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="a configuration; several are laid over each other",
    )
    verb.add_argument("--resume", metavar="RUN", help="go on with a killed run, in the same run")


def _add_crossvalidate(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    text = "train and test on each fold of a corpus: a run a fold, and one that sums them up"
    verb = verbs.add_parser(
        "crossvalidate",
        help=text,
        description=f"{text}. Takes the flags of `train`. With --resume, folds that are finished "
        "stay as they are, and those that were killed go on.",
    )
    _add_configuration(verb)
    verb.add_argument(
        "--folds", type=int, help="how many (3 or more), for a corpus without folds of its own (10)"
    )
    verb.add_argument(
        "--jobs",
        type=int,
        help="trainings at the same time (a GPU each, else a core)",
    )


def _add_training_verbs(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    for name, text in (
        ("train", "fit, then test the best checkpoint: one run"),
        ("fit", "fit only"),
    ):
        verb = verbs.add_parser(
            name,
            help=text,
            description=f"{text}. Any field of a configuration is a flag: --trainer.max_epochs=3, "
            "--model.encoder=GRU, --model.encoder.hidden_size=650, --data.batch_size=10. "
            "Later files and flags override earlier ones; --print_config shows the result. Beside "
            "trainer, data and model: --seed_everything (1), --precision (auto), --run_name, "
            "--experiment (<task>/<corpus>), --checkpoint_every (200 updates).",
        )
        _add_configuration(verb)
    for name, text in (
        ("validate", "score the validation split with a trained model"),
        ("test", "score the test split with a trained model"),
        ("predict", "tag or classify text, or write what the model says of the test split"),
    ):
        verb = verbs.add_parser(
            name,
            help=text,
            description=f"{text}. Flags such as --data.eval_bptt=1 change how the corpus is read.",
        )
        _model_source(verb)
        if name == "predict":
            _add_prediction(verb)
        else:
            _add_dynamics(verb)


def _add_dynamics(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--dynamic",
        metavar="RATE",
        type=float,
        help="also score a language model that goes on learning from the text as it is scored "
        "(dynamic evaluation), at this rate, as .../perplexity_dynamic; tune it on validation",
    )
    verb.add_argument(
        "--dynamic-decay",
        type=float,
        default=0.0,
        help="how fast it returns to the trained weights (0: never)",
    )
    verb.add_argument(
        "--dynamic-steps", type=int, default=20, help="tokens between two updates (20)"
    )
    verb.add_argument(
        "--dynamic-rms",
        action="store_true",
        help="divide gradients by their root mean square in training (Krause et al. 2018)",
    )


def _add_prediction(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--output", metavar="FILE", type=Path, help="where to write (stdout)")
    verb.add_argument(
        "--input",
        metavar="FILE",
        action="append",
        default=[],
        help="text for a tagger or classifier, - for standard input (the test split)",
    )
    verb.add_argument(
        "--format",
        choices=("sentences", "documents", "tokens", "columns"),
        default="sentences",
        help="what the text is: a sentence a line; paragraphs; sentences cut into tokens with one "
        "space between them; a token a line, with the columns that the model reads (sentences). "
        "For a classifier: a text a line; a text a file; a text a line, cut into tokens",
    )
    verb.add_argument(
        "--as",
        dest="style",
        choices=("text", "jsonl", "conll"),
        help="how it is written (text in a terminal, else jsonl)",
    )
    verb.add_argument("--encoding", default="utf-8", help="of the text (utf-8)")
    verb.add_argument(
        "--explain",
        choices=("leave-one-out", "attention"),
        help="which words moved a classifier's decision, and how far",
    )


def _add_generate(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    text = "sample text from a trained model"
    verb = verbs.add_parser("generate", help=text, description=text)
    _model_source(verb)
    verb.add_argument("--prompt", default="", help="the text to go on from")
    verb.add_argument("--num", type=int, default=5, help="how many samples (5)")
    verb.add_argument("--length", type=int, default=100, help="at most so many new tokens (100)")
    verb.add_argument(
        "--temperature", type=float, default=1.0, help="0 is greedy; 1 is the model's own (1)"
    )
    verb.add_argument("--top-k", type=int, default=None, help="only the k likeliest tokens")
    verb.add_argument("--top-p", type=float, default=None, help="only the nucleus of this mass")
    verb.add_argument("--seed", type=int, default=1, help="the same seed gives the same text (1)")
    verb.add_argument("--lines", type=int, default=1, help="stop after so many line ends (1)")
    verb.add_argument(
        "--novel",
        metavar="FILE",
        type=Path,
        help="leave out what is a line of FILE (the list that was trained on), and repetitions",
    )
    verb.add_argument("--allow-unk", action="store_true", help="let <unk> be sampled")


def _add_score(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    text = "log-probability and perplexity of sentences, by a trained language model"
    verb = verbs.add_parser(
        "score",
        help=text,
        description=f"{text}. Reads a sentence a line, cut into words as the training text is (an "
        "empty line is a sentence of <eos> alone), and writes a line for each: the natural "
        "logarithm of its probability, its tokens (<eos> included), how many of them are unknown, "
        "its perplexity. Sums go to stderr.",
    )
    _model_source(verb)
    verb.add_argument(
        "--input",
        dest="source",
        metavar="FILE",
        default="-",
        help="UTF-8 text, gzipped or not (standard input)",
    )
    verb.add_argument("--output", metavar="FILE", type=Path, help="where to write (stdout)")
    verb.add_argument("--as", dest="style", choices=("tsv", "jsonl"), help="how to write (tsv)")
    verb.add_argument(
        "--tokens",
        action="store_true",
        help="write each token: line number, token, log-probability, known or unknown",
    )
    verb.add_argument(
        "--stream",
        action="store_true",
        help="carry the memory from line to line, as the perplexity of `unroll test` does; without "
        "it each sentence starts afresh",
    )
    verb.add_argument("--log10", action="store_true", help="write logarithms to the base 10")
    verb.add_argument(
        "--nbest",
        action="store_true",
        help="the lines are `ID ||| hypothesis [||| features ||| score]`: write each list again, "
        "our log-probability as the last feature, ordered by score + weight * log-probability",
    )
    verb.add_argument("--weight", type=float, help="with --nbest: of our log-probability (1)")
    verb.add_argument(
        "--best", action="store_true", help="with --nbest: only the winner of each list"
    )


def _add_gradients(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    text = "show how far gradients reach back through a model's recurrent layers"
    verb = verbs.add_parser(
        "gradients",
        help=text,
        description=f"{text}: a page of pictures, its numbers as JSON and CSV, and a short table. "
        "With --run they are also stored as artifacts of the run. The callback GradientMonitor "
        "does the same during training.",
    )
    _model_source(verb)
    text = "a model as training would begin with it; its fields are flags, as in `train`"
    verb.add_argument("--config", "-c", metavar="FILE", action="append", type=Path, help=text)
    verb.add_argument(
        "--split", choices=("train", "valid", "test"), default="valid", help="(valid)"
    )
    verb.add_argument("--rows", type=int, default=4, help="of which the mean is taken (4)")
    verb.add_argument("--lags", type=int, default=50, help="how many steps to go back (50)")
    text = "folder to write into (the run's, else gradients)"
    verb.add_argument("--output", metavar="DIR", type=Path, help=text)


def _add_export(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    text = "write an n-gram model in the ARPA format, which KenLM and SRILM read"
    verb = verbs.add_parser("export", help=text, description=text)
    _model_source(verb)
    verb.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help="a name that ends in .arpa, or in .arpa.gz to compress it",
    )


def _add_prepare_and_runs(verbs: "argparse._SubParsersAction[_Parser]") -> None:
    verb = verbs.add_parser("prepare", help="fetch (or copy) a corpus, verify it, put it in place")
    verb.add_argument("corpus", help="ptb, wikitext2, conll2000, conll2003, mpqa, sst, mr or imdb")
    verb.add_argument(
        "--from", dest="source", metavar="DIR", type=Path, help="take the files from DIR"
    )
    verb.add_argument(
        "--to", metavar="DIR", type=Path, help="folder of corpora ($UNROLL_DATA, else data)"
    )
    verb = verbs.add_parser("runs", help="a table of the runs, newest first")
    verb.add_argument("--experiment", help="only this experiment, as lm/ptb")
    verb.add_argument("--limit", type=int, default=20, help="at most so many (20)")
    verb.add_argument("--json", action="store_true", help="for programs")


def make_parser() -> _Parser:
    """Builds the parser of the command line; fields of a configuration are left over."""
    parser = _Parser(
        prog="unroll",
        description="Recurrent networks on text: trained with Lightning, tracked with MLflow.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)
    _add_training_verbs(verbs)
    _add_crossvalidate(verbs)
    _add_prepare_and_runs(verbs)
    _add_generate(verbs)
    _add_score(verbs)
    _add_export(verbs)
    add_measuring_verbs(verbs)
    _add_gradients(verbs)
    return parser
