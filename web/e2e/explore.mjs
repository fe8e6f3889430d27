// Somebody looks closer: zoom, ranks, pairs, by pointer.
import {drawn, scenario, text, until} from './harness.mjs';

await scenario(async ({open, shot, requests, given}) => {
  const page = await open(`#/runs/${given.run}`);
  await drawn(page);
  const where = () => text(page, '.charts .where');
  const first = requests.filter((asked) => asked.includes('/series')).map((asked) => asked.split('?')[1]);
  const saw = {all: await where(), first};

  // Hover: values at the step, in all charts and in the heatmap.
  const plot = page.locator('.plot .u-over').first();
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
  saw.hover = await until(page, '.charts .where', (words) => words.startsWith('at step'));
  saw.cursors = await page.locator('.u-cursor-x').evaluateAll((all) => all.filter((one) => getComputedStyle(one).display !== 'none' && one.getBoundingClientRect().x > 0).map((one) => Math.round(one.getBoundingClientRect().x)));

  // Zoom by dragging over the second quarter.
  const asked = requests.length;
  await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 40, {steps: 4});
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40, {steps: 4});
  await page.mouse.up();
  await page.mouse.move(box.x - 200, box.y - 60);
  await page.waitForFunction(() => location.hash.includes('from='));
  saw.zoomed = await until(page, '.charts .where', (words) => words !== saw.all && words.startsWith('steps'));
  saw.address = await page.evaluate(() => location.hash);
  saw.asked = requests.slice(asked).filter((one) => one.includes('from=')).map((one) => new URL(one).pathname.split('/').pop());
  await shot(page, 'zoomed');
  // The address is the view: another reader sees the same.
  const other = await open(saw.address);
  await drawn(other);
  saw.sent = await until(other, '.charts .where', (words) => words === saw.zoomed);
  await other.close();
  await plot.dblclick();
  await page.mouse.move(10, 10);
  saw.reset = await until(page, '.charts .where', (words) => words === saw.all);

  // A rank by its row of the heatmap, and by the table.
  await page.locator('.heatmap canvas').scrollIntoViewIfNeeded();
  const heat = await page.locator('.heatmap canvas').boundingBox();
  await page.mouse.move(heat.x + heat.width * 0.7, heat.y + 22 * 5.5);
  saw.cell = await until(page, '.heatmap .readout', (words) => words.startsWith('Rank 5'));
  await page.mouse.click(heat.x + heat.width * 0.7, heat.y + 22 * 5.5);
  saw.rank5 = await until(page, '.legend', (words) => words.includes('rank 5'));
  await page.getByRole('button', {name: '6', exact: true}).click();
  saw.rank6 = await until(page, '.legend', (words) => words.includes('rank 6'));
  saw.pressed = await page.locator('.pick[aria-pressed=true]').allInnerTexts();

  // Sorting.
  const order = () => page.locator('.ranks tbody .pick').allInnerTexts();
  saw.byDeviation = await order();
  await page.locator('.ranks thead').getByRole('button', {name: 'Rank'}).click();
  saw.byRank = await order();
  saw.sorted = await page.locator('.ranks th[aria-sort]').innerText();

  // Another quantity.
  const requestsBefore = requests.length;
  await page.getByRole('button', {name: 'Gradient norm'}).click();
  await until(page, '.ranks .where', (words) => words.includes('norm'));
  saw.metric = requests.slice(requestsBefore).filter((one) => one.includes('heatmap')).map((one) => new URL(one).searchParams.get('metric'));

  // Pairs at a step.
  await page.getByLabel('Step of the matrix').fill(String(given.step));
  await page.getByRole('button', {name: 'Show', exact: true}).click();
  saw.matrix = await until(page, '.matrix .where', (words) => words.replace(/\s/g, '').includes(`step${given.step}`));
  await page.locator('.matrix canvas').scrollIntoViewIfNeeded();
  const cells = await page.locator('.matrix canvas').boundingBox();
  await page.mouse.move(cells.x + 30 + 44 * 2.5 * Math.min(1, (cells.width - 32) / 352), cells.y + 18 + 44 * 1.5 * Math.min(1, (cells.width - 32) / 352));
  saw.pair = await until(page, '.matrix .readout', (words) => words.startsWith('Ranks 1 and 2'));
  await page.getByLabel('Step of the matrix').fill('many');
  await page.getByRole('button', {name: 'Show', exact: true}).click();
  saw.refused = await text(page, '.matrix .message');
  await shot(page, 'explored');
  return saw;
});
