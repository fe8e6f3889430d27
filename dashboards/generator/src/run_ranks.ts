// Single ranks of a run: who stands apart, and how.

import {
  type AnyPanel,
  COLOUR,
  colouredCell,
  heatmap,
  override,
  stateTimeline,
  table,
  timeSeries,
} from './panels';
import { APART, type Queries } from './queries';
import { rankMappings, rankSteps } from './verdict';

export const DEVIATION =
  'A deviation is the distance of a rank from the mean of all, averaged over the time chosen above, in units of the ' +
  "ranks' usual dispersion (of the cosines: of their usual variation in time). A rank like the others is near 0.";

const byRank = (expression: string) => `max by (rank) (${expression})`;

const deviantCell = {
  ...colouredCell,
  decimals: 2,
  unit: 'none',
  thresholds: {
    mode: 'absolute',
    steps: [
      { color: COLOUR.warn, value: null },
      { color: 'transparent', value: -APART },
      { color: COLOUR.warn, value: APART },
    ],
  },
};
export function rankPanels(run: Queries): AnyPanel[] {
  // Of the ranks in the table only.
  const most = `topk(16, ${byRank(run.largestDeviation())})`;
  const among = (expression: string) => `${expression} and on (rank) ${most}`;
  return [
    stateTimeline({
      title: 'Ranks',
      description: `Stands apart: loss, norm or cosine deviates by more than ${APART}. Behind: more than 5 steps behind the foremost rank. This is for the eye: alerts come from a stricter test. ${DEVIATION}`,
      size: [12, 10],
      unit: 'none',
      mappings: rankMappings,
      steps: rankSteps,
      query: [byRank(run.rankState()), '{{rank}}'],
    }),
    heatmap({
      title: 'Deviation of each rank',
      description: `The largest deviation of loss, norm and cosine, of either sign. ${DEVIATION}`,
      size: [12, 10],
      unit: 'none',
      min: 0,
      max: 2,
      buckets: false,
      query: [byRank(run.largestDeviation()), '{{rank}}'],
    }),
    table({
      title: 'Most deviant ranks',
      description: `The 16 that deviate most. ${DEVIATION} Lag: steps behind the foremost rank.`,
      size: [24, 9],
      unit: 'short',
      decimals: 3,
      labels: { rank: 'Rank' },
      hidden: [],
      sortBy: 'Largest deviation',
      columns: [
        [most, 'Largest deviation'],
        [among(byRank(run.deviation('loss'))), 'Loss deviation'],
        [among(byRank(run.deviation('gradient_norm'))), 'Norm deviation'],
        [among(byRank(run.deviation('gradient_cosine'))), 'Cosine deviation'],
        [among(byRank(run.allRanks('muster_rank_loss'))), 'Loss'],
        [among(byRank(run.allRanks('muster_rank_gradient_norm'))), 'Norm'],
        [among(byRank(run.allRanks('muster_rank_gradient_cosine'))), 'Cosine'],
        [among(byRank(run.allRanks('muster_rank_lag_steps'))), 'Lag'],
      ],
      overrides: [
        ...['Largest deviation', 'Loss deviation', 'Norm deviation', 'Cosine deviation'].map((name) =>
          override(name, deviantCell),
        ),
        override('Lag', { decimals: 0, unit: 'none' }),
      ],
    }),
    ...(
      [
        ['Loss of each rank', 'Local loss of the ranks chosen above.', 'muster_rank_loss', 'short'],
        ['Gradient norm of each rank', 'Local gradient norm of the ranks chosen above, before the all-reduce.', 'muster_rank_gradient_norm', 'short'],
        ['Cosine of each rank', 'Cosine of a rank\'s gradient to the mean of the others\', of the ranks chosen above.', 'muster_rank_gradient_cosine', 'none'],
        ['Lag of each rank', 'Steps behind the foremost rank, of the ranks chosen above.', 'muster_rank_lag_steps', 'none'],
      ] as const
    ).map(([title, description, name, unit]) =>
      timeSeries({
        title,
        description,
        size: [12, 8],
        unit,
        custom: { lineWidth: 1 },
        queries: [[byRank(run.rankGauge(name)), 'rank {{rank}}']],
      }),
    ),
  ];
}
