"""An iterator that is always one step ahead."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


def ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Gives what an iterator gives; a thread gets the next item while this one is worked on.

    The thread does not keep the program from ending, though it may wait for input.

    Args:
        items: of any length; what it raises is raised here, in its turn.
    """
    coming: queue.Queue[tuple[str, object]] = queue.Queue(maxsize=1)

    def read() -> None:
        try:
            for item in items:
                coming.put(("item", item))
            coming.put(("end", None))
        except BaseException as error:  # whatever it is, it belongs to who asks
            coming.put(("error", error))

    threading.Thread(target=read, daemon=True, name="reader").start()
    while True:
        kind, value = coming.get()
        if kind == "item":
            yield value  # type: ignore[misc]  # an item, as put
        elif kind == "end":
            return
        else:
            raise value  # type: ignore[misc]  # an exception, as put
