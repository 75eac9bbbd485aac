#!/usr/bin/env python3
"""Runs the tests that Tests/Checklist/README.md names, and prints its table with what became of each row.

    checklist.py -- swift test ... (a command that takes --filter and --xunit-output)

Ends with 1 when a test fails or did not run. One that cannot run on this machine says why, and fails nothing.
"""
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
TESTS = os.path.dirname(os.path.dirname(TABLE))


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


def condition(suite, function):
    """Why a test is skipped: the report does not say it, so what stands beside its `.enabled(if:`."""
    for folder, _, files in os.walk(TESTS):
        for file in (file for file in files if file.endswith(".swift")):
            text = open(os.path.join(folder, file), encoding="utf-8").read()
            found = re.search(rf"\bfunc {function}\(", text)
            if found and re.search(rf"\b(?:struct|class|actor|extension) {suite}\b", text):
                said = re.search(r'\.enabled\(if: .*"([^"]*)"\)', text[text.rfind("@Test", 0, found.start()):found.start()])
                return said.group(1) if said else "it is disabled here"
    return "it is disabled here"


def run(command, names):
    """The outcome of each test, as Suite.function: True, False, or why it was skipped; missing when it did not run."""
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
            passed = case.find("failure") is None and case.find("error") is None
            if case.find("skipped") is not None:
                passed = condition(*name.split("."))
            # Of a test with arguments, or of one name twice: a failure first, then a skip.
            outcome[name] = min(outcome.get(name, True), passed, key=lambda value: (value is not False, value is True))
        return outcome, sorted(set(re.findall(r"^vectors: .*$", text, re.M))), text


def verdict(outcome, test):
    if test not in outcome:
        return "did not run"
    return "failed" if outcome[test] is False else f"was skipped: {outcome[test]}"


def main():
    table = list(rows())
    names = {test for row in table for test in row[3]}
    print(f"Running {len(names)} tests of {len(table)} rows ...", flush=True)
    outcome, vectors, text = run(sys.argv[sys.argv.index("--") + 1:], names)
    colour = sys.stdout.isatty()
    marks = {"pass": "32", "FAIL": "31", "MISSING": "31", "no": "33", "skipped": "33"}
    section, counts, width = "", {}, max(len(row[2]) for row in table)
    for part, demand, source, tests, reason in table:
        if part != section:
            section = part
            print(f"\n{section}")
        if not tests:
            mark = "no"
        elif any(test not in outcome for test in tests):
            mark = "MISSING"
        elif any(outcome[test] is False for test in tests):
            mark = "FAIL"
        else:
            mark = "pass" if all(outcome[test] is True for test in tests) else "skipped"
        counts[mark] = counts.get(mark, 0) + 1
        shown = f"\033[{marks[mark]}m{mark:7}\033[0m" if colour else f"{mark:7}"
        print(f"  {shown}  {source:{width}}  {demand}" + (f": {reason}" if mark == "no" else ""))
        for test in tests:
            if outcome.get(test) is not True:
                print(f"             {test} {verdict(outcome, test)}")
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
