// How long a person waits for the page, in Debian's Chromium:
//   node bench.mjs URL RUN [FILE]
// First data: from the start of navigation until the frame with the first charts
// is presented (Element Timing of the words above them, which are set with them). The daemon has
// read nothing for the page before; "again": it was asked a moment ago.
// Bare: a page of three canvases as large and some words, side by side.
// Interactions: from the event until the end of the frame in which what it
// changes has changed; the 95th percentile and the longest of many.
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {gzipSync} from 'node:zlib';
import {chromium} from 'playwright-core';

const [url, run, file] = process.argv.slice(2);
const LOADS = 10;
const EACH = 30;
/** A person's tab stands before it is sent somewhere; this browser's processes of a new one must start first. */
const SETTLED_MS = 1000;
/** By then the page has drawn all. */
const DRAWN_MS = 1500;
/** How long musterd keeps frames that it has read (daemon/web/frame_cache.h), and a little. */
const FORGOTTEN_MS = 5500;

const browser = await chromium.launch({executablePath: '/usr/bin/chromium', args: ['--no-sandbox']});
const percentile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

// In the page.
function watch() {
  globalThis.spans = [];
  // The end of a frame is when a message that was posted from that frame's
  // callback arrives.
  const painted = (done) =>
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => done(performance.now());
      channel.port2.postMessage(0);
    });
  const until = (before, begun) =>
    painted((end) => {
      if (globalThis.state() !== before) globalThis.spans.push(end - begun);
      else if (end - begun < 2000) until(before, begun);
      else globalThis.spans.push(Infinity); // nothing happened
    });
  for (const type of ['pointermove', 'click', 'keydown']) {
    addEventListener(type, (event) => globalThis.type === type && until(globalThis.state(), event.timeStamp), {capture: true});
  }
  new PerformanceObserver((list) => (globalThis.firstData ??= list.getEntries()[0].renderTime)).observe({type: 'element', buffered: true});
  const chart = new MutationObserver(() => {
    const mark = document.querySelector('.plot canvas') && document.querySelector('.charts .where');
    if (!mark) return;
    mark.setAttribute('elementtiming', 'first');
    chart.disconnect();
  });
  chart.observe(document, {childList: true, subtree: true});
}

const BARE = `<!doctype html><body style="font:15px system-ui"><div class="charts"><div class="plot">${'<canvas width="940" height="144"></canvas>'.repeat(3)}</div><script>
for (const canvas of document.querySelectorAll('canvas')) {
  const context = canvas.getContext('2d');
  context.font = '12px system-ui';
  context.fillText('0', 10, 10);
  for (let i = 0; i < 600; ++i) context.lineTo(i * 1.5, 70 + 50 * Math.sin(i));
  context.stroke();
}
document.write('<p class="where">Some <b>words</b></p>');
</script>`;
const server = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end(BARE)).listen(0, '127.0.0.1');
await new Promise((ready) => server.on('listening', ready));

async function load(address) {
  const page = await (await browser.newContext({viewport: {width: 1440, height: 1000}})).newPage();
  await page.addInitScript(watch);
  await page.waitForTimeout(SETTLED_MS);
  await page.goto(address, {waitUntil: 'commit'});
  // Asking the page, Playwright would give it 330 kB of script to read first.
  await page.waitForTimeout(DRAWN_MS);
  await page.waitForFunction(() => globalThis.firstData > 0, null, {polling: 50});
  return page;
}

async function firstData(address) {
  const page = await load(address);
  const value = await page.evaluate(() => globalThis.firstData);
  await page.context().close();
  return value;
}

const first = {cold: [], again: [], bare: []};
const address = `${url}#/runs/${run}`;
await firstData(`http://127.0.0.1:${server.address().port}/`); // the browser's own first page
for (let i = 0; i < LOADS; ++i) {
  first.bare.push(await firstData(`http://127.0.0.1:${server.address().port}/`));
  await new Promise((done) => setTimeout(done, FORGOTTEN_MS));
  first.cold.push(await firstData(address));
  first.again.push(await firstData(address));
}
server.close();

const page = await load(address);
await page.locator('.matrix canvas').waitFor();
await page.waitForTimeout(2000);
/** `act` causes events of `type`, each of which changes what `state` gives, in the page. */
async function spans(type, state, act) {
  await page.evaluate(`globalThis.spans = []; globalThis.type = '${type}'; globalThis.state = () => ${state}`);
  for (let i = 0; i < EACH; ++i) {
    await act(i);
    // As people do, now before and now after the answer to the last one.
    await page.waitForTimeout(40 + ((i * 67) % 200));
  }
  await page.waitForFunction((count) => globalThis.spans.length >= count, EACH, {polling: 50});
  return page.evaluate(() => globalThis.spans);
}
const text = (selector) => `document.querySelector('${selector}').textContent`;
const attributes = (...names) => names.map((name) => `document.querySelector('.plot').getAttribute('${name}')`).join(` + ' ' + `);
const plot = await page.locator('.plot .u-over').first().boundingBox();
const saw = {};
saw.hover = await spans('pointermove', text('.charts .where'), (i) => page.mouse.move(plot.x + (plot.width * (i + 1)) / (EACH + 2), plot.y + 50));
await page.locator('.plot').first().focus();
saw.cursor = await spans('keydown', attributes('aria-valuenow'), () => page.keyboard.press('ArrowLeft'));
const view = attributes('aria-valuemin', 'aria-valuemax');
saw.zoom = await spans('keydown', view, (i) => page.keyboard.press(i % 10 < 5 ? '+' : '-'));
await page.keyboard.press('Escape');
await page.waitForTimeout(500);
await page.locator('.heatmap .grid').focus();
saw.heatmap = await spans('keydown', text('.heatmap .readout'), (i) => page.keyboard.press(i % 2 ? 'ArrowLeft' : 'ArrowDown'));
const button = page.locator('.pick').nth(4);
saw.rank = await spans('click', `document.querySelectorAll('.pick')[4].ariaPressed`, () => button.click());
saw.sort = await spans('click', `document.querySelector('.ranks thead').innerHTML`, (i) => page.locator('.ranks thead button').nth(i % 5).click());
await browser.close();

const html = await (await fetch(url)).text();
const numbers = {
  'page.weight_bytes': gzipSync(html, {level: 9}).length,
  'page.first_data_ms': percentile(first.cold, 0.5),
  'page.first_data_longest_ms': Math.max(...first.cold),
  'page.first_data_again_ms': percentile(first.again, 0.5),
  'page.bare_ms': percentile(first.bare, 0.5),
  'page.bare_longest_ms': Math.max(...first.bare),
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
