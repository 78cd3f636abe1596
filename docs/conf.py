"""How Sphinx builds these pages: `make docs`, or `sphinx-build -W docs docs/_build/html`."""

import re
from pathlib import Path

from sphinx.application import Sphinx

from geocell import __version__

PAGES = Path(__file__).parent

project = "geocell"
author = "The geocell maintainers"
project_copyright = "The geocell maintainers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "notebooks"]
suppress_warnings = [
    "myst.xref_missing",  # links from a page to files of the repository outside of docs/ are right on its host
    "myst.header",  # pages that are included begin below the first level
]

highlight_language = "sh"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# What a name of the package is called is what users import, whatever module defines it.
autodoc_default_options = {"members": True, "member-order": "bysource", "show-inheritance": False}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # types stand at the members
autodoc_typehints_format = "short"
default_role = "code"  # docstrings write names as `name`

html_theme = "furo"
html_title = f"geocell {__version__}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = "$ "


def write_commands(_: object) -> None:
    """Write the page of all commands and their flags, from the commands themselves."""
    from geocell.cli.app import build_app

    text = build_app().generate_docs(output_format="markdown", recursive=True)
    text = re.sub(r"## Table of Contents\n.*?(?=\*\*Start\*\*)", "", text, count=1, flags=re.DOTALL)
    text = text.replace("# geocell", "# Commands", 1)
    PAGES.joinpath("reference", "commands.md").write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Connect what this configuration adds."""
    app.connect("builder-inited", write_commands)
