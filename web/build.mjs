// Makes dist/index.html: one file with its script and style inside, no request
// for anything else. With --tests: the unit tests, for node's test runner.
import {mkdirSync, readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {gzipSync} from 'node:zlib';
import {build} from 'esbuild';

const folder = new URL('.', import.meta.url).pathname;
const common = {bundle: true, absWorkingDir: folder, logLevel: 'warning', charset: 'ascii'};

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
  const script = await output('src/main.ts');
  const style = await output('src/style.css');
  // What would end the element early must not be in it.
  if (/<\/(script|style)|<!--/i.test(script + style)) throw new Error('the script ends its own element');
  const page = readFileSync(`${folder}src/index.html`, 'utf8')
    .replace('<!--license-->', () => `<!--\nThe charts are drawn by uPlot:\n\n${readFileSync(`${folder}node_modules/uplot/LICENSE`, 'utf8').trim()}\n-->`)
    .replace('/*style*/', () => style)
    .replace('/*script*/', () => script);
  mkdirSync(`${folder}dist`, {recursive: true});
  writeFileSync(`${folder}dist/index.html`, page);
  console.log(`dist/index.html: ${page.length} bytes, ${gzipSync(page, {level: 9}).length} compressed`);
}
