// One run: whether its ranks agree, since when not, who, and why.

import { BigValueTextMode, type Dashboard } from '@grafana/schema';

import { dashboard, queryVariable, stale, UID, window } from './dashboard';
import {
  type AnyPanel,
  COLOUR,
  DATASOURCE,
  heatmap,
  override,
  type PrometheusQuery,
  stateTimeline,
  stat,
  timeSeries,
} from './panels';
import { APART, Queries } from './queries';
import { dataRow, pipelineRow } from './run_data';
import { DEVIATION, rankPanels } from './run_ranks';
import { alarming, VERDICT, verdictMappings, verdictSteps } from './verdict';

const run = new Queries('run="$run"');
const verdictRow = [
  stat({
    title: 'Verdict',
    description: VERDICT,
    size: [5, 4],
    unit: 'none',
    mappings: verdictMappings,
    steps: verdictSteps,
    noValue: 'No such run now',
    query: [run.verdict(), 'verdict'],
  }),
  stat({
    title: 'Not in agreement for',
    description: 'Time since the verdict was last "Ranks agree", at most the time range of the dashboard.',
    size: [4, 4],
    unit: 's',
    decimals: 0,
    steps: [
      { color: COLOUR.fine, value: null },
      { color: COLOUR.bad, value: 60 },
    ],
    query: [run.secondsInTrouble(), 'not in agreement for'],
  }),
  stat({
    title: 'Alerts that fire',
    description: 'Kinds of alert that fire now, with their number. docs/alerts.md says what each means and what to check.',
    size: [5, 4],
    unit: 'none',
    steps: alarming,
    noValue: 'none',
    name: BigValueTextMode.ValueAndName,
    query: [`sum by (kind) (${run.alertsFiring()}) > 0`, '{{kind}}'],
  }),
  stat({
    title: 'Stands apart most',
    description: `The rank whose loss, norm or cosine deviates most, with its deviation; coloured where it stands apart. ${DEVIATION}`,
    size: [4, 4],
    unit: 'none',
    decimals: 1,
    name: BigValueTextMode.ValueAndName,
    steps: [
      { color: COLOUR.fine, value: null },
      { color: COLOUR.warn, value: APART },
    ],
    query: [`topk(1, ${run.largestDeviation()})`, 'rank {{rank}}'],
  }),
  stat({
    title: 'Ranks missing',
    description: 'Ranks of the run that are not in the newest frame.',
    size: [3, 4],
    unit: 'none',
    steps: alarming,
    query: [
      `max(${run.gauge('muster_ranks_expected')}) - max(${run.gauge('muster_ranks_reporting')})`,
      'missing',
    ],
  }),
  stat({
    title: 'Last frame',
    description: 'Time since the newest judged frame. Above "Stalled after" no values of the run are shown.',
    size: [3, 4],
    unit: 's',
    decimals: 0,
    steps: [
      { color: COLOUR.fine, value: null },
      { color: COLOUR.warn, value: 30 },
      { color: COLOUR.stalled, value: 120 },
    ],
    query: [run.secondsSinceFrame(), 'last frame'],
  }),
  stateTimeline({
    title: 'Verdict and alerts',
    description: `Since when which kind of alert fires. ${VERDICT}`,
    size: [24, 5],
    unit: 'none',
    mappings: verdictMappings,
    steps: verdictSteps,
    query: [
      `label_replace(${run.verdict()}, "kind", "verdict", "", "") or 2 * (max by (kind) (${run.alertsFiring()}) > bool 0) > 0`,
      '{{kind}}',
    ],
  }),
];

// The lowest and the highest rank as a band around the mean.
function band(title: string, description: string, mean: 'muster_loss_mean' | 'muster_gradient_norm_mean', rank: 'muster_rank_loss' | 'muster_rank_gradient_norm'): AnyPanel {
  const edge = { 'custom.lineWidth': 0, color: { mode: 'fixed', fixedColor: COLOUR.unknown } };
  return timeSeries({
    title,
    description,
    size: [12, 8],
    unit: 'short',
    queries: [
      [`max(${run.gauge(mean)})`, 'mean'],
      [`max(${run.allRanks(rank)})`, 'highest rank'],
      [`min(${run.allRanks(rank)})`, 'lowest rank'],
    ],
    overrides: [
      override('mean', { color: { mode: 'fixed', fixedColor: COLOUR.fine } }),
      override('highest rank', { ...edge, 'custom.fillBelowTo': 'lowest rank', 'custom.fillOpacity': 20 }),
      override('lowest rank', edge),
    ],
  });
}

