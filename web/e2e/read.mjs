// Opens addresses and says what is there to read.
import {drawn, scenario} from './harness.mjs';

await scenario(async ({open, shot, given, errors}) => {
  const read = {};
  for (const [name, path] of Object.entries(given.paths)) {
    const page = await open(path);
    if (given.drawn?.includes(name)) await drawn(page);
    else await page.locator('h1').waitFor();
    await page.waitForTimeout(300);
    await shot(page, name);
    read[name] = await page.locator('body').innerText();
    read[`${name} hacked`] = await page.evaluate(() => globalThis.hacked === true || document.querySelectorAll('main img, main script, main iframe').length > 0);
    // The browser tells of each request that is refused, as those for a run that is not there.
    if (name === 'none') errors.splice(0, errors.length, ...errors.filter((error) => !error.includes('404')));
    await page.context().close();
  }
  return {read};
});
