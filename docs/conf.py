"""Configuration of the documentation site, which `make docs` builds in `docs/_build/html`."""

import inspect
from typing import Any

from sphinx.application import Sphinx

project = "Unroll"
html_title = "Unroll"
html_show_copyright = False
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Docstrings are in the Google style; a single backtick is code, and a link where the name is known.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autosummary_ignore_module_all = False  # a package with `__all__` is one page
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False  # no methods that only torch or Lightning document
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"


def setup(app: Sphinx) -> None:
    """Leaves out methods that only refer to the docstring of their base class."""
    app.connect("autodoc-skip-member", _skip_reference)


def _skip_reference(*event: Any) -> bool | None:  # noqa: ANN401 (arguments of the event)
    member = event[3]
    return True if (inspect.getdoc(member) or "").startswith("See `") else None
