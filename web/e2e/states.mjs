// A daemon that is lost and comes back. On standard output it says when it is
// ready for that, one word a line; the last line is the result.
import {createInterface} from 'node:readline';
import {drawn, scenario, text, until} from './harness.mjs';

const lines = createInterface({input: process.stdin})[Symbol.asyncIterator]();
const tell = async (word) => {
  console.log(word);
  await lines.next();
};

await scenario(async ({open, shot, given, errors}) => {
  const page = await open(`#/runs/${given.run}`);
  await drawn(page);
  const saw = {step: await text(page, '.tiles dd b'), status: await until(page, '.status', (words) => words.includes('Live'))};
  const before = errors.length;
  await tell('ready');
  saw.banner = await until(page, '.banner', (words) => words.includes('has not answered since'));
  saw.lost = await text(page, '.status');
  saw.kept = await text(page, '.tiles dd b');
  saw.grey = await page.evaluate(() => getComputedStyle(document.querySelector('main')).filter);
  await shot(page, 'lost');
  errors.splice(before); // the browser tells of each request that failed
  await tell('lost');
  saw.back = await until(page, '.status', (words) => words.includes('Live'), 40);
  saw.bannerGone = await page.locator('.banner').isHidden();
  errors.splice(before);
  return saw;
});
