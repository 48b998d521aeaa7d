"""Limits of YAML that a parser would take minutes or all RAM for."""

import yaml

from pipeline.errors import InputError

MOST_LEVELS = 100
"""Maximum depth of nested lists and mappings; ours have about 12 levels."""

MOST_NODES = 100_000
"""Maximum number of values, with those that aliases repeat; ours have about 200."""


def refuse_bombs(text: str, where: str) -> None:
    """Raises `InputError` for YAML that is nested too deeply or grows too much by its aliases.

    Events of a parser are read one by one, so that nothing is built before it is known to be small.
    Text that is not YAML is left to the reader. `where` names the file or flag.
    """
    sizes, names, known = [0], [""], dict[str | None, int]()
    try:
        for event in yaml.parse(text, yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                sizes.append(1)
                names.append(event.anchor or "")
            elif isinstance(event, yaml.CollectionEndEvent):
                size, name = sizes.pop(), names.pop()
                known[name] = size
                sizes[-1] += size
            elif isinstance(event, yaml.AliasEvent):
                sizes[-1] += known.get(event.anchor, 1)
            elif isinstance(event, yaml.ScalarEvent):
                sizes[-1] += 1
            if len(sizes) > MOST_LEVELS or sum(sizes) > MOST_NODES:
                line = 0 if event.start_mark is None else event.start_mark.line
                raise InputError(_message(f"{where} line {line + 1}", len(sizes) > MOST_LEVELS))
    except yaml.YAMLError:
        return


def _message(place: str, is_deep: bool) -> str:
    problem = (
        f"lists and mappings are nested in more than {MOST_LEVELS} levels"
        if is_deep
        else f"there are more than {MOST_NODES:,} values, counting those that aliases repeat"
    )
    return f"{place}: {problem}; write a smaller value"
