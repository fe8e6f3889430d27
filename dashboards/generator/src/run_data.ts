// The rows of a run that few need every day.

import type { Row } from './dashboard';
import { timeSeries } from './panels';
import type { Queries } from './queries';

// What only runs have that report their parameters or samples.
export function dataRow(run: Queries): Row {
  return {
    title: 'Parameters and data (where the training script reports them)',
    panels: [
      timeSeries({
        title: 'Replicas',
        description: 'Distinct fingerprints of the parameters; 1 is healthy. Needs check_replicas.',
        size: [6, 7],
        unit: 'none',
        decimals: 0,
        min: 0,
        queries: [[`max(${run.gauge('muster_replica_values')})`, 'distinct replicas']],
      }),
      timeSeries({
        title: 'Spread of the replicas',
        description: 'Root mean square distance of the parameters from their mean, as a share of its norm, from sketches. Nothing below about 1e-7 is resolved.',
        size: [6, 7],
        unit: 'sci',
        min: 0,
        queries: [[`max(${run.gauge('muster_replica_spread')})`, 'spread']],
      }),
      timeSeries({
        title: 'Local updates',
        description: 'Training with rare synchronisation: mean distance of a rank from the last common parameters, and distance of the ranks from their mean.',
        size: [6, 7],
        unit: 'short',
        min: 0,
        queries: [
          [`max(${run.gauge('muster_local_distance_mean')})`, 'from the last common parameters'],
          [`max(${run.gauge('muster_consensus_distance')})`, 'from the ranks\' mean'],
        ],
      }),
      timeSeries({
        title: 'Samples of the epoch',
        description: 'Of the samples drawn, those drawn by several ranks; of all draws, those that a rank repeats; of the data set, what nobody has drawn so far. Needs watch_sampler.',
        size: [6, 7],
        unit: 'percentunit',
        min: 0,
        queries: [
          [`max(${run.gauge('muster_samples_shared_share')})`, 'shared by ranks'],
          [`max(${run.gauge('muster_samples_repeat_share')})`, 'repeated by a rank'],
          [`max(${run.gauge('muster_samples_undrawn_share')})`, 'not drawn so far'],
        ],
      }),
    ],
  };
}

export function pipelineRow(run: Queries): Row {
  return {
    title: 'Reports of this run',
    panels: [
      timeSeries({
        title: 'Frames',
        description: 'Frames judged each second: complete ones, with all ranks, and partial ones.',
        size: [6, 7],
        unit: 'cps',
        min: 0,
        queries: [[run.rate('muster_frames_total', 'state'), '{{state}}']],
      }),
      timeSeries({
        title: 'Reports',
        description: 'Reports that arrived each second and were not refused.',
        size: [6, 7],
        unit: 'cps',
        min: 0,
        queries: [[run.rate('muster_reports_received_total', 'run'), 'received']],
      }),
      timeSeries({
        title: 'Reports in no frame',
        description: 'client: pushed out of the full ring of a client. late: their frame was closed.',
        size: [6, 7],
        unit: 'cps',
        min: 0,
        queries: [[run.rate('muster_reports_dropped_total', 'where'), '{{where}}']],
      }),
      timeSeries({
        title: 'Delay of the verdict',
        description: 'From the last report of a frame until it was judged.',
        size: [6, 7],
        unit: 's',
        min: 0,
        queries: [
          [run.quantile('muster_frame_delay_seconds', 0.5, 'run'), 'half of the frames'],
          [run.quantile('muster_frame_delay_seconds', 0.99, 'run'), '99 % of the frames'],
        ],
      }),
    ],
  };
}
