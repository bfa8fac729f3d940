#!/usr/bin/env python3
"""Runs the SQL blocks of Markdown files, and compares their output where the page shows it.

    docs.py FILE… -- COMMAND…      COMMAND runs psql as its last arguments say, e.g. `env PGHOST=… `

Each file gets a database of its own, dropped afterwards, and one psql session:

    ```sql … ```                   runs; an error fails the block, and the rest of the page is not reached
    ```text … ``` right after it   must be exactly what psql printed
    <!-- not run: reason -->       above a block: it is shown only
    <!-- error expected -->        above a block: it must fail
    <!-- sql … -->                 runs, and no reader sees it (tables an example needs)

A path below /srv/models/ in a block means the same file below $E2I_MODELS.
"""
import os
import re
import subprocess
import sys
from dataclasses import dataclass

MARK = "@@e2i-block"


@dataclass
class Block:
    line: int
    sql: str
    output: str | None = None
    must_fail: bool = False


def blocks_of(path):
    """The runnable blocks of a page, in order."""
    lines = open(path, encoding="utf-8").read().split("\n")
    blocks, comment, after_sql, i = [], "", None, 0
    while i < len(lines):
        line, start = lines[i].strip(), i + 1
        if line == "<!-- sql":
            body, i = take_until(lines, i + 1, "-->")
            blocks.append(Block(start, body))
            after_sql = None
        elif re.match(r"<!--.*-->$", line):
            comment, after_sql = line[4:-3].strip(), None
        elif line.startswith("```") and line != "```":
            body, i = take_until(lines, i + 1, "```")
            if line == "```sql" and not comment.startswith("not run:"):
                after_sql = Block(start, body, must_fail=comment == "error expected")
                blocks.append(after_sql)
            else:
                if line == "```text" and after_sql:
                    after_sql.output = body
                after_sql = None
            comment = ""
        elif line:
            comment, after_sql = "", None
        i += 1
    return blocks


def take_until(lines, start, end):
    stop = start
    while stop < len(lines) and lines[stop].strip() != end:
        stop += 1
    return "\n".join(lines[start:stop]), stop


def script_of(blocks, models):
    """One psql script; every block begins with a mark on both streams, so that each one's output can be told apart."""
    parts = []
    for number, block in enumerate(blocks):
        parts += [f"\\echo {MARK} {number}", f"\\warn {MARK} {number}"]
        parts += [f"\\set ON_ERROR_STOP {'off' if block.must_fail else 'on'}"]
        parts += [block.sql.replace("/srv/models/", models.rstrip("/") + "/")]
    return "\n".join(parts + ["\\set ON_ERROR_STOP on", f"\\echo {MARK} end", f"\\warn {MARK} end", ""])


def split(stream):
    """What was printed after each mark."""
    found = re.split(rf"^{MARK} (\w+)\n", stream, flags=re.M)
    return dict(zip(found[1::2], found[2::2]))


def tidy(text):
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))


def unfinished(sql):
    """A block that does not end its last statement would swallow the next one."""
    code = [line for line in sql.split("\n") if line.strip() and not line.strip().startswith("--")]
    last = re.sub(r"\s--.*", "", code[-1]).rstrip() if code else ";"
    return not (last.endswith(";") or "\\" in last)


# Registering says it of every model that comes without examples: a page prints it once, if at all.
REPEATED = re.compile(r'^NOTICE:  model "[^"]*" came without golden rows: .*\n?', re.M)


def verdict(block, number, last, out, err):
    """Why the block fails, or None."""
    printed = out.get(str(number), "") + err.get(str(number), "")
    if not REPEATED.search(block.output or ""):
        printed = REPEATED.sub("", printed)
    failed = "ERROR:" in err.get(str(number), "") or number == last
    if unfinished(block.sql):
        return "does not end in a semicolon"
    if failed != block.must_fail:
        return "an error was expected, and none came" if block.must_fail else tidy(printed)
    if block.output is not None and tidy(printed) != tidy(block.output):
        return f"printed\n{tidy(printed)}\nand the page says\n{tidy(block.output)}"
    return None


def run_page(path, database, command, models, counter):
    """Prints one line a block; returns how many failed."""
    blocks, failures = blocks_of(path), 0
    if not blocks:
        return 0
    psql = command + ["psql", "-X", "-q", "-d", database]
    subprocess.run(command + ["createdb", database], check=True)
    done = subprocess.run(psql, input=script_of(blocks, models), text=True, capture_output=True)
    subprocess.run(command + ["dropdb", "--if-exists", "--force", database], check=True)
    out, err = split(done.stdout), split(done.stderr)
    reached = [n for n in range(len(blocks)) if str(n) in out]
    stopped_at = None if "end" in out else (reached[-1] if reached else 0)
    for number, block in enumerate(blocks):
        where = f"{path}:{block.line}"
        if stopped_at is not None and number > stopped_at:
            print(f"       - {where} not reached")
            continue
        reason = verdict(block, number, stopped_at, out, err)
        counter[0] += 1
        print(f"{'not ok' if reason else 'ok'} {counter[0]} - {where}")
        if reason:
            failures += 1
            print("\n".join("    " + line for line in reason.split("\n")))
            if not reached:
                print(done.stderr)
    return failures


def main():
    separator = sys.argv.index("--")
    files, command = sys.argv[1:separator], sys.argv[separator + 1:]
    models, counter, failures = os.environ["E2I_MODELS"], [0], 0
    for index, path in enumerate(files):
        failures += run_page(path, f"docs_{os.getpid()}_{index}", command, models, counter)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
