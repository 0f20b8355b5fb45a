"""Sphinx configuration; the API pages are written from the catalogue of the package by reference.py."""

import inspect
import os
import re
import sys
from pathlib import Path
from typing import Any

# the examples train tiny models, which several threads slow down; set before numpy and torch are imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference  # noqa: E402 - a neighbour of this file
from docutils import nodes  # noqa: E402 - the same block of imports
from sphinx import addnodes  # noqa: E402 - the same block of imports

import skllmrec  # noqa: E402 - the same block of imports

project = "skllmrec"
author = "skllmrec developers"
copyright = f"2026, {author}"
version = release = skllmrec.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples"]  # the gallery is made of examples
templates_path = ["_templates"]
default_role = "py:obj"  # `fit` in a docstring: a link where the name is known, code where it is not

# References to our public names must resolve; other projects' inventories are not fetched, so theirs cannot.
nitpick_ignore_regex = [("py:.*", r"(?!skllmrec\b).*|.*\._.*")]

autosummary_generate = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

# Examples are run by the build, unless they have not changed since; one that fails ends it.
os.environ.setdefault("SKLLMREC_DATA_HOME", str(HERE / "_build" / "data"))  # of the models that they train
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "show_signature": False,
    "capture_repr": ("_repr_html_", "__repr__"),
    "ignore_repr_types": r"matplotlib|skllmrec\.inspection",
}

suppress_warnings = ["config.cache"]  # the configuration holds a pattern that Sphinx cannot pickle

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["code.css"]
html_title = f"skllmrec {release}"
html_show_sourcelink = False


def skip_inherited(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool:
    """Leave out methods that scikit-learn or Python define: they are documented there."""
    function = inspect.unwrap(getattr(obj, "fget", obj) or obj)
    owner = function if getattr(function, "__module__", None) else getattr(function, "__objclass__", None)
    return skip or not getattr(owner, "__module__", "skllmrec").startswith("skllmrec")


def quote_attributes(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Quote names such as n_features_in_ inside of shapes: reStructuredText takes the underscore for a link."""
    for i, line in enumerate(lines):
        before, mark, shape = line.partition("shape (")
        lines[i] = before + mark + re.sub(r"(?<![`\w.])([a-z]\w*_)(?!\w)", r"`\1`", shape)


def resolve_public_name(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Link `LLMTextEncoder` and `skllmrec.LLMTextEncoder.fit` to the package that holds the name."""
    python = env.domains.python_domain
    if "fallback" in node:  # a member without an entry of its own, such as an attribute: to its class
        return python.resolve_xref(env, node["refdoc"], app.builder, "obj", node["fallback"], node, contnode)
    name, _, member = node["reftarget"].removeprefix("skllmrec.").partition(".")
    if node.get("refdomain") != "py" or name not in skllmrec._PUBLIC:
        return None
    target = f"skllmrec.{skllmrec._PUBLIC[name]}.{name}" + (f".{member}" if member else "")
    return python.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], target, node, contnode)


def unlink_metrics(app: Any, doctree: Any) -> None:
    """Write NDCG@20 as text: docutils takes it for a mail address."""
    for node in list(doctree.findall(nodes.reference)):
        if re.fullmatch(r"mailto:\w+@(\d+|k)", node.get("refuri", "")):
            node.replace_self(nodes.Text(node.astext()))


def link_public_names(app: Any, doctree: Any) -> None:
    """Link `LLMTextEncoder(pooling="cls")` in README, guide and examples to the reference; titles stay as they are."""
    if app.env.docname.startswith("api/"):
        return  # docstrings link with the default role
    pages = {name: f"skllmrec.{package}.{name}" for package in reference.ORDER for name in reference.names_of(package)}
    for node in list(doctree.findall(nodes.literal)):
        written = re.match(r"(?:skllmrec\.(?:[a-z_]+\.)?)?(\w+)(\.\w+)?(?:\(.*\))?$", node.astext(), flags=re.DOTALL)
        if not written or written[1] not in pages or is_linked_or_title(node):
            continue
        page = pages[written[1]]
        options = {"refdomain": "py", "reftype": "obj", "refdoc": app.env.docname, "refexplicit": True}
        link = addnodes.pending_xref("", reftarget=page + (written[2] or ""), fallback=page, **options)
        node.replace_self(link)
        link += node


def is_linked_or_title(node: Any) -> bool:
    """Whether a node is in a link, or in a heading, which tables of contents repeat."""
    while node := node.parent:
        if isinstance(node, nodes.title | nodes.reference | addnodes.pending_xref):
            return True
    return False


def setup(app: Any) -> None:
    """Write the API reference before autosummary looks for it, and connect the functions above."""
    app.connect("config-inited", lambda app, config: reference.write(HERE / "api"))
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("autodoc-process-docstring", quote_attributes, priority=400)  # numpydoc has 500
    app.connect("doctree-read", unlink_metrics)
    app.connect("doctree-read", link_public_names)
    app.connect("missing-reference", resolve_public_name)
