# SPDX-License-Identifier: BSD-2-Clause
"""docs/notes/results.md and README.md: what they say comes from the kept results."""

import json
import os
import sys
from pathlib import Path

import pytest
from evaluation_documents import document

from dredge_host.errors import InputError
from dredge_host.evaluation.methods.methods import DEFAULT_METHODS, PEERS
from dredge_host.evaluation.results import markdown_tables as tables

ROOT = Path(__file__).parents[4]
sys.path.append(str(ROOT / "scripts"))

import results_page  # noqa: E402


def lines_of(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


class TestCommittedPage:
    def test_pages_are_what_the_kept_results_give(self):
        pages = results_page.pages(results_page.read_results())
        assert {page.name for page in pages} == {"results.md", "README.md"}
        for page, texts in pages.items():
            text = page.read_text(encoding="utf-8")
            assert results_page.fill(text, texts) == text, f"{page.name}: run scripts/results_page.py"

    def test_every_picture_of_it_is_there(self):
        page = (ROOT / "docs/notes" / "results.md").read_text(encoding="utf-8")
        pictures = [part.split(")")[0] for part in page.split("](")[1:] if part.startswith("images/")]
        assert len(pictures) >= 8
        assert all((ROOT / "docs/notes" / name).is_file() for name in pictures)

    def test_kept_results_are_small(self):
        for path in (ROOT / "docs/notes" / "data").glob("*.json"):
            assert path.stat().st_size <= results_page.MAX_BYTES
            assert "records" not in json.loads(path.read_text(encoding="utf-8"))


class TestFill:
    PAGE = (
        "before\n<!-- a: generated -->\nold\n<!-- a: end -->\nbetween\n<!-- b: generated -->\n<!-- b: end -->\nafter\n"
    )

    def test_only_marked_sections_change(self):
        filled = results_page.fill(self.PAGE, {"a": "new", "b": "also"})
        assert filled.split("\n") == [
            "before", "<!-- a: generated -->", "", "new", "", "<!-- a: end -->", "between", "<!-- b: generated -->", "",
            "also", "", "<!-- b: end -->", "after", "",
        ]  # fmt: skip

    def test_filling_again_changes_nothing(self):
        texts = {"a": "new \\1 text", "b": "also"}
        filled = results_page.fill(self.PAGE, texts)
        assert results_page.fill(filled, texts) == filled

    @pytest.mark.parametrize("texts", [{"a": "x"}, {"a": "x", "b": "y", "c": "z"}])
    def test_a_section_that_only_one_side_knows_is_named(self, texts):
        with pytest.raises(InputError, match=r"only one of them has [bc]$"):
            results_page.fill(self.PAGE, texts)


class TestKeeping:
    def test_cells_are_left_out_and_groups_are_thinned(self):
        kept = results_page.stripped(document(), "2026-11-24")
        assert "records" not in kept and kept["measured"] == "2026-11-24"
        assert kept["summary"] == document()["summary"]
        assert set(kept["strata"]["long"][0]) <= set(results_page.GROUP_KEYS)

    def test_a_result_is_kept_with_the_day_of_its_file(self, tmp_path):
        source = tmp_path / "result.json"
        source.write_text(json.dumps(document()))
        os.utime(source, (1_795_000_000, 1_795_000_000))
        results_page.take("evaluate", source, tmp_path)
        kept = json.loads((tmp_path / "data" / "evaluate.json").read_text())
        assert kept["measured"].startswith("2026-11-1")
        assert kept["plan"] == document()["plan"]

    def test_a_result_of_another_kind_is_refused(self, tmp_path):
        source = tmp_path / "result.json"
        source.write_text(json.dumps(document()))
        with pytest.raises(InputError, match=r"schema dredge\.figure\.delay/2"):
            results_page.take("delay", source, tmp_path)
        assert not (tmp_path / "data").exists()

    def test_a_result_too_large_to_keep_is_refused(self, tmp_path):
        source = tmp_path / "result.json"
        given = document()
        given["environment"]["log"] = "x" * results_page.MAX_BYTES
        source.write_text(json.dumps(given))
        with pytest.raises(InputError, match="takes up to 100000"):
            results_page.take("evaluate", source, tmp_path)

    def test_a_missing_result_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"evaluate\.json: No such file"):
            results_page.read_results(tmp_path)


