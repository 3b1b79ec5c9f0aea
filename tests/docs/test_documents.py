"""README and docs: examples run and print what is shown, links lead somewhere, words are those of the glossary."""

import ast
import builtins
import importlib
import re
import shlex
import tomllib
from collections import Counter

import click
import pytest
import yaml
from document_blocks import DOCUMENTS, ROOT, blocks, examples, outputs, pictures
from field_tables import field_tables
from golden_svg import difference
from settings_page import settings_page

from autoqec.cli.main import cli
from autoqec.cli.reference import reference

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
PAGES = [path for path in DOCUMENTS if path.parent != ROOT]

#: What is said otherwise, see "Words" of the glossary. The second pattern takes out what is allowed.
REPLACED = {
    "mend": r"\bmend(s|ed|ing)?\b",
    "nursery": r"\bnurser(y|ies)\b",
    "rehearsal": r"\brehears\w*",
    "contest": r"\bcontests?\b",
    "duel": r"\bduels?\b",
    "bench (decoder set)": r"\bbench\b",
    "walls (layers)": r"\bwalls?\b",
    "something unforeseen": r"\bunforeseen\b",
    "take up": r"\b(take|takes|taken|taking|took) up\b",
    "gone on with": r"\b(go|goes|gone|going|went) on with\b",
}
ALLOWED = re.compile(
    r"autoqec\.\w+/\d|-?-?max[-_]wall|wall[- ]clock|nox -s bench|Formerly \*[^.;]*|bench \(speed", re.IGNORECASE
)


def shown(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("word", REPLACED)
def test_replaced_words_do_not_come_back(word):
    pages = [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "ARCHITECTURE.md"]
    texts = {shown(path): path.read_text() for path in pages} | {"--help": reference()}
    found = [
        f"{name}: {line.strip()}"
        for name, text in texts.items()
        for line in ALLOWED.sub("", text).splitlines()
        if re.search(REPLACED[word], line, re.IGNORECASE)
    ]
    assert found == [], "\n".join(found)


def test_the_glossary_is_in_order_and_says_each_word_once():
    terms = re.findall(r"^\*\*(.+?)\.\*\*", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    names = [re.sub(r"[^a-z]", "", term.partition("(")[0].lower()) for term in terms]
    assert names == sorted(names)
    assert max(Counter(names).values()) == 1
    wanted = """lab environment problem mechanism beliefs stage candidate run round baseline reference metrics verdict analysis
        claim note trailer attempt holdout eprocess front confirmed cell harmcell certificate ablation decoderset forkserver
        warmup layers headtohead comparison hint internalerror gate confidence complementarygap"""
    assert set(wanted.split()) <= set(names)


def test_the_tables_of_fields_are_the_models():
    """If this fails: python tests/docs/field_tables.py > docs/fields.md."""
    assert (ROOT / "docs/fields.md").read_text() == field_tables()


def test_the_page_of_settings_is_the_models():
    """If this fails: python tests/docs/settings_page.py > docs/settings.md."""
    assert (ROOT / "docs/settings.md").read_text() == settings_page()


def test_every_shell_example_says_whether_it_is_run():
    unsaid = [block.where for block in BLOCKS if block.language == "sh" and block.kind not in ("example", "not run")]
    assert unsaid == []


def _commands(body):
    """The `autoqec` command lines of a shell block, as lists of words."""
    for line in re.sub(r"\\\n", " ", body).splitlines():
        for part in re.split(r"&&|\||;(?=\s)", line.partition(" #")[0]):
            words = shlex.split(re.sub(r" [<>] .*", "", re.sub(r"<(\w+)>", r"\1", part)))
            if words[:1] == ["autoqec"]:
                yield words[1:]


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "not run"], ids=lambda block: block.where)
def test_commands_that_are_not_run_exist_with_their_options(block):
    for words in _commands(block.body):
        command, context = cli, click.Context(cli, info_name="autoqec")
        while isinstance(command, click.Group) and words and (child := command.get_command(context, words[0])):
            command, context, words = child, click.Context(child, info_name=words[0], parent=context), words[1:]
        assert command is not cli, words
        command.make_context(context.info_name, list(words), parent=context.parent)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=lambda block: block.where)
