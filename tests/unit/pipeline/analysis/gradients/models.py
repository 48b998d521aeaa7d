"""Tasks of a few numbers, and batches for them."""

import torch

from pipeline.batches import Sentences, StreamWindow, Texts
from pipeline.decoders import Softmax
from pipeline.pooling import Last
from pipeline.text.lexicon import Labels, Lexicon
from tasks.language_model import LanguageModel
from tasks.sentiment import SentenceClassifier
from tasks.tagging import Tagger
from tests.examples import vocabulary

TAGS = ("O", "B-a", "I-a")


def lexicon(size):
    return Lexicon({f"w{index}": 1 for index in range(size)}, {})


def language_model(encoder, **settings):
    torch.manual_seed(1)
    return LanguageModel(
        encoder, vocabulary=vocabulary(9), embedding_scale=1.0, **settings
    ).double()


def tagger(encoder, decoder=Softmax):
    torch.manual_seed(1)
    return Tagger(encoder, lexicon(9), TAGS, decoder=decoder).double()


def classifier(encoder, pooling=None):
    torch.manual_seed(1)
    labels = Labels(("bad", "good"), (3, 3), False)
    return SentenceClassifier(encoder, lexicon(9), labels, pooling=pooling or Last()).double()


def window(rows=3, time=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(9, (rows, time + 1), generator=generator)
    return StreamWindow(ids[:, :-1], ids[:, 1:], float(rows * time))


def sentences(lengths=(6, 4, 1), seed=0):
    generator = torch.Generator().manual_seed(seed)
    time = max(lengths)
    words = torch.randint(3, 7, (len(lengths), time), generator=generator)
    tags = torch.randint(3, (len(lengths), time), generator=generator)
    columns = torch.zeros(len(lengths), time, 0, dtype=torch.long)
    held = torch.tensor(lengths)
    padding = torch.arange(time) >= held.unsqueeze(1)
    rows = torch.arange(len(lengths))
    return Sentences(
        words.masked_fill(padding, 0), columns, tags.masked_fill(padding, -100), held, rows, 1.0
    )


def texts(lengths=(6, 4, 1), seed=0):
    words, columns, _, held, rows, _ = sentences(lengths, seed)
    return Texts(words, columns, torch.tensor([1, 0, 1][: len(lengths)]), held, rows, 3.0, 11.0)
