// The same without a pointer.
import {drawn, scenario, text, until} from './harness.mjs';

await scenario(async ({open, shot, given}) => {
  const list = await open('#/');
  await list.locator('.runs a').first().waitFor();
  const focused = (page) => page.evaluate(() => `${document.activeElement.tagName.toLowerCase()} ${document.activeElement.className} ${document.activeElement.innerText.slice(0, 20)}`.trim());
  await list.keyboard.press('Tab');
  const saw = {skip: await focused(list)};
  await list.keyboard.press('Enter');
  saw.main = await list.evaluate(() => document.activeElement.id);
  for (let i = 0; i < 20 && !(await focused(list)).endsWith(given.run.slice(0, 20)); ++i) await list.keyboard.press('Tab');
  saw.link = await focused(list);
  await list.keyboard.press('Enter');
  await drawn(list);
  saw.page = await list.evaluate(() => location.hash);
  const page = list;
  const all = await text(page, '.charts .where');

  // To the first chart, by tabbing alone.
  let tabs = 0;
  while (!(await page.evaluate(() => document.activeElement.matches('.plot'))) && ++tabs < 60) await page.keyboard.press('Tab');
  saw.tabs = tabs;
  saw.outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  const value = () => page.evaluate(() => document.activeElement.ariaValueText);
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction(() => document.activeElement.ariaValueText.includes('mean'));
  saw.first = await value();
  await page.keyboard.press('ArrowLeft');
  await page.waitForFunction((old) => document.activeElement.ariaValueText !== old, saw.first);
  saw.second = await value();
  await page.keyboard.press('+');
  saw.zoomed = await until(page, '.charts .where', (words) => words !== all);
  await page.waitForFunction(() => location.hash.includes('from='));
  saw.address = await page.evaluate(() => location.hash);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !location.hash.includes('from='));
  await page.keyboard.press('Home');
  await page.keyboard.press('Enter');
  saw.matrix = await until(page, '.matrix .where', (words) => !words.includes('newest'));

  // On to the heatmap.
  while (!(await page.evaluate(() => document.activeElement.matches('.heatmap .grid'))) && ++tabs < 80) await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  saw.cell = await until(page, '.heatmap .readout', (words) => words.startsWith('Rank 1,'));
  await page.keyboard.press('Enter');
  saw.chosen = await until(page, '.legend', (words) => words.includes('rank 1'));
  await shot(page, 'keyboard');

  // The matrix.
  while (!(await page.evaluate(() => document.activeElement.matches('.matrix .grid'))) && ++tabs < 160) await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  saw.pair = await until(page, '.matrix .readout', (words) => words.startsWith('Ranks'));
  saw.given = given.run;
  return saw;
});