def test_python_examples_are_python_and_import_what_there_is(block):
    for node in ast.walk(ast.parse(block.body)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in ("autoqec", "autoqec_plugins"):
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def _python(document):
    """The Python examples of a document, which go on from one another."""
    return [block for block in blocks(document) if block.language == "python" and not block.kind]


def _defined(node):
    """The names that a part of a program defines."""
    match node:
        case (
            ast.Name(id=name, ctx=ast.Store())
            | ast.arg(arg=name)
            | ast.FunctionDef(name=name)
            | ast.ClassDef(name=name)
        ):
            return [name]
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    return []


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if _python(document)], ids=shown)
def test_python_examples_of_a_page_use_names_that_it_defines(document):
    """Whether they run takes longer to find out: `test_python_examples_run`."""
    nodes = [node for block in _python(document) for node in ast.walk(ast.parse(block.body))]
    defined = {"__name__", *vars(builtins), *(name for node in nodes for name in _defined(node))}
    assert [node.id for node in nodes if isinstance(node, ast.Name) and node.id not in defined] == []


def test_every_python_name_of_the_reference_is_there():
    page = (ROOT / "docs/python.md").read_text()
    sections = re.findall(r"^::: (\S+)\n((?:    .*\n)*)", page, re.MULTILINE)
    assert len(sections) > 10
    for name, options in sections:
        module = importlib.import_module(name)
        members = re.findall(r"\w+", options.partition("members:")[2])
        assert [member for member in members if not hasattr(module, member)] == [], name
    listed = set(re.findall(r"\w+", page))
    testing = importlib.import_module("autoqec.testing")
    assert {name for name in testing.__all__ if not name.isupper()} <= listed


@pytest.mark.slow
@pytest.mark.parametrize("document", [document for document in DOCUMENTS if _python(document)], ids=shown)
def test_python_examples_run(document, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "tests/sample_plugin"))
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "example"}
    for block in _python(document):
        exec(compile(block.body, block.where, "exec"), names)
    for name, value in list(names.items()):
        if name.startswith("test_"):
            value()


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language in ("toml", "yaml")], ids=lambda block: block.where)
def test_settings_and_environments_shown_can_be_read(block):
    assert tomllib.loads(block.body) if block.language == "toml" else yaml.safe_load(block.body)


def _same(document, folder, *, slow):
    for example, printed in outputs(document, folder, slow=slow):
        if not example.shows(printed):
            # The difference is shown by pytest, the rest is for who made the program's words better.
            assert example.output.body == printed, (
                f"{example.output.where} shows what the program no longer prints; if what it prints now is right:"
                f" python tests/docs/document_blocks.py {shown(document)}"
            )


def _with_examples(*, slow):
    return [d for d in DOCUMENTS if any(example.slow == slow for example in examples(d))]


@pytest.mark.parametrize("document", _with_examples(slow=False), ids=shown)
def test_what_the_documents_show_is_what_the_program_prints_and_draws(document, tmp_path):
    """If a picture differs: python tests/docs/document_blocks.py DOCUMENT, and look at it."""
    _same(document, tmp_path, slow=False)
    for picture in pictures(document):
        assert difference(picture.drawn(tmp_path), picture.file.read_text()) is None, picture.file.name


@pytest.mark.slow
@pytest.mark.parametrize("document", _with_examples(slow=True), ids=shown)
def test_examples_that_take_longer_run_too(document, tmp_path):
    _same(document, tmp_path, slow=True)


def test_the_readme_has_three_pictures_of_the_recorded_lab():
    assert [(picture.lab, picture.chart) for picture in pictures(ROOT / "README.md")] == [
        ("recorded", "climb"),
        ("recorded", "front"),
        ("recorded", "rates"),
    ]


def _anchors(path):
    """The anchors that the site gives to the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = Counter()
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
        slug = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())
        found[slug if slug not in found else f"{slug}_{found[slug]}"] += 1
    return set(found)


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "ARCHITECTURE.md"], ids=shown)
def test_links_lead_to_pages_and_headings(document):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target, _, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#?)([^)\s]*)\)", text):
        page = (document.parent / target).resolve() if target else document
        assert page.exists(), target
        assert not anchor or anchor in _anchors(page), f"{target}#{anchor}"
        assert document.parent == ROOT or (ROOT / "docs") in page.parents, f"{target} is not a page of the site"


def test_the_site_has_every_page_once():
    class Loader(yaml.SafeLoader):
        """Reads `!!python/name:` and the like as nothing."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)

    def pages(item):
        if isinstance(item, str):
            yield item
        for value in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
            yield from pages(value)

    nav = list(pages(yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]))
    there = sorted(path.relative_to(ROOT / "docs").as_posix() for path in PAGES)
    assert sorted(nav) == there, "list each page of docs/ once in nav of mkdocs.yml"


def test_every_code_block_of_the_readme_fits_100_columns():
    wide = [line for block in blocks(ROOT / "README.md") for line in block.body.splitlines() if len(line) > 100]
    assert wide == []
