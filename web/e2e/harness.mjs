// Drives the page in Debian's Chromium. Each scenario is a program:
//   node SCENARIO.mjs URL FOLDER [JSON]     URL: of the daemon, or of a file
// It prints one JSON object: what it saw, console errors, and requests that
// left the page's own server. Screenshots go to FOLDER. Judging is the caller's.
import {chromium} from 'playwright-core';

export async function scenario(act) {
  const [url, folder, json] = process.argv.slice(2);
  const browser = await chromium.launch({executablePath: '/usr/bin/chromium', args: ['--no-sandbox']});
  const errors = [];
  const foreign = [];
  const requests = [];

  async function open(path = '', {theme = 'light', width = 1440, height = 1000, ...more} = {}) {
    const context = await browser.newContext({colorScheme: theme, viewport: {width, height}, reducedMotion: 'reduce', ...more});
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('request', (request) => {
      const asked = request.url();
      requests.push(asked);
      if (new URL(asked).origin !== new URL(url).origin) foreign.push(asked);
    });
    await page.goto(url + path);
    return page;
  }

  const shot = (page, name, fullPage = true) => page.screenshot({path: `${folder}/${name}.png`, fullPage});
  let saw;
  try {
    saw = await act({open, shot, requests, errors, given: json ? JSON.parse(json) : {}});
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify({...saw, errors, foreign, requests: requests.length}));
}

export const text = (page, selector) => page.locator(selector).first().innerText();

/** Until the charts of a run stand. */
export async function drawn(page) {
  await page.locator('.plot canvas').nth(2).waitFor();
  await page.locator('.ranks tbody tr').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('.legend b')?.textContent?.includes('–'));
}

/** Words of an element, asked again until `good` likes them. */
export async function until(page, selector, good, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const words = await page.locator(selector).first().innerText().catch(() => '');
    if (good(words) || Date.now() > end) return words;
    await page.waitForTimeout(50);
  }
}
