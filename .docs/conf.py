"""The documentation site: ``sphinx-build -W .docs SITE``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import made_pages

import convergent

project = "convergent"
author = "The convergent developers"
copyright = author  # noqa: A001
version = release = convergent.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
]
templates_path = ["_templates"]
default_role = "py:obj"

# docstrings
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # numpydoc's sections have the types
add_module_names = False
numpydoc_show_class_members = False
numpydoc_use_plots = False

# pages and notebooks; these are kept with their outputs, which tests compare with new ones
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type"]

html_theme = "pydata_sphinx_theme"
html_title = "convergent"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "show_prev_next": False,
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"start": [], "index": []}

made_pages.write(HERE)
exclude_patterns = ["guide/command-line.md", "guide/data-sets.md"]  # parts of pages that are made
