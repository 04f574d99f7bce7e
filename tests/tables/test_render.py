"""How tables are drawn: one small table per format to the letter, and what names of others must not break."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fssbench.errors import UsageError
from fssbench.tables import FORMATS, Comparison, compare, render
from fssbench.tables.entry import Entry, Remark
from fssbench.tables.layout import lay_out
from fssbench.tables.render.latex import escaped
from fssbench.tables.render.terminal import render_terminal
from tests.tables.samples import folds, printed, small

GOLDEN = Path(__file__).parent / "golden"
NASTY = "=A_B|<i>50%</i>"


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("terminal", "small.txt"),
        ("markdown", "small.md"),
        ("latex", "small.tex"),
        ("csv", "small.csv"),
        ("html", "small.html"),
        ("json", "small.json"),
    ],
)
def test_a_small_table_to_the_letter(form: str, file: str) -> None:
    assert render(lay_out(small(), "fss"), form) == (GOLDEN / file).read_text(encoding="utf-8")


def test_the_goldens_are_all_formats() -> None:
    assert {path.suffix for path in GOLDEN.iterdir()} == {".txt", ".md", ".tex", ".csv", ".html", ".json"}
    assert len(FORMATS) == 6


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean markdown"):
        render([], "markdwn")


def test_styled_output_is_bold_and_underlined_and_never_coloured() -> None:
    text = render_terminal(lay_out(small(), "fss"), styled=True)
    assert "\x1b[1m69.0\x1b[0m" in text
    assert "\x1b[4m64.3\x1b[0m" in text
    assert set(re.findall(r"\x1b\[(\d+)m", text)) == {"0", "1", "4"}
    plain = render_terminal(lay_out(small(), "fss"))
    widths = [len(re.sub(r"\x1b\[\d+m", "", line)) for line in text.splitlines() if "BAM" in line]
    # Without the signs of plain text, the lines are as long as the rule below them.
    assert widths == [len(next(line for line in text.splitlines() if line.startswith("---")))]
    assert widths < [len(line) for line in plain.splitlines() if "BAM" in line]


def test_a_name_cannot_drive_the_terminal() -> None:
    entry = printed("A\x1b[2J\r\nB", folds("1"), remarks=(Remark("caution", "x\x07\x1b]0;y"),))
    text = render_terminal(lay_out([entry], "fss"), styled=False)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert "A?[2J??B" in text


@pytest.mark.parametrize("form", FORMATS)
def test_no_form_passes_on_what_drives_a_terminal(form: str) -> None:
    drives = "\x1b[2J\x9b31m\u202e\x07\x7f\udcff"
    entry = printed(f"A{drives}", folds("1"), remarks=(Remark("caution", drives),))
    entry = replace(entry, venue=drives, note=drives, source=drives, location=drives, protocol=drives, backbone=drives)
    table = replace(lay_out([entry], "fss")[0], title=drives, legend=drives)
    text = render([table], form)
    assert "2J" in text
    assert text.replace("\n", "").isprintable()


def test_json_holds_a_name_as_it_is() -> None:
    entry = printed("A\x1b[2J\u202e", folds("1"))
    (table,) = json.loads(render(lay_out([entry], "fss"), "json"))
    assert table["groups"][0]["rows"][0]["name"] == "A\x1b[2J\u202e"


def test_lines_fit_a_hundred_columns_and_no_number_is_lost() -> None:
    numbers = {**folds("64.3", "70.7", "60.3", "60.5", "64.0", "76.7"), "learnable_params": "2.6"}
    entries = [printed("A method with a name of a good length", numbers, shot=shot) for shot in (1, 5)]
    text = render_terminal(lay_out(entries, "fss"))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("64.3") == 2
    # Too wide for both shots side by side: one below the other, each with its head and the names.
    assert text.count("A method with") == 2
    assert text.count("par (M)") == 1, "next to the second"


def test_a_narrow_terminal_stacks_too() -> None:
    entries = [printed("A", folds("64.3", "70.7", "60.3", "60.5", "64.0"), shot=shot) for shot in (1, 5)]
    text = render_terminal(lay_out(entries, "fss"), width=50)
    assert max(map(len, text.splitlines())) <= 50
    assert text.count("64.3") == 2


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n="])
def test_no_cell_of_a_csv_is_a_formula(start: str) -> None:
    entry = replace(printed(f"{start}cmd|' /C calc'!A0", folds("64.3")), note=f"{start}1+1", source=f"{start}2")
    (row,) = csv.DictReader(io.StringIO(render(lay_out([entry], "fss"), "csv"), newline=""))
    assert row["name"] == f"'{start.strip()}cmd|' /C calc'!A0"
    assert row["note"] == f"'{start.strip()}1+1"
    assert not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") for cell in row.values())


def test_csv_holds_every_number_as_printed_with_its_source() -> None:
    rows = list(csv.DictReader(io.StringIO(render(lay_out(small(), "fss"), "csv"))))
    bam = next(row for row in rows if row["method"] == "bam")
    assert (bam["fold0"], bam["mean"], bam["fb_iou"], bam["source"]) == ("68.97", "67.81", "", "B & C's README")


def test_latex_special_characters_are_escaped() -> None:
    assert escaped("a_b & 50% $x^2$ #1 {y} ~ \\ <|>") == (
        "a\\_b \\& 50\\% \\$x\\textasciicircum{}2\\$ \\#1 \\{y\\} \\textasciitilde{} "
        "\\textbackslash{} \\textless{}\\textbar{}\\textgreater{}"
    )
    assert escaped("two\nlines") == "two lines"
    assert escaped("try --method x") == "try -{}-method x"
    assert escaped("[1]*") == "{[}1]{*}"


def test_latex_rows_have_as_many_cells_as_the_table_has_columns() -> None:
    text = render(lay_out(small(), "fss"), "latex")
    (spec,) = re.findall(r"\\begin\{tabular\}\{@\{\}([lc ]+)@\{\}\}", text)
    columns = len(spec.replace(" ", ""))
    rows = [line for line in text.splitlines() if re.match(r"(HSNet|BAM|=A|Method)", line)]
    assert len(rows) == 4
    assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)
    assert re.findall(r"\\multicolumn\{(\d+)\}\{@\{\}l\}", text) == [str(columns)] * 2


def with_printed_numbers() -> list[Entry]:
    """Return a printed and a measured row of one method, the second with its interval and the first beside it."""
    numbers = folds("64.3", "70.7", "60.3", "60.5", "64.0", "76.7")
    measured = folds("64.81", "69.94", "60.30", "60.5", "63.9", "77.0")
    half_width = dict.fromkeys(measured, "1.2345")
    own = replace(printed("HSNet", measured), origin="measured", line="own", half_width=half_width, printed=numbers)
    return [printed("HSNet", numbers), own]


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("csv", "json")])
def test_below_a_measured_row_are_its_interval_and_its_difference_to_the_printed_one(form: str) -> None:
    text = render(lay_out(with_printed_numbers(), "fss"), form)
    values = re.compile(r"[-+±]\d+\.\d")
    plain = text.replace("$\\pm$", "±")
    interval, minus = (
        next(block for block in re.split(r"\n(?=.*(?:95|minus printed))", plain) if name in block.split("\n")[0])
        for name in ("interval", "minus printed")
    )
    assert values.findall(interval.split("\n")[0]) == ["±1.2"] * 6
    assert values.findall(minus.split("\n")[0]) == ["+0.5", "-0.8", "+0.0", "+0.0", "-0.1", "+0.3"]


def test_json_holds_each_result_with_interval_and_difference() -> None:
    (table,) = json.loads(render(lay_out(with_printed_numbers(), "fss"), "json"))
    printed_row, measured_row = table["groups"][0]["rows"]
    assert printed_row["results"][0]["reach"] == printed_row["results"][0]["difference"] == {}
    (result,) = measured_row["results"]
    assert result["numbers"]["fold0"] == 64.81
    assert (result["reach"]["mean"], result["printed"]["mean"], result["difference"]["mean"]) == (1.2345, 64.0, -0.1)
    assert measured_row["cells"]["1-shot mean"] == "63.9"
    assert table["footnotes"][0]["mark"] == "†"


def test_csv_holds_interval_and_printed_mean_of_measured_rows_only() -> None:
    rows = list(csv.DictReader(io.StringIO(render(lay_out(with_printed_numbers(), "fss"), "csv"))))
    assert [(row["mean_reach"], row["printed_mean"]) for row in rows] == [("", ""), ("1.2345", "64.0")]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
@pytest.mark.parametrize("entries", [small(), with_printed_numbers()], ids=["names", "measured"])
def test_latex_compiles(entries: list[Entry], tmp_path: Path) -> None:
    body = render(lay_out(entries, "fss"), "latex")
    document = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "table.tex").write_text(f"{document}{body}\\end{{document}}\n")
    done = subprocess.run(["pdflatex", "-halt-on-error", "table.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
def test_the_largest_table_fits_on_a_page(tmp_path: Path) -> None:
    body = render(compare(Comparison(source="published")), "latex")
    packages = "\\usepackage[margin=1.5cm]{geometry}\\usepackage[T1]{fontenc}\\usepackage{booktabs}"
    text = f"\\documentclass{{article}}{packages}\\begin{{document}}\n{body}\\end{{document}}\n"
    (tmp_path / "table.tex").write_text(text)
    done = subprocess.run(["pdflatex", "-halt-on-error", "table.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Float too large" not in done.stdout
    assert "Overfull" not in done.stdout


def test_a_table_that_is_longer_than_a_page_is_continued_under_its_number() -> None:
    table, _ = compare(Comparison(source="published"))
    text = render([replace(table, key="tab:all")], "latex")
    first, second = text.split("\\begin{table*}")[1:]
    assert "\\label{tab:all}" in first
    assert "\\label" not in second
    assert "\\addtocounter{table}{-1}\n\\caption{PASCAL-5i, 1-way (continued)}" in second
    # A group that is cut is named on both pages, and every row is there once, above the footnotes.
    assert "\\textit{ResNet50}" in first
    assert "\\textit{ResNet50 (continued)}" in second
    rows = [row for group in table.groups for row in group.rows]
    assert text.count(" \\\\\n") == len(rows) + 2 * 2 + len(table.groups) + 1
    assert "\\raggedright" not in first
    assert "\\raggedright" in second


def test_markdown_rows_have_as_many_cells_as_the_head() -> None:
    lines = [line for line in render(lay_out(small(), "fss"), "markdown").splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert NASTY not in "\n".join(lines)


class _Page(HTMLParser):
    """Collects tags, links and text, and checks that tags are closed in order."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_needs_no_other_file_and_shows_names_as_text() -> None:
    page = _Page()
    page.feed(render(lay_out(small(), "fss"), "html"))
    assert page.open == []
    assert page.links == []
    assert not {"link", "img", "i"} & set(page.seen)
    assert page.seen.count("script") == 1, "the one that sorts, which is in the page"
    assert NASTY in page.text
