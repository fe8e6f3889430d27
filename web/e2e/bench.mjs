// How long a person waits for the page, in Debian's Chromium:
//   node bench.mjs URL RUN [FILE]
// First data: from the start of navigation until the first chart is painted.
// Interactions: from the event until the frame that it changed is painted,
// the 95th percentile and the longest of many.
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {gzipSync} from 'node:zlib';
import {chromium} from 'playwright-core';

const [url, run, file] = process.argv.slice(2);
const LOADS = 10;
const EACH = 30;

const browser = await chromium.launch({executablePath: '/usr/bin/chromium', args: ['--no-sandbox']});
const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

// In the page: the end of the frame after an event is when a message that was
// posted from that frame's callback arrives.
function watch() {
  globalThis.spans = {};
  const painted = (done) =>
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => done(performance.now());
      channel.port2.postMessage(0);
    });
  for (const type of ['pointermove', 'click', 'keydown']) {
    addEventListener(type, (event) => painted((end) => (globalThis.spans[type] ??= []).push(end - event.timeStamp)), {capture: true});
  }
  const chart = new MutationObserver(() => {
    if (!document.querySelector('.plot canvas') || globalThis.firstData) return;
    globalThis.firstData = -1;
    painted((end) => (globalThis.firstData = end));
  });
  addEventListener('DOMContentLoaded', () => chart.observe(document.body, {childList: true, subtree: true}));
}

async function load() {
  const page = await (await browser.newContext({viewport: {width: 1440, height: 1000}})).newPage();
  await page.addInitScript(watch);
  await page.goto(`${url}#/runs/${run}`);
  await page.waitForFunction(() => globalThis.firstData > 0);
  return page;
}

const first = [];
for (let i = 0; i < LOADS; ++i) {
  const page = await load();
  first.push(await page.evaluate(() => globalThis.firstData));
  await page.context().close();
}

const page = await load();
await page.locator('.matrix canvas').waitFor();
await page.waitForTimeout(2000);
async function spans(type, act) {
  await page.evaluate(() => (globalThis.spans = {}));
  for (let i = 0; i < EACH; ++i) {
    await act(i);
    await page.waitForTimeout(40);
  }
  await page.waitForTimeout(200);
  return page.evaluate((name) => globalThis.spans[name], type);
}
const plot = await page.locator('.plot .u-over').first().boundingBox();
const saw = {};
saw.hover = await spans('pointermove', (i) => page.mouse.move(plot.x + (plot.width * (i + 1)) / (EACH + 2), plot.y + 50));
await page.locator('.plot').first().focus();
saw.cursor = await spans('keydown', () => page.keyboard.press('ArrowLeft'));
saw.zoom = await spans('keydown', (i) => page.keyboard.press(i % 10 < 5 ? '+' : '-'));
await page.keyboard.press('Escape');
await page.locator('.heatmap .grid').focus();
saw.heatmap = await spans('keydown', (i) => page.keyboard.press(i % 2 ? 'ArrowLeft' : 'ArrowDown'));
const button = page.locator('.pick').nth(4);
saw.rank = await spans('click', () => button.click());
saw.sort = await spans('click', (i) => page.locator('.ranks thead button').nth(i % 5).click());
await browser.close();

const html = await (await fetch(url)).text();
const numbers = {
  'page.weight_bytes': gzipSync(html, {level: 9}).length,
  'page.first_data_ms': percentile(first, 0.5),
  'page.first_data_longest_ms': Math.max(...first),
};
for (const [name, values] of Object.entries(saw)) {
  numbers[`page.${name}_p95_ms`] = percentile(values, 0.95);
  numbers[`page.${name}_longest_ms`] = Math.max(...values);
}
for (const [name, value] of Object.entries(numbers)) {
  numbers[name] = Math.round(value * 10) / 10;
  console.log(`${name.padEnd(28)} ${numbers[name]}`);
}
if (file) writeFileSync(file, JSON.stringify({...(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}), ...numbers}, null, 2) + '\n');
