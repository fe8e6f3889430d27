// The daemon: whether it sees everything, and stores it.

import type { Dashboard } from '@grafana/schema';

import { dashboard, queryVariable, UID } from './dashboard';
import { COLOUR, heatmap, stat, timeSeries } from './panels';
import { Queries } from './queries';
import { alarming } from './verdict';

const own = 'instance=~"$instance"';
const muster = new Queries(own, own);
const one = '{{instance}}';
// Series that every scrape of a target has, of those that once were a musterd.
const scrape = (name: string) =>
  `${name}{${own}} and on (job, instance) last_over_time(muster_build_info{${own}}[1d])`;

const now = [
  stat({
    title: 'Scrapes',
    description: 'Whether the last scrape of each daemon succeeded. Where it did not, all that is shown of its runs is old.',
    size: [6, 4],
    unit: 'none',
    steps: [
      { color: COLOUR.bad, value: null },
      { color: COLOUR.fine, value: 1 },
    ],
    query: [`min(${scrape('up')})`, 'up'],
  }),
  stat({
    title: 'Runs',
    description: 'Runs of which a rank is connected.',
    size: [6, 4],
    unit: 'none',
    query: [`sum(${muster.daemonGauge('muster_runs', 'state="live"')})`, 'runs'],
  }),
  stat({
    title: 'History',
    description: '1 while reports are stored; 0 from a failed commit to the next good one. No value: the daemon has no data folder.',
    size: [6, 4],
    unit: 'none',
    noValue: 'no history',
    steps: [
      { color: COLOUR.bad, value: null },
      { color: COLOUR.fine, value: 1 },
    ],
    query: [`min(${muster.daemonGauge('muster_history_up')})`, 'history'],
  }),
  stat({
    title: 'Refused',
    description: 'Messages and reports that the daemon refused within the time range, of all runs and reasons.',
    size: [6, 4],
    unit: 'none',
    decimals: 0,
    steps: alarming,
    query: [`sum(increase(muster_reports_rejected_total{${own}}[$__range]))`, 'refused'],
  }),
];

const reports = [
  timeSeries({
    title: 'Reports received',
    description: 'Reports that arrived each second and were not refused, by run.',
    size: [12, 8],
    unit: 'cps',
    min: 0,
    queries: [[muster.rate('muster_reports_received_total'), '{{run}}']],
  }),
  timeSeries({
    title: 'Frames judged',
    description: 'Frames each second; partial ones lack ranks.',
    size: [12, 8],
    unit: 'cps',
    min: 0,
    queries: [[muster.rate('muster_frames_total', 'instance, state'), `${one} {{state}}`]],
  }),
  timeSeries({
    title: 'Reports refused',
    description: 'Messages and reports refused each second, by reason.',
    size: [8, 8],
    unit: 'cps',
    min: 0,
    queries: [[muster.daemonRate('muster_reports_rejected_total', 'reason'), '{{reason}}']],
  }),
  timeSeries({
    title: 'Reports in no frame',
    description: 'client: pushed out of the full ring of a client. late: their frame was closed.',
    size: [8, 8],
    unit: 'cps',
    min: 0,
    queries: [[muster.rate('muster_reports_dropped_total', 'run, where'), '{{run}} {{where}}']],
  }),
  timeSeries({
    title: 'Alerts that began to fire',
    description: 'By kind, each hour at the rate of now.',
    size: [8, 8],
    unit: 'none',
    min: 0,
    queries: [[`3600 * ${muster.rate('muster_alerts_total', 'kind')}`, '{{kind}}']],
  }),
];

