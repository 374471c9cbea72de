"""What the built-in monitors and the kernel say of a target can be said in every language."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import catalogues
from defib_alerts import samples

ROOT = catalogues.ROOT
FOLDERS = ("plugins/defib_plugins", "orchestrator/defib/rules", "orchestrator/defib/engine")
FILES = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
MAKERS = {"ok": 0, "degraded": 1, "fail": 1, "inconclusive": 1}
"""Which argument of each constructor of Evidence is its summary …"""
OWN_MAKERS = {"fail": 1, "_fail": 1, "degrade": 1, "starting": 0}
"""… and of what monitors have made of them."""


def untranslatable(file: Path) -> Iterator[str]:
    """Summaries that are put together without saying of what: written out there, or under a name of that function."""
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        summaries = [summary for node in ast.walk(function) if (summary := summary_of(node)) is not None]
        names = {summary.id for summary in summaries if isinstance(summary, ast.Name)}
        named = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} & names
        ]
        yield from (f"{file.name}:{node.lineno}" for node in (*summaries, *named) if is_bare(node))


def summary_of(node: ast.AST) -> ast.expr | None:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="Evidence"), attr=name), args=args):
            place = MAKERS.get(name)
        case ast.Call(func=ast.Name(id=name), args=args):
            place = OWN_MAKERS.get(name)
        case _:
            return None
    return None if place is None or len(args) <= place else args[place]


def is_bare(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr():
            return True
        case ast.Constant(value=str(text)):
            return " " in text
        case ast.IfExp(body=body, orelse=orelse):
            return is_bare(body) or is_bare(orelse)
        case ast.BinOp(left=left, right=right):
            return is_bare(left) or is_bare(right)
        case _:
            return False


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_summary_of_evidence_knows_what_it_is_made_of(file: Path) -> None:
    assert list(untranslatable(file)) == []


def test_a_bare_summary_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "bare.py"
    file.write_text(
        "def probe(name):\n"
        "    words = f'{name} is gone'\n"
        "    if name:\n"
        "        return Evidence.fail('gone', words)\n"
        "    return Evidence.ok('all is well')\n"
    )

    assert sorted(untranslatable(file)) == ["bare.py:2", "bare.py:5"]


def test_the_samples_say_what_monitors_say() -> None:
    known = {
        message.id
        for package in catalogues.PACKAGES
        for message in catalogues.extracted(package)
        if message.id
    }
    said = {
        node.args[0].value
        for node in ast.walk(ast.parse(Path(samples.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("_said", "_own")
        and isinstance(node.args[0], ast.Constant)
    }

    assert len(said) > 10
    assert said - known == set()
