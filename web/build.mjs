// Makes dist/index.html: one file with its script and style inside, no request
// for anything else. With --tests: the unit tests, for node's test runner.
import {mkdirSync, readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {gzipSync} from 'node:zlib';
import {build} from 'esbuild';

const folder = new URL('.', import.meta.url).pathname;

// uPlot makes a number format and a time zone when it is loaded, 20 ms of
// Chromium's time; the page needs neither.
const lazyUplot = {
  name: 'lazy-uplot',
  setup(plugins) {
    plugins.onLoad({filter: /uPlot\.esm\.js$/}, ({path}) => {
      let contents = readFileSync(path, 'utf8');
      for (const [eager, lazy] of [
        ["const numFormatter = new Intl.NumberFormat(domEnv ? nav.language : 'en-US');", ''],
        ['const fmtNum = val => numFormatter.format(val);', "const fmtNum = val => val.toLocaleString(domEnv ? nav.language : 'en-US');"],
        ['const localTz = new Intl.DateTimeFormat().resolvedOptions().timeZone;', 'const localTz = undefined;'],
      ]) {
        if (!contents.includes(eager)) throw new Error(`uPlot has no longer: ${eager}`);
        contents = contents.replace(eager, () => lazy);
      }
      return {contents, loader: 'js'};
    });
  },
};

const common = {bundle: true, absWorkingDir: folder, logLevel: 'warning', charset: 'ascii', plugins: [lazyUplot]};

if (process.argv.includes('--tests')) {
  await build({
    ...common,
    entryPoints: readdirSync(`${folder}test`).map((name) => `test/${name}`),
    platform: 'node',
    format: 'esm',
    outdir: 'build',
    outExtension: {'.js': '.mjs'},
  });
} else {
  const output = async (entry) => {
    const built = await build({
      ...common,
      entryPoints: [entry],
      minify: true,
      format: 'iife',
      target: ['es2022', 'chrome100', 'firefox100', 'safari15'],
      legalComments: 'none',
      write: false,
    });
    return built.outputFiles[0].text.trim();
  };
  const early = await output('src/early.ts');
  const script = await output('src/main.ts');
  const style = await output('src/style.css');
  // What would end the element early must not be in it.
  if (/<\/(script|style)|<!--/i.test(early + script + style)) throw new Error('the script ends its own element');
  const page = readFileSync(`${folder}src/index.html`, 'utf8')
    .replace('<!--license-->', () => `<!--\nThe charts are drawn by uPlot:\n\n${readFileSync(`${folder}node_modules/uplot/LICENSE`, 'utf8').trim()}\n-->`)
    .replace('/*style*/', () => style)
    .replace('/*early*/', () => early)
    .replace('/*script*/', () => script);
  mkdirSync(`${folder}dist`, {recursive: true});
  writeFileSync(`${folder}dist/index.html`, page);
  console.log(`dist/index.html: ${page.length} bytes, ${gzipSync(page, {level: 9}).length} compressed`);
}
