"""The report of a service: what stands in it, and that a browser shows it."""

import json
import re
import shutil

import psycopg
import pytest
from e2i_serve import E2iError, push
from e2i_serve.cli import app
from e2i_serve.report import report
from e2i_serve.report.parts import curve_of, wilson
from test_push import pipeline
from typer.testing import CliRunner

PARTS = ["health", "traffic", "latency", "canary", "calibration", "drift", "versions", "events"]


@pytest.fixture(scope="module")
def serving(dsn, customers):
    """A service with a canary, a shadow, a log and calibrations, two analyses; another one that nobody calls; one that is hostile."""
    frame, left = customers
    push(pipeline(customers), "churn", dsn, sample=frame, metrics={"auc": 0.8125})
    push(pipeline((frame.head(150), left[:150])), "churn", dsn, sample=frame, version="<b>2")
    push(pipeline(customers), "<!--<script>alert(1)", dsn, sample=frame)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET search_path = ml, public; CREATE TABLE rows (tenure int, engagement float8, region text, active bool, truth text)")
        with connection.cursor().copy("COPY rows FROM STDIN") as copy:
            for row, truth in zip(json.loads(frame.to_json(orient="values")), left.tolist()):
                copy.write_row((*row, truth))
        connection.execute("SELECT e2i_set_inference_log('churn', sample => 1)")
        connection.execute("""SELECT e2i_set_traffic('churn', '{"churn:1": 0.5, "churn:<b>2": 0.5}')""")
        connection.execute("SELECT e2i_set_shadow('churn', 'churn:<b>2', sample => 1)")
        connection.execute("SELECT count(e2i_predict('churn', r)) FROM rows r")
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT e2i_predict('churn', '{}')")
        connection.execute("SELECT e2i_flush_metrics()")
        for method in ("lac", "isotonic"):
            connection.execute("SELECT e2i_calibrate('churn:1', 'rows', 'truth', method => %s)", (method,))
        connection.execute("SELECT e2i_check_coverage('churn:1', 'rows', 'truth')")
        for _ in range(2):
            connection.execute("SELECT e2i_set_background('churn:1', 'SELECT * FROM rows LIMIT 5')")
            connection.execute("SELECT e2i_importance('churn:1', 'rows', most => 20, store => true)")
    return dsn


def sections(html):
    return {name: html.split(f'<section id="{name}">')[1].split("</section>")[0] for name in PARTS}


def test_every_part_shows_what_was_recorded(serving):
    html = report("churn", serving)
    parts = sections(html)
    assert [name for name, part in parts.items() if "Nothing recorded yet" in part or "Not to be seen" in part] == []
    assert "churn:1 is unhealthy" in parts["health"] or "churn:1 is degraded" in parts["health"] or "churn:1 is healthy" in parts["health"]
    assert "2 requests, 400 rows scored, 1 errors" in parts["traffic"], parts["traffic"][:400]
    rows = re.search(r"<td>shadow</td><td class=\"n\">(\d+)</td>", parts["canary"])
    assert rows and int(rows[1]) > 0
    drawings = json.loads(html.split('id="drawings">')[1].split("</script>")[0])
    assert len(drawings) == html.count('class="drawing"') >= 7
    assert "&lt;b&gt;2" in parts["versions"] and "<b>2" not in html
    assert "0.8125" in parts["versions"]
    assert "rank correlation" in parts["drift"]


def test_what_was_not_recorded_is_said_in_its_part(dsn, serving, customers):
    push(pipeline(customers), "idle", dsn, sample=customers[0])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT ml.e2i_undeploy('idle')")
    html = report("idle", dsn)
    empty = [name for name, part in sections(html).items() if "Nothing recorded yet" in part]
    assert empty == ["traffic", "latency", "canary", "calibration", "drift"]
    assert "Not deployed" in html
    with pytest.raises(E2iError, match="neither a service nor a model"):
        report("nothing", dsn)


def test_a_role_sees_what_it_may(dsn, serving):
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE ROLE python_looks; GRANT USAGE ON SCHEMA ml TO python_looks; SELECT ml.e2i_grant_usage('python_looks', 'deployer')")
        connection.execute("SET LOCAL ROLE python_looks")
        parts = sections(report("churn", connection))
        assert "Not to be seen by this role: permission denied for table ml_inference_log" in parts["canary"]
        assert "requests" in parts["traffic"]
        assert connection.execute("SELECT current_user").fetchone() == ("python_looks",)  # and the caller's transaction goes on
        connection.rollback()


def test_names_are_no_markup(serving):
    html = report("<!--<script>alert(1)", serving)
    assert "<script>alert" not in html


def test_nothing_is_fetched(serving):
    html = report("churn", serving)
    own = html[: html.index('<script type="application/json"')]
    assert not re.search(r"(src|href)=\"(?!#)", own) and "@import" not in own and "url(" not in own


def test_the_command_writes_a_file(serving, tmp_path):
    done = CliRunner().invoke(app, ["report", "churn", "--to", serving, "--out", str(tmp_path / "r.html"), "--days", "1"])
    assert done.exit_code == 0 and done.output.strip() == str(tmp_path / "r.html"), done.output
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 390)])
def test_a_browser_shows_it(serving, browser, tmp_path, scheme, width):
    report("churn", serving, tmp_path / "r.html")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda problem: said.append(str(problem)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "r.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.drawing .main-svg').length >= document.querySelectorAll('.drawing').length")
    assert said == [] and len(asked) == 1
    seen = page.evaluate(
        """() => ({
            wide: document.documentElement.scrollWidth, paper: getComputedStyle(document.body).backgroundColor,
            empty: [...document.querySelectorAll('.drawing')].filter(d => !d.querySelector('.trace, .scatterlayer path, .barlayer path')).length,
            text: getComputedStyle(document.querySelector('.xtick text')).fill,
            outside: [...document.querySelectorAll('.drawing svg')].filter(s => s.getBoundingClientRect().right > innerWidth).length,
        })"""
    )
    assert seen["wide"] <= width and seen["empty"] == 0 and seen["outside"] == 0, seen
    dark = sum(map(int, re.findall(r"\d+", seen["paper"])[:3])) < 200
    light_text = sum(map(int, re.findall(r"\d+", seen["text"])[:3])) > 500
    assert (dark, light_text) == ((True, True) if scheme == "dark" else (False, False)), seen


def test_ranges_and_curves():
    low, high = wilson(90, 100)
    assert abs(low - 0.8256) < 1e-4 and abs(high - 0.9448) < 1e-4
    assert wilson(0, 3)[0] == 0 and wilson(3, 3)[1] == 1
    places, values = curve_of({"platt": {"a": -4.0, "b": 2.0}}, "probability")
    assert abs(values[places.index(0.505)] - 1 / (1 + 2.718281828459045 ** (-4 * 0.505 + 2))) < 1e-12
    assert curve_of({"isotonic": {"places": [0.1], "values": [0.5]}}, "probability") == ([0.1], [0.5])
    places, values = curve_of({"beta": {"a": 1.0, "b": 1.0, "c": 0.0}}, "probability")
    assert all(abs(x - y) < 1e-12 for x, y in zip(places, values))
