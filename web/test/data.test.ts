import assert from 'node:assert/strict';
import {test} from 'node:test';
import {ReportApi} from '../src/api.ts';
import {mix} from '../src/colour.ts';
import {decodeHeatmap, decodeRanks, decodeSeries} from '../src/decode.ts';
import {accused, deviations, differingFacts} from '../src/deviation.ts';
import {bucketAt, sliceHeatmap, sliceSeries} from '../src/slice.ts';

const FIRST = ['0', '10', '30'];
const LAST = ['9', '19', '39'];
const heatmap = decodeHeatmap({ranks: [2, 5], firstStep: FIRST, lastStep: LAST, values: [1, -9, 2, 'NaN', 0, 'NaN']});

test('a step is found in its bucket, or in the nearest', () => {
  const at = [-5, 0, 9, 10, 19, 21, 26, 39, 99].map((step) => bucketAt(heatmap.first, heatmap.last, step));
  assert.deepEqual(at, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
  assert.equal(bucketAt([], [], 3), -1);
});

test('a range keeps the buckets that it touches', () => {
  const cut = sliceHeatmap(heatmap, {from: 19, to: 30});
  assert.deepEqual([cut.first, [...cut.values]], [[10, 30], [-9, 2, 0, NaN]]);
  const series = decodeSeries({firstStep: FIRST, lastStep: LAST, columns: [{name: 'loss_mean', min: [1, 2, 3], max: [1, 2, 3], mean: [1, 2, 3]}]});
  assert.deepEqual(sliceSeries(series, {from: 0, to: 5}).columns.get('loss_mean')?.mean, [1]);
});

test('deviations: the newest quarter, and the peak with its step', () => {
  const found = deviations(heatmap);
  assert.deepEqual(found.get(2), {lasting: 2, peak: -9, peakStep: 10});
  assert.deepEqual(found.get(5), {lasting: null, peak: 0, peakStep: 10});
});

test('facts differ between ranks of the newest attempt, the judged ones first', () => {
  const rank = (number: number, attempt: number, seed: string, loader: string): unknown => ({
    rank: number,
    attempt,
    facts: [{name: 'zeed', value: seed}, {name: 'a_seed', value: loader, shownOnly: true}, {name: 'same', value: '1'}],
  });
  const {differing, agreeing} = differingFacts(decodeRanks({ranks: [rank(0, 2, '7', '0'), rank(1, 2, '8', '1'), rank(2, 2, '8', '2'), rank(3, 1, '9', '3')]}));
  assert.deepEqual(differing.map((fact) => fact.name), ['zeed', 'a_seed']);
  assert.deepEqual(differing[0]?.values, [{value: '8', ranks: [1, 2]}, {value: '7', ranks: [0]}]);
  assert.deepEqual(agreeing, [{name: 'same', value: '1'}]);
});

test('nobody is accused where all ranks are named', () => {
  const alert = (ranks: number[]): never => ({ranks}) as never;
  assert.deepEqual([accused(null, 4), accused(alert([0, 1]), 2), accused(alert([1, 2, 3, 4, 5]), 8)], [[], [], [1, 2, 3, 4]]);
});

test('colours go through their stops', () => {
  const stops = [[0, 0, 0], [100, 0, 0], [100, 50, 0]] as const;
  assert.deepEqual([mix(stops, 0), mix(stops, 0.25), mix(stops, 0.75), mix(stops, 2)], [[0, 0, 0], [50, 0, 0], [100, 25, 0], [100, 50, 0]]);
});

test('a report answers from what it has, and says so where it has nothing', async () => {
  const api = new ReportApi({
    '/api/v1/runs': {runs: [{run: 'a:1'}]},
    '/api/v1/runs/a:1/heatmap?metric=loss&columns=240': {metric: 'loss', ranks: [0], firstStep: FIRST, lastStep: LAST, values: [1, 2, 3]},
    '/api/v1/runs/a:1/matrix?step=7': {step: '7', ranks: [0]},
    '/api/v1/alerts': {alerts: [{run: 'a:1'}, {run: 'b'}]},
  });
  assert.equal((await api.heatmap('a:1', 'loss', {from: 10, to: 12})).first.length, 1);
  await assert.rejects(api.heatmap('a:1', 'gradient_norm', null), /report does not have/);
  assert.equal((await api.matrix('a:1', null)).step, 7);
  await assert.rejects(api.matrix('a:1', 8), /report does not have/);
  await assert.rejects(api.ranks('a:1'), /report does not have/);
  assert.equal((await api.alerts('a:1')).length, 1);
});

test('a report repeats what the daemon said instead of an answer', async () => {
  const api = new ReportApi({'/api/v1/runs/a/matrix': {error: 'no sketches'}});
  await assert.rejects(api.matrix('a', null), /no sketches/);
  assert.deepEqual([api.about, api.comparison], [null, null]);
});

test('a report says what it is of, and what its reference was like', () => {
  const {about, comparison} = new ReportApi({
    about: {run: 'a', madeUnixNanos: '1700000000000000000', version: '1.2'},
    comparison: {
      run: 'a', reference: 'b', differs: true, verdict: 'differs: loss dispersion 1.5 times the reference\'s', commonSteps: 60, firstStep: 4, lastStep: 63,
      lossDispersion: {verdict: 'differs', run: 3, reference: 2, ratio: 1.5, low: 1.4, high: 1.6, margin: 1.1, steps: 60, block: 2},
      meanLoss: {verdict: 'agrees', run: 2, reference: 2, difference: 0, low: -0.01, high: 0.01, margin: 0.02, steps: 60, block: 2},
      meanCosine: {verdict: 'unknown'},
    },
  });
  assert.deepEqual(about, {run: 'a', madeAt: 1.7e12, version: '1.2'});
  assert.deepEqual(comparison?.measures.map((one) => [one.name, one.agreement, one.isRatio, one.value, one.low]), [
    ['Mean loss', 'agrees', false, 0, -0.01],
    ['Loss dispersion', 'differs', true, 1.5, 1.4],
    ['Mean cosine', 'unknown', false, null, null],
  ]);
  assert.deepEqual([comparison?.differs, comparison?.commonSteps], [true, 60]);
});