const speed = [
  timeSeries({
    title: 'Runs followed',
    description: 'live: a rank is connected; silent: none is, and nobody said goodbye; ended: all ranks have.',
    size: [6, 8],
    unit: 'none',
    decimals: 0,
    min: 0,
    queries: [[`sum by (state) (${muster.daemonGauge('muster_runs')})`, '{{state}}']],
  }),
  timeSeries({
    title: 'Delay of the verdict',
    description: 'From the last report of a frame until it was judged, over all runs of a daemon.',
    size: [6, 8],
    unit: 's',
    min: 0,
    queries: [
      [muster.quantile('muster_frame_delay_seconds', 0.5, 'instance'), `${one} half of the frames`],
      [muster.quantile('muster_frame_delay_seconds', 0.99, 'instance'), `${one} 99 % of the frames`],
    ],
  }),
  heatmap({
    title: 'Frames by delay',
    description: 'Frames by the time from their last report until they were judged.',
    size: [6, 8],
    unit: 'none',
    yUnit: 's',
    buckets: true,
    query: [muster.buckets('muster_frame_delay_seconds'), '{{le}}'],
  }),
  timeSeries({
    title: 'Duration of a scrape',
    description: "As Prometheus measured it.",
    size: [6, 8],
    unit: 's',
    min: 0,
    queries: [[scrape('scrape_duration_seconds'), one]],
  }),
];

const history = [
  timeSeries({
    title: 'Size of the history',
    description: 'Bytes of the file, and of what waits in memory to be stored.',
    size: [8, 8],
    unit: 'bytes',
    min: 0,
    queries: [
      [muster.daemonGauge('muster_history_file_bytes'), `${one} file`],
      [muster.daemonGauge('muster_history_queue_bytes'), `${one} queue`],
    ],
  }),
  timeSeries({
    title: 'Frames of the history',
    description: 'Frames each second that were stored, lost (judged, but not stored), and deleted for age or room.',
    size: [8, 8],
    unit: 'cps',
    min: 0,
    queries: [
      [muster.daemonRate('muster_history_frames_total'), `${one} stored`],
      [muster.daemonRate('muster_history_frames_lost_total'), `${one} lost`],
      [muster.daemonRate('muster_history_frames_deleted_total'), `${one} deleted`],
    ],
  }),
  timeSeries({
    title: 'Commits and errors',
    description: 'Mean duration of a commit.',
    size: [4, 8],
    unit: 's',
    min: 0,
    queries: [
      [
        `${muster.daemonRate('muster_history_commit_seconds_total')} / ${muster.daemonRate('muster_history_commits_total')}`,
        one,
      ],
    ],
  }),
  timeSeries({
    title: 'Errors of the history',
    description: 'Attempts to store that failed each second, by reason.',
    size: [4, 8],
    unit: 'cps',
    min: 0,
    queries: [[muster.daemonRate('muster_history_errors_total', 'reason'), '{{reason}}']],
  }),
];

const RECEIVER = 'instance, sink, receiver';
const receiver = (what: string) => `${one} {{sink}} {{receiver}}${what}`;

// Who is told what fires. Nothing is shown of a daemon without receivers.
const sinks = [
  timeSeries({
    title: 'Receivers reached',
    description: '1 while an Alertmanager or webhook takes what it is sent; 0 from a post that failed to the next one that it takes.',
    size: [8, 8],
    unit: 'none',
    decimals: 0,
    min: 0,
    max: 1,
    queries: [[muster.daemonGauge('muster_sink_up'), receiver('')]],
  }),
  timeSeries({
    title: 'Kept to be told',
    description: 'Of an Alertmanager: alerts that fire or ended within five minutes. Of a webhook: changes that wait; above 0 for long, it takes none.',
    size: [8, 8],
    unit: 'none',
    decimals: 0,
    min: 0,
    queries: [[muster.daemonGauge('muster_sink_held'), receiver('')]],
  }),
  timeSeries({
    title: 'Posts to receivers',
    description: 'Posts each minute that were taken, and that failed; and alerts or changes that were given up.',
    size: [8, 8],
    unit: 'none',
    min: 0,
    queries: [
      [`60 * ${muster.daemonRate('muster_sink_sent_total', RECEIVER)}`, receiver(' taken')],
      [`60 * ${muster.daemonRate('muster_sink_failed_total', RECEIVER)}`, receiver(' failed')],
      [`60 * ${muster.daemonRate('muster_sink_dropped_total', RECEIVER)}`, receiver(' given up')],
    ],
  }),
];

