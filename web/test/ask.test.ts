import assert from 'node:assert/strict';
import {test} from 'node:test';
import {ask, sendEarly} from '../src/ask.ts';
import {firstPaths} from '../src/paths.ts';
import {parseRoute} from '../src/route.ts';

test('what was sent early is taken once, all else is sent', async () => {
  const sent: string[] = [];
  globalThis.fetch = async (path) => {
    sent.push(String(path));
    if (path === '/gone') throw new TypeError('refused');
    return new Response(String(sent.length));
  };
  sendEarly(['/a', '/gone']);
  assert.equal(await (await ask('/a')).text(), '1');
  await assert.rejects(ask('/gone'), TypeError);
  assert.deepEqual(sent, ['/a', '/gone']);
  assert.equal(await (await ask('/a')).text(), '3');
  assert.equal(await (await ask('/b')).text(), '4');
  assert.deepEqual(sent, ['/a', '/gone', '/a', '/b']);
});

test('first paths are those of the address', () => {
  assert.deepEqual(firstPaths(parseRoute('')), ['/api/v1/runs', '/api/v1/alerts']);
  assert.deepEqual(firstPaths(parseRoute('#/runs/a:b?from=3&to=9&rank=1,2')), [
    '/api/v1/runs',
    '/api/v1/alerts?run=a%3Ab',
    '/api/v1/runs/a%3Ab/series?from=3&to=9&points=600&digits=8&rank=1%2C2',
  ]);
});
