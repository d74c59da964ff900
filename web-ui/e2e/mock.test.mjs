// The built page against the mock: what development and demonstrations stand on.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { startMock } from "../mock/server.mjs";
import { accessible, executablePath, fits, newPage, startBrowser } from "./browser.mjs";

const built = existsSync(new URL("../dist/index.html", import.meta.url));
const skip = built && existsSync(executablePath) ? false : "needs the built page and Chromium";
let mock;
let browser;

before(async () => {
  if (skip) return;
  mock = await startMock();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await mock?.stop();
});

test("every page of the menu shows what was recorded", { skip }, async () => {
  const { page, quiet, close } = await newPage(browser, { origin: mock.origin });
  for (const path of ["/", "/copying?view=list", "/accounts", "/endpoints", "/log", "/settings"]) {
    await page.goto(path);
    await page.locator("main h1, main h2").first().waitFor();
    await page
      .locator(".failed")
      .waitFor({ state: "attached", timeout: 700 })
      .then(
        () => assert.fail(`${path} shows an error`),
        () => {},
      );
    await fits(page, path);
  }
  await accessible(page, "settings of the mock");
  quiet();
  await close();
});

test("a switch and STOP work", { skip }, async () => {
  const { page, quiet, close } = await newPage(browser, { origin: mock.origin });
  await page.goto("/copying?view=cards");
  const control = page.getByRole("switch", { name: /^Copying from/ }).first();
  await control.click();
  await page.getByText("slave_web_ui_disabled").first().waitFor();
  assert.equal(await control.getAttribute("aria-checked"), "false");
  await page.keyboard.press("!");
  await page.getByRole("button", { name: "Arm" }).click();
  await page.keyboard.press("Enter");
  await page.locator(".bar-stop").waitFor();
  quiet();
  await close();
});
