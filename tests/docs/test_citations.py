"""Each section of PROTOCOLS.md that the code cites exists, and each that exists is cited.

A citation is a document's name and a section (``classic-protocol 1.7``), several sections (``new-protocol 1 to 3``), or
a part by its name (``new-protocol 3, "Errors"``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.emulator.config.behaviour import Behaviour

ROOT = Path(__file__).parents[2]
PROTOCOLS = ROOT / "reconciler/PROTOCOLS.md"
EMULATOR = ROOT / "reconciler/emulator/README.md"
DOCUMENT = r"(?P<document>classic-protocol|new-protocol|context|design)"
SECTION = r"\d+(?:\.\d+)*"
CITATION = re.compile(
    rf"\b{DOCUMENT}`?"
    rf"(?: (?P<sections>{SECTION}(?:(?:, | and | to |, and ){SECTION})*))?"
    r"(?:, (?:fact|item) (?P<item>\d+))?"
    r'(?:(?:,| \() ?"(?P<name>[^"]+)")?'
)


@dataclass(frozen=True)
class Citation:
    document: str
    section: str  # "" for the whole document
    name: str  # "" for the whole section
    place: str

    def __str__(self):
        named = f', "{self.name}"' if self.name else ""
        return f"{self.place}: {self.document} {self.section}".rstrip() + named


def cited_in(text: str, place: str) -> Iterator[Citation]:
    """The citations of a text, whose lines may break inside one."""
    flowing = re.sub(r"\s*\n\s*(?:# ?)?", " ", text)
    for found in CITATION.finditer(flowing):
        name = found["name"] or ""
        if found["sections"] is None and not name:
            continue
        *others, last = spelled_out(found["sections"] or "", found["item"])
        yield from (Citation(found["document"], section, "", place) for section in others)
        yield Citation(found["document"], last, name, place)


def spelled_out(sections: str, item: str | None) -> list[str]:
    """Each section of ``1``, ``1.3 to 1.5``, ``2, 3`` or ``4.1 and 4.2``; the item of a list behind the last one."""
    numbers: list[str] = []
    for part in re.split(r",? and |, ", sections):
        first, _, last = part.partition(" to ")
        numbers.append(first)
        if last:
            above, _, start = first.rpartition(".")
            end = int(last.rpartition(".")[2])
            numbers += [f"{above}.{n}".lstrip(".") for n in range(int(start) + 1, end + 1)]
    if item:
        numbers[-1] += f".{item}"
    return numbers


def emulators_tables() -> Iterator[Citation]:
    """The section columns of the emulator's README, where the name of the document is said once above the tables."""
    document = ""
    for line in EMULATOR.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            document = ""
        elif said := re.match(r"Sections are those of `([\w-]+)`", line):
            document = said[1]
        cells = [cell.strip() for cell in line.split("|")]
        if document and len(cells) > 4 and re.match(r'[\d"]', cells[2]):
            yield from cited_in(f"{document} {cells[2]}", f"{EMULATOR.relative_to(ROOT)}: {cells[1]}")


def all_citations() -> list[Citation]:
    suffixes = {".py", ".md", ".yaml", ".html"}
    rooms = [ROOT / room for room in ("reconciler", "tests", "specs")]
    files = [ROOT / "README.md", *(file for room in rooms for file in room.rglob("*") if file.suffix in suffixes)]
    return [
        citation
        for file in files
        if file != Path(__file__) and not file.is_relative_to(ROOT / "tests/docs")
        for citation in cited_in(file.read_text(encoding="utf-8"), str(file.relative_to(ROOT)))
    ] + list(emulators_tables())


def sections() -> dict[tuple[str, str], str]:
    """The text of each section by its document and number; of numbered items too, and of a whole document by ""."""
    found: dict[tuple[str, str], str] = {}
    document = number = ""
    for line in PROTOCOLS.read_text(encoding="utf-8").splitlines(keepends=True):
        if heading := re.match(r"## (\S+)\n", line):
            document, number = heading[1], ""
        elif heading := re.match(rf"### (?:({SECTION}) )?", line):
            number = heading[1] or ""
        elif item := re.match(r"(\d+)\. ", line):
            found[document, f"{number}.{item[1]}"] = line
        for key in {number, ""}:
            found[document, key] = found.get((document, key), "") + line
    return found


def has_part(text: str, name: str) -> bool:
    """Whether a section has a part of this name: a heading, or words in bold at the start of a line."""
    return re.search(rf"^(?:### |(?:- )?\*\*){re.escape(name)}", text, re.MULTILINE) is not None


def test_each_cited_section_exists():
    known = sections()
    missing = [
        str(cited)
        for cited in all_citations()
        if not has_part(known.get((cited.document, cited.section), ""), cited.name)
        and not (cited.name == "" and (cited.document, cited.section) in known)
    ]
    assert [] == missing


def test_each_section_is_cited():
    """A fact that nothing uses any more is a fact that nobody keeps true."""
    cited = {(each.document, each.section) for each in all_citations() if PROTOCOLS.name not in each.place}
    # A section counts as cited with one of its items.
    cited |= {(document, section.rpartition(".")[0]) for document, section in cited}
    headings = {key for key, text in sections().items() if text.startswith("### ") and key[1]}
    assert set() == headings - cited


def test_each_open_question_names_its_switch():
    text = PROTOCOLS.read_text(encoding="utf-8")
    named = set(re.findall(r"`behaviour\.(\w+)`", text)) - {"NAME"}
    assert {field.alias or name for name, field in Behaviour.model_fields.items()} == named


def test_a_citation_is_read_over_the_end_of_a_line_and_with_all_its_sections():
    text = """# a number (classic-protocol
    # 1.3 to 1.5, 2), and (new-protocol 1, 3, "PATCH
    # body rules"), classic-protocol 5, fact 3, and new-protocol ("Not found / still open")."""
    assert [
        ("classic-protocol", "1.3", ""),
        ("classic-protocol", "1.4", ""),
        ("classic-protocol", "1.5", ""),
        ("classic-protocol", "2", ""),
        ("new-protocol", "1", ""),
        ("new-protocol", "3", "PATCH body rules"),
        ("classic-protocol", "5.3", ""),
        ("new-protocol", "", "Not found / still open"),
    ] == [(each.document, each.section, each.name) for each in cited_in(text, "here")]
