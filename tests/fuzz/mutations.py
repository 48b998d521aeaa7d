"""Random damage of files, the same for the same seed."""

from random import Random

PIECES = (
    b"",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\r",
    b"\t",
    b" ",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"\xe2\x80\xa8",
    b"\xc2\xa0",
    b"\xed\xa0\x80",
    b"(",
    b")",
    b"((((((((",
    b"[" * 300,
    b"{" * 300,
    b'"',
    b"'",
    b",",
    b":",
    b"|||",
    b"=",
    b"-1",
    b"0",
    b"1_0",
    b"nan",
    b"inf",
    b"1e400",
    b"99999999999",
    b"9" * 5000,
    b"null",
    b"true",
    b"[1]",
    b"{}",
    b"&a [*a]",
    b"!!python/object/apply:os.system [id]",
    b"w" * 3000,
    b"O",
    b"B-",
    b"<unk>",
    b"<s>",
    b"</s>",
    b"\\end\\",
    b"\\2-grams:",
    b"-DOCSTART-",
)
"""Text that readers may not expect."""


def damaged(content: bytes, random: Random) -> bytes:
    """Returns a copy of a file with one to four random changes."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(changed) + 1)
        end = min(len(changed), start + random.choice((0, 1, 1, 4, 30, 300)))
        match random.randrange(6):
            case 0:
                changed[start:end] = random.choice(PIECES)
            case 1:
                changed[start:start] = random.choice(PIECES)
            case 2 if start < len(changed):
                changed[start] ^= 1 << random.randrange(8)
            case 3:
                changed[start:start] = changed[start:end] * random.choice((1, 2, 20))
            case 4:
                del changed[start:end]
            case _:
                _change_field(changed, random)
    if random.random() < 0.1:
        del changed[random.randrange(len(changed) + 1) :]
    return bytes(changed)


def _change_field(content: bytearray, random: Random) -> None:
    """Replaces a whole word, so that the structure of the file stays as it is."""
    words = bytes(content).split(b" ")
    words[random.randrange(len(words))] = random.choice(PIECES)
    content[:] = b" ".join(words)
