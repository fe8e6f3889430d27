// A run that goes on, and goes wrong, while somebody looks.
import {drawn, scenario, text, until} from './harness.mjs';

await scenario(async ({open, shot, given}) => {
  const list = await open('#/');
  const inList = await until(list, '.runs tbody tr', (words) => words.includes(given.run));
  const page = await open(`#/runs/${given.run}`);
  await drawn(page);
  const step = () => text(page, '.tiles dd b').then((words) => Number(words.replace(/\s/g, '')));
  const before = {step: await step(), sentence: await text(page, 'h1'), newest: await page.locator('.plot').first().getAttribute('aria-valuemax')};
  await page.waitForFunction((old) => Number(document.querySelector('.tiles dd b').textContent.replace(/\s/g, '')) > old + 20, before.step);
  await page.waitForFunction((old) => Number(document.querySelector('.plot').ariaValueMax) > old, Number(before.newest));
  const sentence = await until(page, 'h1', (words) => words.includes('apart'), 60);
  await page.locator('.alert.firing').first().waitFor();
  const alert = await text(page, '.alert.firing');
  const checks = await text(page, '.alert.firing details');
  // The accused rank is drawn without being asked for.
  const legend = await until(page, '.legend', (words) => words.includes('rank 3'));
  const title = await page.title();
  await shot(page, 'live');
  const listed = await until(list, '.runs tbody tr', (words) => words.includes('apart'));
  const headline = await text(list, 'h1');
  const width = await list.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await shot(list, 'list');
  return {inList, before, sentence, alert, checks, legend, title, listed, headline, overflow: width};
});