const newest = muster.daemonGauge('muster_remote_write_newest_timestamp_seconds');
const remoteWrite = [
  timeSeries({
    title: 'Remote write answered',
    description: '1 while the receiver of remote write answers; 0 while requests fail and are tried again.',
    size: [6, 8],
    unit: 'none',
    decimals: 0,
    min: 0,
    max: 1,
    queries: [[muster.daemonGauge('muster_remote_write_up'), one]],
  }),
  timeSeries({
    title: 'Samples of remote write',
    description: 'Samples each second. sent: taken; present: the receiver had them already; refused and dropped: lost.',
    size: [6, 8],
    unit: 'cps',
    min: 0,
    queries: [
      [muster.daemonRate('muster_remote_write_samples_total', 'instance, result'), `${one} {{result}}`],
      [muster.daemonRate('muster_remote_write_retries_total'), `${one} requests again`],
    ],
  }),
  timeSeries({
    title: 'Waiting for remote write',
    description: 'Memory of the steps that wait to be sent. With a history the rest waits there.',
    size: [6, 8],
    unit: 'bytes',
    min: 0,
    queries: [[muster.daemonGauge('muster_remote_write_queue_bytes'), one]],
  }),
  timeSeries({
    title: 'Age of the newest delivered step',
    description: 'A second or so while a run is judged. It rises while the receiver does not answer, and where nothing is judged.',
    size: [6, 8],
    unit: 's',
    min: 0,
    queries: [[`time() - ${newest}`, one]],
  }),
];

const process = [
  timeSeries({
    title: 'Memory',
    description: 'Resident memory of the daemon.',
    size: [8, 7],
    unit: 'bytes',
    min: 0,
    queries: [[scrape('process_resident_memory_bytes'), one]],
  }),
  timeSeries({
    title: 'Processor',
    description: 'Cores that the daemon keeps busy.',
    size: [8, 7],
    unit: 'none',
    decimals: 2,
    min: 0,
    queries: [
      [
        `sum by (instance) (rate(process_cpu_seconds_total{${own}}[$__rate_interval]) ` +
          `and on (job, instance) last_over_time(muster_build_info{${own}}[1d]))`,
        one,
      ],
    ],
  }),
  timeSeries({
    title: 'Open files and connections',
    description: 'Descriptors that the daemon has open. Near their limit it can take no more ranks.',
    size: [8, 7],
    unit: 'none',
    decimals: 0,
    min: 0,
    queries: [
      [scrape('process_open_fds'), `${one} open`],
      [scrape('process_max_fds'), `${one} limit`],
    ],
  }),
];

const versions = timeSeries({
  title: 'Versions',
  description: 'Version of each daemon; a gap is a time without scrapes.',
  size: [24, 5],
  unit: 'none',
  min: 0,
  queries: [[muster.daemonGauge('muster_build_info'), `${one} {{version}}`]],
});

export function itselfDashboard(): Dashboard {
  return dashboard(
    UID.itself,
    'Muster / Muster itself',
    'Whether the daemon sees everything and stores it',
    [
      queryVariable(
        'instance',
        'Daemon',
        'Daemons that were scraped within the time range',
        'label_values(muster_build_info, instance)',
        true,
      ),
    ],
    [
      { title: 'Now', panels: now },
      { title: 'Reports and frames', panels: reports },
      { title: 'Runs and speed', panels: speed },
      { title: 'History', panels: history },
      { title: 'Who is told what fires', panels: sinks },
      { title: 'Remote write', panels: remoteWrite },
      { title: 'Process', panels: [...process, versions] },
    ],
  );
}
