// What axe-core says, light and dark, and pictures of all that, wide and narrow.
import {createRequire} from 'node:module';
import {drawn, scenario} from './harness.mjs';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

await scenario(async ({open, shot, given}) => {
  const faults = [];
  const overflow = [];
  const backgrounds = {};
  for (const theme of ['light', 'dark']) {
    for (const [size, width] of [['wide', 1440], ['narrow', 390]]) {
      for (const [name, path] of Object.entries(given.paths)) {
        // The policy of the page lets no script of others in: axe is one.
        const page = await open(path, {theme, width, height: 900, bypassCSP: true});
        if (given.drawn.includes(name)) await drawn(page);
        else await page.locator('h1').waitFor();
        await page.waitForTimeout(200);
        backgrounds[theme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        await shot(page, `${name}-${theme}-${size}`);
        overflow.push(...(await page.evaluate(() => (document.documentElement.scrollWidth > innerWidth ? [`${location.hash} is ${document.documentElement.scrollWidth} wide at ${innerWidth}`] : []))));
        await page.addScriptTag({path: axe});
        const result = await page.evaluate(() => globalThis.axe.run(document, {resultTypes: ['violations']}));
        for (const violation of result.violations) {
          faults.push({where: `${name} ${theme} ${size}`, id: violation.id, impact: violation.impact, nodes: violation.nodes.slice(0, 3).map((node) => `${node.target}: ${node.failureSummary}`)});
        }
        await page.context().close();
      }
    }
  }
  // The switch beats the system, and is remembered.
  const page = await open('#/', {theme: 'light'});
  await page.locator('h1').waitFor();
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await background();
  const button = page.getByRole('button', {name: /^Colours/});
  await button.click();
  await button.click();
  const after = await background();
  const label = await button.getAttribute('aria-label');
  await page.reload();
  await page.locator('h1').waitFor();
  return {faults, overflow, backgrounds, chosen: {before, after, label, reloaded: await background()}};
});
