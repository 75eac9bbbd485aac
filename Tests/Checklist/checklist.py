#!/usr/bin/env python3
"""Runs the tests that Tests/Checklist/README.md names, and prints its table with what became of each row.

    checklist.py -- swift test ... (a command that takes --filter and --xunit-output)

Ends with 1 when a test fails or did not run.
"""
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")


def rows():
    """(section, demand, source, tests, reason) of each row."""
    section = ""
    for line in open(TABLE, encoding="utf-8"):
        if line.startswith("## "):
            section = line[3:].strip()
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if section and line.startswith("| ") and len(cells) == 3 and cells[0] != "Demand":
            tests = re.findall(r"`(\w+\.\w+)`", cells[2])
            yield section, cells[0], cells[1], tests, re.sub(r"`[^`]*`", "", cells[2]).strip()


def run(command, names):
    """The outcome of each test, as Suite.function: True, False; missing when it did not run."""
    with tempfile.TemporaryDirectory() as folder:
        pattern = "|".join(sorted({rf"\.{name.replace('.', '/')}\(" for name in names}))
        report = os.path.join(folder, "tests.xml")
        with open(os.path.join(folder, "output"), "wb") as output:
            subprocess.run([*command, "--filter", pattern, "--xunit-output", report], stdout=output, stderr=subprocess.STDOUT)
        text = open(os.path.join(folder, "output"), encoding="utf-8", errors="replace").read()
        outcome = {}
        found = os.path.join(folder, "tests-swift-testing.xml")
        if not os.path.exists(found):
            sys.exit(text[-4000:] + "\nThe tests did not run.")
        for case in xml.parse(found).iter("testcase"):
            name = case.get("classname").split(".")[-1] + "." + case.get("name").split("(")[0]
            passed = case.find("failure") is None and case.find("error") is None and case.find("skipped") is None
            outcome[name] = outcome.get(name, True) and passed
        return outcome, sorted(set(re.findall(r"^vectors: .*$", text, re.M))), text


def main():
    table = list(rows())
    names = {test for row in table for test in row[3]}
    print(f"Running {len(names)} tests of {len(table)} rows ...", flush=True)
    outcome, vectors, text = run(sys.argv[sys.argv.index("--") + 1:], names)
    colour = sys.stdout.isatty()
    marks = {"pass": "32", "FAIL": "31", "MISSING": "31", "no": "33"}
    section, counts, width = "", {}, max(len(row[2]) for row in table)
    for part, demand, source, tests, reason in table:
        if part != section:
            section = part
            print(f"\n{section}")
        if not tests:
            mark = "no"
        elif any(test not in outcome for test in tests):
            mark = "MISSING"
        else:
            mark = "pass" if all(outcome[test] for test in tests) else "FAIL"
        counts[mark] = counts.get(mark, 0) + 1
        shown = f"\033[{marks[mark]}m{mark:7}\033[0m" if colour else f"{mark:7}"
        print(f"  {shown}  {source:{width}}  {demand}" + (f": {reason}" if mark == "no" else ""))
        for test in tests:
            if not outcome.get(test, False):
                print(f"             {test} {'failed' if test in outcome else 'did not run'}")
    if vectors:
        print("\nVectors of others")
        for line in vectors:
            print(f"  {line[len('vectors: '):]}")
    print("\n" + ", ".join(f"{count} {mark}" for mark, count in sorted(counts.items())))
    if "FAIL" in counts or "MISSING" in counts:
        print("\n".join(line for line in text.splitlines() if "✘" in line)[-4000:])
        sys.exit(1)


if __name__ == "__main__":
    main()
