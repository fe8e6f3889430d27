// One picture for people: of the page, a report, or an element of any file.
import {basename} from 'node:path';
import {drawn, scenario} from './harness.mjs';

await scenario(async ({open, shot, given}) => {
  const name = basename(process.argv[3]);
  const page = await open(given.path ?? '', {theme: given.theme ?? 'light', width: 1280, height: 1260});
  if (given.element) {
    await page.locator(given.element).screenshot({path: `${process.argv[3]}/${name}.png`});
  } else {
    await drawn(page);
    await page.waitForTimeout(500);
    await shot(page, name, given.full === true);
  }
  return {};
});
