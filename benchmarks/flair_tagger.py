"""Measures flair on the sentences of `benchmarks/tagging_step.py`; runs where flair is installed.

    python benchmarks/flair_tagger.py FILE train
    python benchmarks/flair_tagger.py FILE predict

FILE is written by `benchmarks/tagging_step.py`. The network is that of the plain loop, with tanh
(flair has no relu) and without a CRF or a layer between vectors and network. "train" is the loop of
flair's trainer without its logs and evaluation, "predict" tokenizes lines of text and tags them in
flair's default batches. The printed number is the time in seconds after the warm-up.
"""

import argparse
import random
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

BATCH_SIZE, WARM_UP = 32, 20


def make_tagger(given: dict[str, Any]) -> Any:  # noqa: ANN401 (flair is not installed here)
    """Returns flair's tagger with the vectors of a file."""
    from flair.data import Dictionary
    from flair.embeddings import WordEmbeddings
    from flair.models import SequenceTagger

    words, vectors, sizes = given["words"], given["vectors"], given["sizes"]
    embeddings = WordEmbeddings(
        embeddings=None,
        vocab={word: index for index, word in enumerate(words)},
        embedding_length=vectors.shape[1],
    )
    with torch.no_grad():
        embeddings.embedding.weight[: len(vectors)] = vectors
    tags = Dictionary(add_unk=False)
    for tag in given["tags"]:
        tags.add_item(tag)
    return SequenceTagger(
        embeddings=embeddings,
        tag_dictionary=tags,
        tag_type="tag",
        tag_format="BIO",
        rnn_type={"elman": "RNN", "gru": "GRU", "lstm": "LSTM"}[given["encoder"]],
        hidden_size=sizes["hidden_size"],
        rnn_layers=sizes["num_layers"],
        use_crf=False,
        reproject_embeddings=False,
        word_dropout=0.0,
        locked_dropout=sizes["dropout"],
    )


def sentences(given: dict[str, Any], rows: list[tuple[torch.Tensor, torch.Tensor]]) -> list[Any]:
    """Returns flair's sentences with labelled spans."""
    from flair.data import Sentence

    words, tags = given["words"], given["tags"]
    found = []
    for ids, tag_ids in rows:
        sentence = Sentence([words[index] for index in ids.tolist()], use_tokenizer=False)
        names = [*(tags[index] for index in tag_ids.tolist()), "O"]
        start = None
        for place, name in enumerate(names):
            if start is not None and not name.startswith("I-"):
                sentence[start:place].add_label("tag", names[start][2:])
                start = None
            if start is None and name != "O":
                start = place
        found.append(sentence)
    return found


def train(given: dict[str, Any]) -> float:
    """Trains as the plain loop does and returns the seconds after the warm-up."""
    tagger = make_tagger(given)
    tagger.train()
    parameters = [one for one in tagger.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=0.001)
    parts = [sentences(given, rows) for rows in given["rows"]]
    start = 0.0
    for part in parts:
        start = time.perf_counter()
        random.shuffle(part)
        for first in range(0, len(part), BATCH_SIZE):
            batch = part[first : first + BATCH_SIZE]
            optimizer.zero_grad()
            loss, count = tagger.forward_loss(batch)
            (loss / count).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            for sentence in batch:
                sentence.clear_embeddings()
    return time.perf_counter() - start


def predict(given: dict[str, Any]) -> float:
    """Tokenizes and tags lines of text and returns the seconds after the warm-up."""
    from flair.data import Sentence

    tagger = make_tagger(given)
    start = 0.0
    for rows in given["rows"]:
        lines = [" ".join(given["words"][index] for index in ids.tolist()) for ids, _ in rows]
        start = time.perf_counter()
        tagger.predict([Sentence(line) for line in lines])
    return time.perf_counter() - start


def main() -> None:
    """Prints the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("work", choices=["train", "predict"])
    options = parser.parse_args()
    torch.manual_seed(1)
    given = torch.load(options.file)
    print({"train": train, "predict": predict}[options.work](given))


if __name__ == "__main__":
    main()
