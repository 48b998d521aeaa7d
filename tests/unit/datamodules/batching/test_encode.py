import torch

from datamodules.batching.buckets import BatchShare
from datamodules.batching.encode import EncodedSentences
from datamodules.batching.sentences import Sentence
from pipeline.batches import IGNORE_INDEX, UNSEEN_TAGS
from pipeline.text.lexicon import Lexicon

LEXICON = Lexicon({"a": 2, "b": 1, "c": 0}, {"pos": ("X", "Y")})
TAGS = ("O", "B-P", "I-P")
SENTENCES = [
    Sentence(("a", "b", "a"), ("B-P", "I-P", "O"), (("X", "Y", "X"),)),
    Sentence(("c",), ("O",), (("Z",),)),
    Sentence(("b", "c", "c"), ("B-R", "I-Q", "I-R"), (("Y", "Y", "Y"),)),
]


def test_a_batch_is_what_the_sentences_say():
    batch = EncodedSentences(SENTENCES, LEXICON, TAGS).batch(BatchShare([1, 0], 2, 4), 2)
    assert batch.words.tolist() == [[2, 0, 0], [0, 1, 0]]
    assert batch.columns.tolist() == [[[0], [0], [0]], [[1], [2], [1]]]  # Z is not in training
    assert batch.tags.tolist() == [[0, IGNORE_INDEX, IGNORE_INDEX], [1, 2, 0]]
    assert (batch.lengths.tolist(), batch.rows.tolist()) == ([1, 3], [1, 0])
    assert batch.targets_per_rank == 2.0


def test_tags_that_training_lacks_are_marked():
    batch = EncodedSentences(SENTENCES, LEXICON, TAGS).batch(BatchShare([2], 1, 1), 1)
    assert batch.tags.tolist() == [[UNSEEN_TAGS - 2, UNSEEN_TAGS - 1, UNSEEN_TAGS - 3]]


def test_no_rows_give_a_row_of_length_0():
    batch = EncodedSentences(SENTENCES, LEXICON, TAGS).batch(BatchShare([], 1, 1), 1)
    assert (batch.lengths.tolist(), batch.rows.tolist()) == ([0], [-1])
    assert batch.words.shape == batch.tags.shape == batch.columns.shape[:2] == (1, 1)
    assert batch.words.dtype == batch.tags.dtype == torch.int64
