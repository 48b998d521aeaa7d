"""Verified downloads with progress bar, retries and resumption."""

import logging
from pathlib import Path
from typing import Any

from pipeline.console import progress_bar
from pipeline.errors import InputError

_RETRIES = 3
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two packets
_BLOCK = 1 << 14  # bytes; the block in which a connection breaks is downloaded again


def fetch(url: str, path: Path, digest: str, hint: str) -> Path:
    """Downloads a file to `path`, which is returned.

    After a failure, the partial file stays next to `path`; the next attempt resumes it if the
    server supports this. The digest is "sha256:...", "md5:...", or "" to skip verification. Raises
    `InputError` if the address cannot be reached or delivers another file; it suggests the command
    `hint`.
    """
    import pooch.core  # imported late: not needed if the corpus exists already
    import requests

    pooch.utils.get_logger().setLevel(logging.WARNING)
    known, address = {path.name: digest or None}, {path.name: url}
    registry = pooch.core.create(path.parent, "", registry=known, urls=address)
    registry.retry_if_failed = _RETRIES
    try:
        registry.fetch(path.name, downloader=_download)
    except requests.exceptions.RequestException as error:
        raise InputError(
            f"cannot download {url} ({_reason(error)}); try again, or download it manually and run"
            f" `{hint}`"
        ) from error
    except ValueError as error:
        raise InputError(
            f"{url} did not deliver the expected contents ({digest}) in {_RETRIES + 1} attempts;"
            f" try again later, or get the file elsewhere and run `{hint}`"
        ) from error
    return path


def _reason(error: Any) -> str:  # noqa: ANN401 - requests is imported late
    """Returns a short description of a request error."""
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    return type(error).__name__


def _download(url: str, output_file: str, _registry: Any) -> None:  # noqa: ANN401 - pooch's protocol
    """Downloads a URL to `output_file`, resuming a partial download."""
    import requests

    final = Path(output_file)
    partial = final.with_name(f"{url.rsplit('/', 1)[-1]}.partial")
    done = partial.stat().st_size if partial.exists() else 0
    # with gzip, the size of the partial file would not be the offset to resume from
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if done and response.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink()  # complete or longer than the file: start over
        response.raise_for_status()
        goes_on = response.status_code == requests.codes.partial_content
        _store(response, partial, done if goes_on else 0)
    partial.replace(final)


def _store(response: Any, partial: Path, done: int) -> None:  # noqa: ANN401 - requests is imported late
    total = int(response.headers.get("Content-Length", 0)) + done
    with (
        partial.open("ab" if done else "wb") as file,
        progress_bar(partial.stem, total or None, done, is_bytes=True) as advance,
    ):
        for block in response.iter_content(_BLOCK):
            file.write(block)
            advance(len(block))
