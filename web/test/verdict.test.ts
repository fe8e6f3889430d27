import assert from 'node:assert/strict';
import {test} from 'node:test';
import {decodeAlerts, decodeRuns} from '../src/decode.ts';
import type {Alert, Run} from '../src/types.ts';
import {alertSentence, QUIET_MS, summary, verdictOf} from '../src/verdict.ts';

const NOW = 1_700_000_000_000;

function run(fields: Record<string, unknown> = {}): Run {
  const newest = {step: '500', ranksExpected: 8, ranksReporting: 8};
  return decodeRuns({runs: [{run: 'r', state: 'LIVE', attempt: 1, worldSize: 8, ranksConnected: 8, newest, newestUnixNanos: `${NOW}000000`, ...fields}]}).runs[0]!;
}

function alert(fields: Record<string, unknown> = {}): Alert {
  return decodeAlerts({alerts: [{id: '1', kind: 'RankOutlier', run: 'r', state: 'FIRING', subject: 'loss', ranks: [3], firstStep: '412', lastStep: '500', severity: 'WARNING', firedUnixNanos: '5000000', ...fields}]})[0]!;
}

test('an alert is told in one sentence: who, what, since when', () => {
  assert.equal(alertSentence(alert({silent: true}), 8), 'Rank 3’s loss stands apart since step 412; the mean loss does not show it');
  assert.equal(alertSentence(alert({ranks: [2, 3, 4], subject: 'gradient_norm'}), 8), 'The gradient norm of ranks 2–4 stands apart since step 412');
  assert.equal(alertSentence(alert({ranks: [0, 1]}), 2), 'The ranks disagree in loss since step 412');
  assert.equal(alertSentence(alert({kind: 'DuplicateShard', ranks: [1, 4]}), 8), 'Ranks 1 and 4 train on the same data since step 412');
  assert.equal(alertSentence(alert({kind: 'FactMismatch', subject: 'sampler_seed', ranks: [0]}), 8), 'Rank 0 differs from the others in sampler_seed since step 412');
  assert.equal(alertSentence(alert({kind: 'OfTomorrow', subject: ''}), 8), 'OfTomorrow: rank 3 since step 412');
});

test('only a run that reports, whole and lately, agrees', () => {
  const state = (one: Run, alerts: Alert[] = [], now = NOW): string => verdictOf(one, alerts, now).state;
  assert.equal(state(run()), 'agree');
  assert.equal(state(run(), [], NOW + QUIET_MS + 1), 'waiting');
  assert.equal(state(run({state: 'SILENT'})), 'silent');
  assert.equal(state(run({newest: {step: '500', ranksExpected: 8, ranksReporting: 7}})), 'missing');
  assert.equal(state(run({newest: undefined})), 'starting');
  assert.equal(state(run({alertsFiring: 1})), 'disagree');
  assert.equal(state(run(), [alert()]), 'disagree');
  assert.equal(state(run(), [alert({kind: 'RunStalled', ranks: []})]), 'stalled');
  assert.equal(state(run(), [alert({kind: 'RankMissing'})]), 'missing');
  assert.equal(state(run(), [alert({run: 'other'})]), 'agree');
  assert.equal(state(run(), [alert({state: 'OBSERVED'})]), 'agree');
});

test('what fired does not vanish with the end of the run', () => {
  assert.equal(verdictOf(run({state: 'ENDED'}), [], NOW).state, 'ended');
  const ended = verdictOf(run({state: 'ENDED'}), [alert({state: 'RESOLVED'})], NOW);
  assert.equal(ended.state, 'faulted');
  assert.match(ended.sentence, /one alert fired before: rank 3, RankOutlier \(loss\), steps 412–500$/);
});

test('the most urgent alert leads, and what tells of training before what tells of absence', () => {
  const alerts = [alert({id: '1', severity: 'WARNING'}), alert({id: '2', kind: 'NonFinite', severity: 'CRITICAL', firstStep: '450'}), alert({id: '3', kind: 'RunStalled', severity: 'CRITICAL', firstStep: '1'})];
  const verdict = verdictOf(run(), alerts, NOW);
  assert.equal(verdict.alert?.id, 2);
  assert.match(verdict.sentence, /\(and 2 further alerts\)$/);
});

test('the list begins with the bad news', () => {
  const good = verdictOf(run(), [], NOW);
  const bad = verdictOf(run(), [alert()], NOW);
  const quiet = verdictOf(run({state: 'SILENT'}), [], NOW);
  assert.equal(summary([good]), 'The ranks agree');
  assert.equal(summary([good, good]), 'The ranks agree in every run');
  assert.equal(summary([bad, good, quiet]), 'In one run the ranks disagree; one run does not report as it should');
  assert.equal(summary([verdictOf(run({state: 'ENDED'}), [alert({state: 'RESOLVED'})], NOW)]), 'The only run has ended; alerts had fired');
});
