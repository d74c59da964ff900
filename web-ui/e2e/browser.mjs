// A browser that fails the test for what a person would not see: errors in the console, and axe's findings.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = fileURLToPath(new URL(".", import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = join(here, "../test/shots");
mkdirSync(shots, { recursive: true });

export const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const startBrowser = () => chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** What the browser says by itself when a request is refused or a line breaks: those are tested, not hidden. */
const EXPECTED = /Failed to load resource|WebSocket connection to|ERR_CONNECTION|net::ERR/;

export async function newPage(
  browser,
  {
    origin,
    cookies = [],
    width = 1440,
    height = 900,
    theme = "dark",
    language = "en",
    pnl = "western",
  } = {},
) {
  const context = await browser.newContext({ viewport: { width, height }, baseURL: origin });
  if (cookies.length > 0) await context.addCookies(cookies);
  await context.addInitScript(
    (prefs) => {
      if (!localStorage.getItem("tidehelm.prefs"))
        localStorage.setItem("tidehelm.prefs", JSON.stringify(prefs));
    },
    { theme, language, pnl },
  );
  const page = await context.newPage();
  const said = [];
  page.on("pageerror", (error) => said.push(`uncaught: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !EXPECTED.test(message.text())) said.push(message.text());
  });
  return {
    page,
    context,
    quiet: () => assert.deepEqual(said, [], "the console must be quiet"),
    close: () => context.close(),
  };
}

/** No finding of axe; the page's own policy stays in force, so axe comes in by the debugger. */
export async function accessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  const found = violations.map(({ id, nodes }) => ({
    id,
    where: nodes
      .slice(0, 3)
      .map((node) => `${node.target} ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ""}`),
  }));
  assert.deepEqual(found, [], `axe on ${what}`);
}

/** Nothing is wider than the window. */
export async function fits(page, what) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `${what} is ${over} px wider than the window`);
}

export const shot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });
