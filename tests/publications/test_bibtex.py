"""BibTeX: every paper once, with the fields that are known and no others."""

from __future__ import annotations

import re

from fssbench.publications.bibtex import bibtex, bibtex_key, source_key
from fssbench.publications.load import publications


def test_every_paper_has_one_entry_and_every_method_the_key_of_one() -> None:
    text = bibtex()
    keys = re.findall(r"^@\w+\{([^,]+),$", text, re.MULTILINE)
    assert len(keys) == len(set(keys))
    known = publications()
    assert {bibtex_key(method) for method in known.methods} - {""} <= set(keys)
    dated = {source for source in known.sources if source_key(source)}
    assert {source_key(source) for source in dated} <= set(keys), "a source is a paper, or the code of one"
    # Their READMEs do not say where the paper appeared.
    assert set(known.sources) - dated == {"pemp-readme", "fca-hlp-readme", "sam-rsp-readme"}
    assert bibtex_key("unresolved") == ""
    assert bibtex_key("asnet") == bibtex_key("asnet-w") == source_key("ifsl-readme") == "asnet2022"
    assert bibtex_key("pmm") == bibtex_key("rpmm")


def test_fields_are_those_of_the_published_files() -> None:
    known = publications()
    for method, paper in known.methods.items():
        if not bibtex_key(method):
            continue
        entry = bibtex([method])
        fields = dict(re.findall(r"^  (\w+) += \{(.*)\},$", entry, re.MULTILINE))
        assert set(fields) <= {"author", "title", "booktitle", "journal", "year"}
        assert fields["year"] == paper.venue.rpartition(" ")[2]
        assert ("author" in fields) == ("not known here: author" not in entry)
    assert "  author" not in bibtex(["canet"])


def test_an_entry_reads_as_a_bibliography_has_it() -> None:
    assert bibtex(["pfenet"]) == (
        "@article{pfenet2020,\n"
        "  author  = {Tian, Zhuotao and Zhao, Hengshuang and Shu, Michelle and Yang, Zhicheng and Li, Ruiyu and Jia, "
        "Jiaya},\n"
        "  title   = {Prior Guided Feature Enrichment Network for Few-Shot Segmentation},\n"
        "  journal = {TPAMI},\n"
        "  year    = {2020},\n"
        "}\n"
    )
    assert "  title" not in bibtex(["amformer"]), "known by the name of its method only"


def test_authors_have_a_source() -> None:
    for paper in publications().methods.values():
        assert bool(paper.authors) == bool(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{7}", paper.authors_read))
