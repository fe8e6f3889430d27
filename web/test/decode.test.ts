import assert from 'node:assert/strict';
import {test} from 'node:test';
import {decodeAlerts, decodeHeatmap, decodeRanks, decodeRuns, decodeSeries, numberOrNull} from '../src/decode.ts';

test('what is not a finite number becomes null, and 64-bit integers numbers', () => {
  const inputs = ['NaN', 'Infinity', '-Infinity', '', 'x', null, undefined, {}, 0, -1.5, '12', '9007199254740991'];
  assert.deepEqual(inputs.map(numberOrNull), [null, null, null, null, null, null, null, null, 0, -1.5, 12, 9007199254740991]);
});

test('columns of a series are found by name, and those of a rank by name and rank', () => {
  const series = decodeSeries({
    worldSize: 2,
    oldestStep: '5',
    newestStep: '9',
    frames: '5',
    firstStep: ['5', '7'],
    lastStep: ['6', '9'],
    columns: [
      {name: 'rank_loss', min: [1, 'NaN'], max: [2, 'NaN'], mean: [1.5, 'NaN']},
      {name: 'rank_loss', rank: 0, min: [1], max: [1], mean: [1]},
    ],
  });
  const band = series.columns.get('rank_loss')!;
  assert.deepEqual([band.min, band.max, band.mean], [[1, null], [2, null], [1.5, null]]);
  assert.equal(band.min, band.min, 'decoded once');
  assert.deepEqual([...series.columns.keys()], ['rank_loss', 'rank_loss/0']);
  assert.deepEqual([series.first, series.last, series.frames], [[5, 7], [6, 9], 5]);
});

test('cells that a rank gave no value for are NaN', () => {
  const heatmap = decodeHeatmap({ranks: [0, 1], firstStep: ['1'], lastStep: ['1'], values: [0.5, 'NaN']});
  assert.equal(heatmap.values[0], 0.5);
  assert.ok(Number.isNaN(heatmap.values[1]));
});

test('absent fields, unknown states and other shapes do no harm', () => {
  assert.deepEqual(decodeRuns({}).runs, []);
  assert.deepEqual(decodeRuns(null).runs, []);
  const [run] = decodeRuns({runs: [{run: 'a', state: 'SOMETHING_NEW', newestUnixNanos: '2000000'}]}).runs;
  assert.equal(run?.state, 'UNKNOWN');
  assert.equal(run?.newest, null);
  assert.equal(run?.newestAt, 2);
  assert.equal(decodeRanks({ranks: [{rank: 3, values: {loss: 'NaN'}}]})[0]?.loss, null);
});

test('the checks of an alert are read in either form', () => {
  const [both, first, none] = decodeAlerts({alerts: [{checks: ['a', 'b'], firstCheck: 'c'}, {firstCheck: 'c'}, {}]});
  assert.deepEqual([both?.checks, first?.checks, none?.checks], [['a', 'b'], ['c'], []]);
});
