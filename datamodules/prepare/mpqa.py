"""Preparation of MPQA: the release of Irsoy & Cardie, or a conversion of the original corpus."""

from pathlib import Path, PurePosixPath

from datamodules.prepare.archives import read_archive, verify_sha256, write_file
from datamodules.prepare.download import fetch
from datamodules.tagging.mpqa.released import SUBSET
from datamodules.tagging.mpqa.standoff import ANNOTATIONS
from pipeline.cache import sha256_of
from pipeline.errors import InputError

ARCHIVE = "mpqa-opexps.tar.gz"
_URL = (
    "https://raw.githubusercontent.com/user1634/deep-recurrent/"
    "9aaca16c5630639c8121b8fc9a08d7af4e53638b/" + ARCHIVE
)
_ARCHIVE_SHA256 = "7616544220c267cacc4d12d2e08a83ce7254b6d4fab6469623c02aced62976ba"
FILES = {
    "dse.txt": "c0e01a1e094d402cae132c1645b538f1c67c132a138cb5593300ce9bcb37ff91",
    "ese.txt": "61dfa8c4f5fb6511eb6ba66fb24f47ac30ecc9c92c44c370cebc1c7b0de15887",
    "sentenceid.txt": "894d352222a9a7c238542f61f7b9574ff65b87a95fe062c5f32b8fac31532f08",
    SUBSET: "9959d42ae5bdf2ebbe21b3d3b9050b2eff73d1a3a9cdeee68bd43ba92038b88b",
    "datasplit/filelist_train0": "23e0c3ebf6a850002d73b8b344c3a89b46cf1378cb9cd6f96d2c7d14c09fdad8",
    "datasplit/filelist_train1": "f8556e602597a7435c01e6a25661a464fa043d2e61d0e17053c06e8f3cfe7670",
    "datasplit/filelist_train2": "2131286f27823d02a4b0acd1072f526edf040f8d2c42bd9e901f15982a57ec40",
    "datasplit/filelist_train3": "d68410d31d428040852f705edaf15007748fc6af759414b578e2c8816238b1b4",
    "datasplit/filelist_train4": "e48198b92ad1aa9fe2c71895cf201a9d0b12166d55be5536a39efbef2bb08a9a",
    "datasplit/filelist_train5": "2d26b1db151bc3eee43a6428c538912962ad48233bca927b986f6baa805e89b2",
    "datasplit/filelist_train6": "5784d4709b770c3df2dbc0f77024672b0a9adcb3aa13c86126e7b11ea0aca4ae",
    "datasplit/filelist_train7": "e6e93ba01eec9cd0aa8c32724ef76f5a37cfb792cc6d641fb4068355ca961b4a",
    "datasplit/filelist_train8": "f67cdc41ab19437cb6e0c9cd0d967c12cdf0205209b5e434240b625ebf5223c8",
    "datasplit/filelist_train9": "1307be75b0eb5fbe9ed81072666a24d43fa34f5f1d6ac6108ab474c77243d77d",
    "datasplit/filelist_test0": "059d4591480c0f61968161414411e414c876e7e516ef3801de014a5c9967d552",
    "datasplit/filelist_test1": "1acb16af9e55a917e57a68c22d31ef2a08a6d4833903af23ebe6920ef460eb96",
    "datasplit/filelist_test2": "22712bad5fcb24ad0c2e62ced84a317aa2c045072669ac8ef8008bcaf15f1552",
    "datasplit/filelist_test3": "b10a7920324b15a3a416445cd492c78e28aa8218eca7108030b7b38cc2ee9dac",
    "datasplit/filelist_test4": "22830f86e7dfd58c4bcf36c1436b74d8e390643bf3322fe067225b1ce3e9c6b0",
    "datasplit/filelist_test5": "fbfae53619b5efae73b8c88481f6e247861682e2c166e0c86bc7b9a5ebded745",
    "datasplit/filelist_test6": "e0c50b82ea8957eac345830e082900826c93d313ac345b7635958ec44617644a",
    "datasplit/filelist_test7": "b51abb5c57e585b2913909e90a3dd01fe98ac7a61a91d54cc8d44959e0f73bd0",
    "datasplit/filelist_test8": "0f1be1c31e86a4db9af7f9314650dc50ad76beb62e04ce306a64a97ef4c47cfb",
    "datasplit/filelist_test9": "f5cb4c741ee9b2113032b90e875cddd653cc6b3dc3e2aca43bafcee890e42110",
}
"""Files of the release: name in the folder of the corpus -> SHA-256."""


def prepare_mpqa(source: Path | None, destination: Path) -> tuple[str, ...]:
    """Writes the verified release of Irsoy & Cardie to a folder, or converts the original corpus.

    `source` is a folder of the release or of its archive, or an unpacked MPQA 1.2 or 2.0 to
    convert; None downloads the archive. Existing files are kept. Returns lines for printing. Raises
    `InputError` if a file is not available or differs from the published one, or if the conversion
    fails.
    """
    if source is not None and (source / ANNOTATIONS).is_dir():
        from datamodules.tagging.mpqa.original import convert  # loads NLTK, which takes seconds

        return tuple(str(convert(source, destination)).split("\n")[1:])
    existing = [name for name in FILES if (destination / name).exists()]
    for name in existing:
        path = destination / name
        advice = "move the folder away and run `unroll prepare mpqa` again"
        verify_sha256(path.read_bytes(), FILES[name], path, advice)
    missing = [name for name in FILES if name not in existing]
    how = "copied" if source else "downloaded"
    if missing:
        contents = _contents(source, destination)
        for name in missing:
            write_file(contents[name], destination / name)
    return tuple(
        f"  {name:<36} {how if name in missing else 'already there':<13}  sha256 verified"
        for name in FILES
    )


def _contents(source: Path | None, destination: Path) -> dict[str, bytes]:
    """Returns the verified contents of the files of the release."""
    if source is not None and not (source / ARCHIVE).is_file():
        return _read_folder(source)
    if source is not None:
        archive = source / ARCHIVE
        if sha256_of(archive) != _ARCHIVE_SHA256:
            raise InputError(
                f"{archive} is not the published archive: its sha256 is not {_ARCHIVE_SHA256};"
                " download it again"
            )
        return _read_release(archive)
    archive = destination / ".downloads" / ARCHIVE
    fetch(_URL, archive, f"sha256:{_ARCHIVE_SHA256}", "unroll prepare mpqa --from DIR")
    contents = _read_release(archive)
    archive.unlink()
    return contents


def _read_folder(folder: Path) -> dict[str, bytes]:
    contents = {}
    for name in FILES:
        path = folder / name
        if not path.is_file():
            raise InputError(
                f"no file {path}; a folder with the files of the release, with {ARCHIVE}, or with"
                f" the folders {ANNOTATIONS} and docs of MPQA 1.2 or 2.0 is expected"
            )
        contents[name] = path.read_bytes()
        verify_sha256(contents[name], FILES[name], path, "use the folder of the release")
    return contents


def _read_release(archive: Path) -> dict[str, bytes]:
    known = {PurePosixPath(name).name: name for name in FILES}
    members = read_archive(archive, lambda path: path.name in known)
    contents = {known[path.name]: data for path, data in members}
    for name in FILES:
        if name not in contents:
            raise InputError(f"{archive} does not contain {name}; download the archive again")
        where = f"{name} in {archive}"
        verify_sha256(contents[name], FILES[name], where, "download the archive again")
    return contents
