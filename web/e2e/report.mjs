// A report from a file, opened as it comes in a ticket: without a route.
import {drawn, scenario, text, until} from './harness.mjs';

await scenario(async ({open, shot, given}) => {
  const page = await open();
  await drawn(page);
  await page.waitForTimeout(300);
  await shot(page, 'light');
  const saw = {hash: new URL(page.url()).hash, title: await page.title(), verdict: await text(page, '.headline'), body: await page.locator('body').innerText()};
  saw.hacked = await page.evaluate(() => globalThis.hacked === true || document.querySelectorAll('main img, main script, main iframe').length > 0);
  // Of each canvas, whether anything is on it.
  saw.ink = await page.locator('.plot canvas, .grid canvas').evaluateAll((canvases) =>
    canvases.map((canvas) => {
      const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set();
      for (let at = 0; at < data.length; at += 4) colours.add((data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3]);
      return colours.size;
    }),
  );
  if (given.matrix) {
    await page.getByRole('button', {name: /^Matrix at/}).first().click();
    saw.matrix = await until(page, '.matrix .where', (words) => !words.includes('newest'), 5);
  }
  if (given.comparison) saw.comparison = await text(page, '.comparison');
  await page.goto(page.url().split('#')[0] + '#/');
  await page.locator('.runs tbody tr').waitFor();
  saw.list = await text(page, '.runs');
  const dark = await open('', {theme: 'dark'});
  await drawn(dark);
  await dark.waitForTimeout(300);
  await shot(dark, 'dark');
  return saw;
});
