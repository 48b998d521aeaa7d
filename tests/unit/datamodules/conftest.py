import pytest


@pytest.fixture(autouse=True)
def _empty_cache(cache):
    """Each test has an empty cache."""


@pytest.fixture
def write_corpus(tmp_path):
    """Writes a folder of train, valid and test text; bytes or strings."""

    def write(train="a b c\n", valid="a b\n", test="a\n", name="corpus"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for split, text in (("train", train), ("valid", valid), ("test", test)):
            data = text if isinstance(text, bytes) else text.encode()
            (folder / f"{split}.txt").write_bytes(data)
        return folder

    return write