const agreement = [
  band(
    'Loss',
    'Mean of the ranks\' local losses, weighted by samples or tokens where given, in the band from the lowest to the highest rank.',
    'muster_loss_mean',
    'muster_rank_loss',
  ),
  band(
    'Gradient norm',
    'Mean of the ranks\' local gradient norms, before the all-reduce, in the band from the lowest to the highest rank.',
    'muster_gradient_norm_mean',
    'muster_rank_gradient_norm',
  ),
  timeSeries({
    title: 'Loss dispersion',
    description: 'Standard deviation of the local losses over ranks: of the newest frame, and the mean of every step between two scrapes; the range is highest minus lowest.',
    size: [12, 7],
    unit: 'short',
    min: 0,
    queries: [
      [`max(${run.gauge('muster_loss_stddev')})`, 'newest frame'],
      [run.stepMean('muster_step_loss_stddev'), 'every step'],
      [`max(${run.gauge('muster_loss_range')})`, 'range'],
    ],
  }),
  timeSeries({
    title: 'Gradient norm dispersion',
    description: 'Standard deviation of the local gradient norms over ranks: of the newest frame, and the mean of every step between two scrapes; the range is highest minus lowest.',
    size: [12, 7],
    unit: 'short',
    min: 0,
    queries: [
      [`max(${run.gauge('muster_gradient_norm_stddev')})`, 'newest frame'],
      [run.stepMean('muster_step_gradient_norm_stddev'), 'every step'],
      [`max(${run.gauge('muster_gradient_norm_range')})`, 'range'],
    ],
  }),
  timeSeries({
    title: 'Cosine of the gradients',
    description: 'Mean over all pairs of ranks; the worst rank against the mean of the others; and the mean that the noise scale predicts. A low cosine is not wrong: it falls as training goes on. Compare it with the expected one.',
    size: [12, 8],
    unit: 'none',
    decimals: 3,
    queries: [
      [`max(${run.gauge('muster_gradient_cosine_mean')})`, 'mean of pairs'],
      [`max(${run.gauge('muster_gradient_cosine_min')})`, 'worst rank'],
      [`max(${run.gauge('muster_gradient_cosine_expected')})`, 'expected'],
    ],
    overrides: [
      override('expected', { 'custom.lineStyle': { fill: 'dash', dash: [10, 10] } }),
    ],
  }),
  timeSeries({
    title: 'Gradient noise scale',
    description: 'In samples or tokens (in batches where the ranks give no weights). Absent while it does not exceed three of its standard errors.',
    size: [6, 8],
    unit: 'short',
    min: 0,
    queries: [[`max(${run.gauge('muster_gradient_noise_scale')})`, 'noise scale']],
  }),
  heatmap({
    title: 'Divergence of every step',
    description: 'Steps by 1 - mean cosine of the pairs, also those between two scrapes: one step alone that goes astray shows here.',
    size: [6, 8],
    unit: 'none',
    buckets: true,
    query: [run.buckets('muster_step_gradient_divergence'), '{{le}}'],
  }),
];

// A region from the first to the last sample of each kind.
const alerts = {
  name: 'Alerts',
  enable: true,
  iconColor: COLOUR.bad,
  datasource: DATASOURCE,
  titleFormat: '{{kind}}',
  tagKeys: 'kind',
  target: {
    datasource: DATASOURCE,
    editorMode: 'code',
    expr: `sum by (kind) (${run.alertsFiring()}) > 0`,
    format: 'time_series',
    instant: false,
    legendFormat: '{{kind}}',
    range: true,
    refId: 'Alerts',
  } satisfies PrometheusQuery,
};

export function runDashboard(): Dashboard {
  return dashboard(
    UID.run,
    'Muster / Run',
    'Whether the ranks of one training run agree, since when not, who stands apart, and why',
    [
      queryVariable(
        'run',
        'Run',
        'Runs that had series within the time range',
        'label_values(muster_ranks_expected, run)',
        false,
      ),
      queryVariable(
        'rank',
        'Rank',
        'For the panels of each rank',
        'label_values(muster_rank_lag_steps{run="$run"}, rank)',
        true,
      ),
      stale,
      window,
    ],
    [
      { title: 'Do the ranks agree?', panels: verdictRow },
      { title: 'Agreement', panels: agreement },
      { title: 'Single ranks', panels: rankPanels(run) },
      dataRow(run),
      pipelineRow(run),
    ],
    [alerts],
    '#/runs/${run}',
  );
}
