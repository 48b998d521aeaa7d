"""Removes passwords, tokens and keys from everything that is stored or printed."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

REMOVED = "***"
"""What a secret is replaced by."""

_MIN_LENGTH = 8  # of values that are removed wherever they occur; shorter ones may be plain words
_KEY = re.compile(
    r"(\w+_)?(passw(or)?d|passphrase|pwd|secret|credentials?|(api|access|secret|private)_?key"
    r"|(access|api|auth|bearer|github|hf|refresh|security|session|tracking)_?token)|token"
)
_USER = re.compile(r"(?<=://)\S*@")
_QUERY = re.compile(r"(?<=[?&])([\w.-]+)=([^&\s\"#]*)")
_PAIR = re.compile(
    r"(?P<key>[\w.-]*\w)(?P<middle>[\"']?\s*[=:]\s*)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|(?<==)[^\s&\"']+|(?![{\[])[^\s,;&\])}]+)"
)
_VALUES = re.compile(
    r"\b(?:gh[oprsu]_\w{20,}|github_pat_\w{20,}|hf_\w{20,}|sk-[\w-]{20,}|xox[a-z]-[\w-]{10,}"
    r"|glpat-[\w-]{20,}|dapi[0-9a-f]{32}|(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def redact(text: str) -> str:
    """Returns a text in which each secret is replaced by `***`.

    These are secrets: user and password in an address, up to its last `@`; values of keys such as
    `password`, `api_key` or `token`, in queries of addresses, flags, YAML and JSON; keys in the
    formats of well-known services; and the values of environment variables that are secrets.

    Example:
        >>> redact("cannot reach http://ann:p/w@rd@example.org/?token=abc&page=2")
        'cannot reach http://***@example.org/?token=***&page=2'
    """
    for secret in _in_environment():
        text = text.replace(secret, REMOVED)
    text = _USER.sub(f"{REMOVED}@", text)
    text = _QUERY.sub(_without_queried, text)
    text = _VALUES.sub(REMOVED, text)
    return _PAIR.sub(_without_value, text)


def redact_address(address: str) -> str:
    """Returns an address without secrets, even if its password contains spaces.

    Example:
        >>> redact_address("postgresql://ann:a b@example.org/runs")
        'postgresql://***@example.org/runs'
    """
    return redact(re.sub(r"(?<=://).*@", f"{REMOVED}@", address, flags=re.DOTALL))


def redact_command(arguments: Sequence[str]) -> str:
    """Returns a command without secrets, quoted for a shell.

    Example:
        >>> redact_command(["unroll", "train", "--data.password", "a b", "--data.api_key=a b"])
        "unroll train --data.password '***' '--data.api_key=***'"
    """
    words, flag = [], ""
    for word in arguments:
        key, equals, value = word.partition("=")
        named = word.startswith("--") and is_secret_key(key)
        if flag and not word.startswith("--"):
            words.append(REMOVED if _is_secret(flag, word) else redact(word))
        else:
            is_secret = named and equals and _is_secret(key, value)
            words.append(f"{key}={REMOVED}" if is_secret else redact(word))
        flag = key if named and not equals else ""
    return shlex.join(words)


def without_secrets(value: Any, key: str = "") -> Any:  # noqa: ANN401 (plain data of any type)
    """Returns a configuration, plain data, in which each secret is replaced by `***`.

    `key` is the name of the value.

    Example:
        >>> without_secrets({"size": 8, "token": "abc", "sources": ["http://ann:pw@host/a"]})
        {'size': 8, 'token': '***', 'sources': ['http://***@host/a']}
    """
    if isinstance(value, Mapping):
        return {name: without_secrets(each, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(each, key) for each in value]
    if _is_secret(key, value) and not isinstance(value, bool | None) and value != "":
        return REMOVED
    if not isinstance(value, str):
        return value
    return redact_address(value) if re.match(r"[\w+.-]+://", value) else redact(value)


def removed_keys(config: object, path: str = "") -> list[str]:
    """Returns the dotted names of the values from which `without_secrets` removes a secret."""
    if isinstance(config, Mapping):
        items = [(f"{path}.{key}".lstrip("."), value) for key, value in config.items()]
    elif isinstance(config, list | tuple):
        items = [(path, value) for value in config]
    else:
        kept = without_secrets(config, path)
        return [path] if kept != config or kept == REMOVED else []
    return [name for place, value in items for name in removed_keys(value, place)]


def is_secret_key(key: str) -> bool:
    """Returns whether the value of a key, flag or environment variable is a secret.

    Example:
        >>> [is_secret_key(key) for key in ("--data.api-key", "AWS_SECRET_ACCESS_KEY", "unk_token")]
        [True, True, False]
    """
    return _KEY.fullmatch(_last(key).replace("-", "_")) is not None


def _is_secret(key: str, value: object) -> bool:
    """Whether a value is a secret; a small number called "token" is a column of a file."""
    is_column = _last(key) == "token" and re.fullmatch(r"[\"']?-?\d{1,4}[\"']?", str(value))
    return is_secret_key(key) and not is_column


def _last(key: str) -> str:
    return key.lstrip("-").rpartition(".")[2].lower()


def _in_environment() -> Iterator[str]:
    """Yields the secrets in environment variables, longest first."""
    found = set()
    for name, value in os.environ.items():
        if is_secret_key(name) and name != "PWD":  # the current folder
            found.add(value)
        elif "://" in value and "@" in value:
            user = value.partition("://")[2].rpartition("@")[0]
            password = user.partition(":")[2] or user
            found |= {password, unquote(password)}
    return iter(sorted((one for one in found if len(one) >= _MIN_LENGTH), key=len, reverse=True))


def _without_queried(found: re.Match[str]) -> str:
    key = found[1]
    if found[2].startswith(REMOVED):
        return found[0]
    is_secret = is_secret_key(key) or key.lower() in ("key", "pass", "sig", "signature")
    return f"{key}={REMOVED}" if is_secret else found[0]


def _without_value(found: re.Match[str]) -> str:
    key, middle, value = found["key"], found["middle"], found["value"]
    # In a sentence "token:" is a word; as a key it is quoted, or has an equals sign.
    is_word = _last(key) == "token" and middle.strip() == ":"
    if is_word or not _is_secret(key, value) or value.startswith(("null", "None", REMOVED)):
        return found[0]
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
    return f"{key}{middle}{quote}{REMOVED}{quote}"