class TestTables:
    def test_one_line_per_method_with_its_goal(self):
        lines = lines_of(tables.summary(document()))
        assert len(lines) == 2 + 11
        dred = next(line for line in lines if line[0] == "**DRED 1 s**")
        assert dred == ["**DRED 1 s**", "3.31 ± 0.13", "67 ± 7 %", "81 %", "62.8", "23.2", "19.8 %"]

    def test_goals_say_by_how_much_they_are_missed(self):
        assert tables.verdicts(document()).splitlines() == [
            "- own PLC: 38 ± 7 % of 40 %: missed by 2 points, within the interval.",
            "- DRED 1 s: 67 ± 7 % of 81 %: missed by 14 points.",
            "- DRED 1 s + LBRR: 75 ± 7 % of 91 %: missed by 16 points.",
        ]
        assert "did not measure" in tables.verdicts(document(("clean", "opus")))

    def test_groups_have_quality_and_share(self):
        lines = lines_of(tables.by_group(document(), "strata"))
        assert len(lines) == 2 + 3 * 2
        assert lines[2][:3] == ["up to 120 ms", "12", "PLCMOS"] and lines[3][:3] == ["", "", "won back"]
        assert lines[2][3] == "3.65 ± 0.13" and lines[3][3] == "–"

    def test_only_what_was_measured_has_a_column(self):
        given = document()
        for row in given["summary"]:
            row.pop("estoi")
        assert lines_of(tables.intelligibility(given))[0] == [
            "method",
            "word errors",
            "cepstral distance",
            "pitch error",
        ]

    def test_libopus_stands_after_the_stroke(self):
        given = document()
        given["summary"] += [{**row, "method": f"peer_{row['method']}", "bitrate_total_bps": 62_300.0}
                             for row in given["summary"] if row["method"] in ("plc", "dred")]  # fmt: skip
        head, _, *rows = lines_of(tables.beside(given))
        assert head[0] == "Dredge / libopus" and head[-1] == "kb/s" and "PESQ" not in head
        assert [row[0] for row in rows] == ["own PLC", "**DRED 1 s**"]
        scores = rows[1][1].split(" / ")
        assert scores[0] == scores[1] and rows[1][-1].endswith(" / 62.3")

    def test_seams_and_lags(self):
        lines = lines_of(tables.seams(document()))
        assert lines[2] == ["no loss", "0.08 / 0.23 ms", "–", "1827", "1"]

    def test_time_counts_only_computed_cells(self):
        given = document()
        given["timing"]["cells_cached"] = 32
        assert tables.timing(given).startswith("100 cells computed and 32 found in the cache in 1.4 min, workers: 2")

    def test_provenance_names_day_machine_and_size(self):
        text = tables.provenance({**document(), "measured": "2026-11-24"})
        assert text == (
            "Measured on 2026-11-24: 4 clips of up to 12 s, 3 loss traces each, 132 cells; Made-up CPU, kernels at "
            "level avx2; noise of one PLCMOS score 0.018."
        )

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"methods": None}, "dredge evaluate test --clips 4"),
            ({"methods": None, "seconds": 6.0, "seed": 3}, "dredge evaluate test --clips 4 --seconds 6 --seed 3"),
            ({"methods": ["clean", "opus"]}, "dredge evaluate test --clips 4 --method clean --method opus"),
            ({"methods": None, "crossed": False, "estoi": False}, "dredge evaluate test --clips 4 --rotate --no-estoi"),
            ({"methods": None, "recogniser": None}, "dredge evaluate test --clips 4 --no-words"),
            (
                {"methods": [*DEFAULT_METHODS, *PEERS], "peer": True, "pesq": True},
                "dredge evaluate test --clips 4 --peer opus_demo=PATH --pesq",
            ),
            ({"methods": None, "recogniser": "vosk"}, "dredge evaluate test --clips 4 --recogniser vosk"),
        ],
    )
    def test_the_command_has_what_is_not_the_default(self, change, words):
        given = document()
        given["plan"] |= change
        assert tables.command(given) == words
