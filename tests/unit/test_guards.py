"""Functions that can execute or delete what a file names are called in guarded modules only."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("pipeline", "datamodules", "tasks")
GUARDS = {
    "torch.load": {"pipeline/checkpoints/contents.py"},
    "np.load": {"pipeline/cache.py"},
    "yaml.load": {"pipeline/preflight/values.py"},
    "shutil.rmtree": {"pipeline/tracking/copies.py", "pipeline/cache.py"},
}
"""Modules that may call a function, which is recognised by its last name."""
NEVER = ("pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle")
UNSAFE = (
    "unsafe_load",
    "full_load",
    "load_from_checkpoint",
    "eval",
    "exec",
    "system",
    "extractall",
)


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    """Calls in a file, with the dotted name of the function after its imports are resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.asname or a.name: a.name for a in node.names}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            found.append((".".join(filter(None, [names.get(first, first), rest])), node))
    return found


def sources() -> dict[str, list[tuple[str, ast.Call]]]:
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    assert len(paths) > 200
    return {path.relative_to(ROOT).as_posix(): calls(path) for path in paths}


def test_each_loader_is_called_in_its_guards_only():
    found = {name: set() for name in GUARDS}
    for path, made in sources().items():
        for name, _ in made:
            short = name.replace("numpy.", "np.")
            if short in found:
                found[short].add(path)
    assert found == GUARDS


def test_loaders_load_no_objects():
    for path, made in sources().items():
        for name, call in made:
            options = {k.arg: ast.unparse(k.value) for k in call.keywords}
            assert options.get("allow_pickle", "False") == "False", path
            if name == "torch.load":
                assert options["weights_only"] == "True", path
            if name == "yaml.load":
                assert ast.unparse(call.args[1]) == "Loader", path


def test_nothing_unpickles_or_evaluates():
    for path, made in sources().items():
        for name, call in made:
            first, last = name.split(".")[0], name.split(".")[-1]
            assert first not in NEVER, f"{path}:{call.lineno}"
            is_method_of_ours = last in ("eval", "extractall") and "." in name
            assert last not in UNSAFE or is_method_of_ours, f"{path}:{call.lineno}"
