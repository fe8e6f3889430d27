import assert from 'node:assert/strict';
import {test} from 'node:test';
import {duration, integer, number, rankList, signed, steps, who} from '../src/format.ts';
import {formatRoute, parseRoute} from '../src/route.ts';

test('numbers keep their significant digits', () => {
  const written = [0, 1, 2.34567, 123.456, 0.012345, -0.5, 99999, 1234567, 0.00001].map((value) => number(value));
  assert.deepEqual(written, ['0', '1.000', '2.346', '123.5', '0.01235', '−0.5000', '99999', '1.23e6', '1.00e−5']);
  assert.deepEqual([number(null), number(undefined), number(NaN)], ['–', '–', '–']);
});

test('deviations have their sign', () => {
  assert.deepEqual([7.24, -0.4, 0, -0.01, 250.7, NaN, null, Infinity].map(signed), ['+7.2', '−0.4', '+0.0', '+0.0', '+251', '–', '–', '+∞']);
});

test('thousands, steps and durations', () => {
  assert.deepEqual([integer(999), integer(10000), integer(1234567)], ['999', '10\u202f000', '1\u202f234\u202f567']);
  assert.deepEqual([steps(4, 4), steps(4, 9)], ['step 4', 'steps 4–9']);
  assert.deepEqual([-5, 59_999, 60_000, 3_780_000, 90_000_000].map(duration), ['0 s', '59 s', '1 min 0 s', '1 h 3 min', '1 d 1 h']);
});

test('ranks are named in ranges', () => {
  assert.equal(rankList([0, 1, 2, 3, 5, 7, 8]), '0–3, 5, 7, 8');
  assert.equal(rankList([0, 2, 4, 6, 7, 8], 2), '0, 2 and 4 more');
  assert.deepEqual([who([], 8), who([3], 8), who([1, 4], 8), who([0, 1, 2], 8), who([0, 1], 2)], ['the run', 'rank 3', 'ranks 1 and 4', 'ranks 0–2', 'all ranks']);
});

test('an address says what is shown, and comes back the same', () => {
  const route = {run: 'a:b.c', range: {from: 4, to: 90}, ranks: [3, 5], metric: 'gradient_norm' as const};
  assert.equal(formatRoute(route), '#/runs/a%3Ab.c?from=4&to=90&rank=3,5&metric=gradient_norm');
  assert.deepEqual(parseRoute(formatRoute(route)), route);
  assert.deepEqual(parseRoute('#/runs/x?from=9&to=4&rank=&metric=none'), {run: 'x', range: null, ranks: [], metric: 'loss'});
  for (const broken of ['', '#', '#/', '#/runs/', '#/runs/%E0%A4%A', '#/other/x']) assert.equal(parseRoute(broken).run, null);
});
