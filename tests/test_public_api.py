"""Every public name is listed, importable and documented: parameters, returns, errors, an example."""

import ast
import importlib
import inspect
import textwrap

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import skllmrec


def public_names(module):
    """`__all__`, or in a file that is public as a whole every name without an underscore."""
    return list(getattr(module, "__all__", None) or sorted(name for name in vars(module) if name[0] != "_"))


# numpydoc's codes: docstring, order of sections, summary, parameters as in the signature with type and text
CODES = {"GL07", "GL08", "SS01", "SS06", "PR01", "PR02", "PR03", "PR04", "PR07", "PR10", "RT01", "YD01"}
PACKAGES = {name: importlib.import_module(f"skllmrec.{name}") for name in skllmrec._PACKAGES}
PUBLIC = [f"skllmrec.{package}.{name}" for package, module in PACKAGES.items() for name in public_names(module)]
NOT_ALL_LISTED = {"base", "exceptions", "metrics", "testing"}  # tools for one's own recommenders stay in their package


def load(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def own_callables(path):
    """The public object at `path` and those of its public methods that this package defines, by path."""
    found = {path: load(path)}
    if inspect.isclass(found[path]):
        for name, member in inspect.getmembers(found[path]):
            function = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else None
            if not name.startswith("_") and getattr(function, "__module__", "").startswith("skllmrec."):
                found[f"{path}.{name}"] = function
    return found


def raises(function):
    """Whether the body of a function holds a `raise` that names an error."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def test_catalogue_is_sorted_and_lists_all():
    assert skllmrec.__all__ == sorted(skllmrec.__all__) == dir(skllmrec)
    assert set(skllmrec.__all__) == {*skllmrec._PUBLIC, *skllmrec._PACKAGES, "__version__"}
    for name in skllmrec.__all__:
        assert getattr(skllmrec, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        skllmrec.Nonsense  # noqa: B018 - the access is the test


@pytest.mark.parametrize("package", PACKAGES)
def test_catalogue_agrees_with_package(package):
    module = PACKAGES[package]
    assert module.__doc__
    assert public_names(module) == sorted(public_names(module))
    listed = {name for name, home in skllmrec._PUBLIC.items() if home == package}
    assert listed <= set(public_names(module))
    if package not in NOT_ALL_LISTED:
        assert listed == set(public_names(module)), (
            "the catalogue in skllmrec/__init__.py lists every name of this package"
        )


@pytest.mark.parametrize("path", PUBLIC)
def test_public_object_is_documented(path):
    problems = []
    for where, function in own_callables(path).items():
        found = [error for error in validate(where)["errors"] if error[0] in CODES]
        problems += [f"{where}: {code} {text}" for code, text in found]
        documented = get_doc_object(function)["Raises"]
        if not inspect.isclass(function) and raises(function) and not documented:
            problems.append(f"{where}: raises an error that its docstring does not name")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", PUBLIC)
def test_public_object_has_an_example(path):
    obj = load(path)
    if inspect.isclass(obj) and issubclass(obj, Exception):
        return
    assert ">>> " in "\n".join(get_doc_object(obj)["Examples"]), f"{path} has no example that runs"


def unannotated(path):
    """Paths of what is public at `path` and lacks the type of a parameter or of what it returns."""
    found = own_callables(path)
    for where, obj in list(found.items()):
        if inspect.isclass(obj):
            del found[where]
            if "__init__" in vars(obj):
                found[f"{where}.__init__"] = inspect.unwrap(vars(obj)["__init__"])
    for where, function in found.items():
        signature = inspect.signature(function)
        parameters = [p for name, p in signature.parameters.items() if name not in ("self", "cls")]
        lacking = [parameter.name for parameter in parameters if parameter.annotation is parameter.empty]
        if signature.return_annotation is signature.empty:
            lacking.append("return")
        if lacking:
            yield f"{where}: {', '.join(lacking)}"


@pytest.mark.parametrize("path", PUBLIC)
def test_public_signatures_are_annotated(path):
    lacking = list(unannotated(path))
    assert not lacking, "without a type:\n" + "\n".join(lacking)


def test_a_table_of_users_or_items_has_one_name():
    named = {}
    for path in PUBLIC:
        for where, function in own_callables(path).items():
            for names, kind, _ in get_doc_object(function)["Parameters"]:
                if "FeatureTable" in kind:
                    named |= {(where, name): kind for name in names.split(", ")}
    others = {name for _, name in named} - {"user_table", "item_table"}
    assert others <= {"item_vectors", "item_classes", "user_groups"}, "what metrics read has names of its own"
    assert ("skllmrec.preprocessing.describe_data", "item_table") in named
    assert ("skllmrec.base.BaseRecommender.fit", "user_table") in named
    with pytest.raises(TypeError, match="unexpected keyword argument 'items'"):
        skllmrec.describe_data([[1, 1]], items=None)
