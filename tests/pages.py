"""The pages of `evaluate --html` and `assess --html` in a real browser, at two widths, without script and offline.

Usage: pages.py BLINDLINK ASSESS [FOLDER], the path of the program, the page that `assess --html` wrote (it takes minutes
to make), and where screenshots go; pages.py --find says whether a browser starts. Needs playwright from PyPI and Chromium, the system's or playwright's own.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTHS_PX = (1100, 400)

# Run in the page by the browser's debugger; the page itself may run nothing. Returns what is wrong, in words.
LOOK = r"""() => {
  const wrong = [], all = (what, under = document) => [...under.querySelectorAll(what)];
  const expect = (holds, words) => { if (!holds) wrong.push(words); };
  const shown = element => element.getClientRects().length > 0;
  const said = element => element.textContent.trim();
  const one = what => expect(all(what).length === 1, `${all(what).length} of <${what}>, not one`);
  ['h1', 'main', 'header', 'footer', 'head > title'].forEach(one);
  expect(document.documentElement.lang.startsWith('en'), 'no language');
  expect(said(document.querySelector('title')).length > 5, 'no title');
  expect(all('script').length === 0, 'a script');
  let level = 0;
  for (const heading of all('h1, h2, h3, h4')) {
    const next = Number(heading.tagName[1]);
    expect(next <= level + 1, `a heading skips a level: ${said(heading)}`);
    expect(said(heading).length > 0, 'an empty heading');
    level = next;
  }
  all('nav').forEach(nav => expect(nav.getAttribute('aria-label'), 'contents without a name'));
  all('a[href^="#"]').forEach(link => expect(document.getElementById(link.hash.slice(1)), `${link.hash} leads nowhere`));
  const ids = all('[id]').map(element => element.id);
  expect(new Set(ids).size === ids.length, 'an id stands twice');
  expect(all('img').every(image => image.alt), 'a picture without words');
  for (const table of all('table')) {
    expect(all('th[scope]', table).length > 0 && all('tbody tr', table).length > 0, `a table without heads or rows`);
    expect(table.caption && said(table.caption), 'a table without a caption');
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  expect(wide <= 0, `${wide} px wider than the window`);

  for (const figure of all('figure')) {
    const name = said(figure.querySelector('h3')), drawings = all('svg', figure).filter(shown);
    expect(drawings.length === 1, `${name}: ${drawings.length} drawings shown`);
    expect(all('table', figure).length === 1, `${name}: no table of the same numbers`);
    for (const drawing of all('svg', figure)) {
      const words = (drawing.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id));
      expect(drawing.getAttribute('role') === 'img' && words.length === 2 && words.every(word => word && said(word)),
        `${name}: a drawing without words`);
    }
    // What is drawn stands in the table, too: every name and every figure beside a mark.
    const told = said(figure.querySelector('table') || figure).replace(/\s+/g, ' ');
    for (const drawing of drawings) {
      const box = drawing.getBoundingClientRect(), texts = all('text', drawing).filter(text => said(text));
      const boxes = texts.map(text => text.getBoundingClientRect());
      for (const [at, text] of texts.entries()) {
        const a = boxes[at];
        expect(a.left >= box.left - 1 && a.right <= box.right + 1 && a.top >= box.top - 1 && a.bottom <= box.bottom + 1,
          `${name}: "${said(text)}" is cut off by the drawing's edge`);
        for (let other = at + 1; other < texts.length; other += 1) {
          if (text.hasAttribute('transform') || texts[other].hasAttribute('transform')) continue;
          const b = boxes[other];
          const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
          const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
          expect(across < 2 || down < 4, `${name}: "${said(text)}" and "${said(texts[other])}" overlap`);
        }
        const anchor = text.getAttribute('text-anchor'), along = anchor === 'middle' ? 'y' : 'x';
        if (text.matches('.tick') && anchor !== 'start') {
          const next = texts.slice(at + 1).find(other => other.matches('.tick') &&
            other.getAttribute('text-anchor') === anchor && other.getAttribute(along) === text.getAttribute(along));
          expect(!next || said(next) !== said(text), `${name}: two ticks of one axis say ${said(text)}`);
        }
        if (!text.matches('.tick, .axis')) {
          const drawn = said(text).replace(/…$/, '').replace(/\s+/g, ' ');
          expect(told.includes(drawn) || said(figure).includes(drawn), `${name}: "${drawn}" is not in the table`);
        }
      }
    }
  }

  const parts = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  for (const element of all('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !shown(element) || element.closest('svg title, svg desc, .skip')) continue;
    const style = getComputedStyle(element), drawn = element.closest('svg');
    if (drawn && element.matches('.on')) continue;
    const pair = [light(parts(drawn ? style.fill : style.color)), light(ground(drawn || element))];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    expect(contrast >= 4.5, `contrast ${contrast.toFixed(1)}: "${said(element).slice(0, 40)}"`);
  }
  return [...new Set(wrong)];
}"""


def main(program: str, assess: Path, shots: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        work = Path(folder)
        pages = [*write_pages(program, work), assess]
        browser = start(playwright)
        wrong = [f"{page.name}: {words}" for page in pages for words in look(browser, page, shots)]
        browser.close()
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(pages)} pages hold in Chromium at {' and '.join(map(str, WIDTHS_PX))} px")


def start(playwright):
    # Without a sandbox, which does not start as root; the pages are this program's own.
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])


def find() -> None:
    with sync_playwright() as playwright:
        start(playwright).close()


def write_pages(program: str, work: Path) -> list[Path]:
    """Two pages of `evaluate`, of two agencies with a pair and of four without."""

    def run(*words: str) -> None:
        done = subprocess.run([program, *words], cwd=work, capture_output=True, text=True)
        # 1: done, with findings.
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(words)}: {done.stderr}")

    run("generate", "--children", "2000", "-o", "kids")
    run("keygen", "-o", "linkage.key")
    agencies = ["health", "education", "social_care", "youth_justice"]
    files = [f"{agency}.parquet" for agency in agencies]
    for agency, out in zip(agencies, files):
        run("encode", "--key", "linkage.key", "--agency", agency, "--plain-ids", "--columns",
            f"kids/{agency}.columns.toml", f"kids/{agency}.csv", "-o", out)
    for name, linked, more in (("two", files[:2], ["--encodings", *files[:2]]), ("four", files, [])):
        run("link", *linked, "-o", f"{name}.csv")
        run("evaluate", f"{name}.csv", "--truth", "kids/truth.csv", "--html", f"evaluate-{name}.html", *more)
    return [work / "evaluate-two.html", work / "evaluate-four.html"]


def look(browser, file: Path, shots: Path | None) -> list[str]:
    wrong, texts = [], set()
    for script in (True, False):
        for width in WIDTHS_PX:
            context = browser.new_context(
                offline=True, java_script_enabled=script, viewport={"width": width, "height": 900})
            page = context.new_page()
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(f"an error: {error}"))
            page.on("console", lambda line: wrong.append(f"the browser's console says: {line.text}"))
            page.goto(file.as_uri())
            if asked != [file.as_uri()]:
                wrong.append(f"loads {asked[1:]}")
            wrong += [f"{width} px: {words}" for words in page.evaluate(LOOK)]
            texts.add((width, page.inner_text("main")))
            if shots and not script:
                page.screenshot(path=shots / f"{file.stem}-{width}.png", full_page=True)
            context.close()
    if len(texts) != len(WIDTHS_PX):
        wrong.append("says something else without script")
    return sorted(set(wrong))


if __name__ == "__main__":
    if sys.argv[1] == "--find":
        sys.exit(find())
    out = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    if out:
        out.mkdir(parents=True, exist_ok=True)
    main(str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve(), out)
