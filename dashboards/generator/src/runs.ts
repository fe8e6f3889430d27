// All runs: which of them needs a look.

import type { Dashboard } from '@grafana/schema';

import { dashboard, queryVariable, stale, UID } from './dashboard';
import { COLOUR, colouredCell, override, stateTimeline, stat, table, timeSeries } from './panels';
import { Queries } from './queries';
import { alarming, VERDICT, verdictMappings, verdictSteps } from './verdict';

const runs = new Queries('run=~"$run"');
const verdict = runs.verdict();
const count = (condition: string) => `count((${verdict}) ${condition}) or vector(0)`;
const one = (expression: string) => `max by (instance, run) (${expression})`;

const toRun = {
  title: 'Open the run',
  url: `/d/${UID.run}?\${datasource:queryparam}&\${muster_url:queryparam}&\${__url_time_range}&var-run=`,
};
const fromTable = { ...toRun, url: `${toRun.url}\${__data.fields["Run"]}` };
const fromSeries = { ...toRun, url: `${toRun.url}\${__field.labels.run}` };

const summary = [
  stat({
    title: 'Runs',
    description: 'Runs that Muster follows now and that have not ended.',
    size: [4, 4],
    unit: 'none',
    query: [count('< 16'), 'runs'],
  }),
  stat({
    title: 'In agreement',
    description: 'Runs whose verdict is "Ranks agree".',
    size: [4, 4],
    unit: 'none',
    query: [count('== 0'), 'runs'],
  }),
  stat({
    title: 'With alerts',
    description: 'Runs of which at least one alert fires, stalled ones too.',
    size: [4, 4],
    unit: 'none',
    steps: alarming,
    query: [
      `count(sum by (instance, run) (${runs.alertsFiring()}) > 0) or vector(0)`,
      'runs',
    ],
  }),
  stat({
    title: 'Stalled',
    description: 'Runs without a judged frame for longer than "Stalled after". They have not ended: nobody said goodbye.',
    size: [4, 4],
    unit: 'none',
    steps: [
      { color: COLOUR.fine, value: null },
      { color: COLOUR.stalled, value: 1 },
    ],
    query: [count('>= 4 < 8'), 'runs'],
  }),
  stat({
    title: 'Daemons scraped',
    description: 'Daemons whose last scrape succeeded. Where none is, nobody watches.',
    size: [4, 4],
    unit: 'none',
    steps: [
      { color: COLOUR.bad, value: null },
      { color: COLOUR.fine, value: 1 },
    ],
    query: ['count(muster_build_info) or vector(0)', 'daemons'],
  }),
  stat({
    title: 'Daemons not scraped',
    description: 'Daemons that were scraped within the last day and whose last scrape failed: what is known of their runs is old.',
    size: [4, 4],
    unit: 'none',
    steps: alarming,
    query: [
      'count(up == 0 and on (job, instance) last_over_time(muster_build_info[1d])) or vector(0)',
      'daemons',
    ],
  }),
];

const all = table({
  title: 'All runs',
  description: `${VERDICT} Dispersion is the standard deviation over ranks; a cosine is to be compared with the expected one, not with a fixed number. A click on a run opens it.`,
  size: [24, 9],
  unit: 'short',
  decimals: 3,
  labels: { run: 'Run', instance: 'Daemon' },
  hidden: ['job'],
  sortBy: 'Verdict',
  columns: [
    [verdict, 'Verdict'],
    [one(runs.gauge('muster_step')), 'Step'],
    [one(runs.gauge('muster_ranks_reporting')), 'Reporting'],
    [one(runs.gauge('muster_ranks_expected')), 'Expected'],
    [one(runs.gauge('muster_loss_mean')), 'Loss'],
    [one(runs.gauge('muster_loss_stddev')), 'Loss dispersion'],
    [one(runs.gauge('muster_gradient_norm_stddev')), 'Norm dispersion'],
    [one(runs.gauge('muster_gradient_cosine_mean')), 'Cosine'],
    [one(runs.gauge('muster_gradient_cosine_expected')), 'Expected cosine'],
    [`sum by (instance, run) (${runs.alertsFiring()})`, 'Alerts'],
    [runs.secondsSinceFrame(), 'Last frame'],
  ],
  overrides: [
    override('Run', { links: [fromTable], 'custom.width': 240 }),
    override('Verdict', { ...colouredCell, mappings: verdictMappings, 'custom.width': 130 }),
    override('Step', { decimals: 0, unit: 'none' }),
    override('Reporting', { decimals: 0, unit: 'none' }),
    override('Expected', { decimals: 0, unit: 'none' }),
    override('Alerts', {
      ...colouredCell,
      decimals: 0,
      unit: 'none',
      thresholds: {
        mode: 'absolute',
        steps: [
          { color: 'transparent', value: null },
          { color: COLOUR.bad, value: 1 },
        ],
      },
    }),
    override('Last frame', { unit: 's', decimals: 0 }),
  ],
});

const history = [
  stateTimeline({
    title: 'Verdicts',
    description: `Since when a run is as it is. ${VERDICT}`,
    size: [24, 7],
    unit: 'none',
    mappings: verdictMappings,
    steps: verdictSteps,
    query: [verdict, '{{run}}'],
  }),
  timeSeries({
    title: 'Loss dispersion',
    description: 'Standard deviation over ranks of the local loss, mean of every step between two scrapes, as a share of the mean loss.',
    size: [8, 8],
    unit: 'percentunit',
    queries: [
      [
        `${runs.stepMean('muster_step_loss_stddev')} / on (instance, run) abs(${one(runs.gauge('muster_loss_mean'))})`,
        '{{run}}',
      ],
    ],
  }),
  timeSeries({
    title: 'Cosine over expected',
    description: 'Mean cosine between the ranks\' gradients, divided by the one that the noise scale predicts. Near 1 whatever the phase of training; absent until the noise scale is known.',
    size: [8, 8],
    unit: 'none',
    decimals: 2,
    queries: [
      [
        `${one(runs.gauge('muster_gradient_cosine_mean'))} / ${one(runs.gauge('muster_gradient_cosine_expected'))}`,
        '{{run}}',
      ],
    ],
  }),
  timeSeries({
    title: 'Alerts firing',
    description: 'Alerts of each run that fire.',
    size: [8, 8],
    unit: 'none',
    decimals: 0,
    min: 0,
    queries: [[`sum by (instance, run) (${runs.alertsFiring()})`, '{{run}}']],
  }),
];
for (const panel of history) panel.fieldConfig.defaults.links = [fromSeries];

export function runsDashboard(): Dashboard {
  return dashboard(
    UID.runs,
    'Muster / Runs',
    'Whether the ranks of each training run agree',
    [
      queryVariable(
        'run',
        'Run',
        'Runs that had series within the time range',
        'label_values(muster_ranks_expected, run)',
        true,
      ),
      stale,
    ],
    [
      { title: 'Now', panels: [...summary, all] },
      { title: 'Over time', panels: history },
    ],
  );
}
