// PromQL over the runs that a dashboard shows.

import type {
  DaemonCounter,
  DaemonGauge,
  FrameGauge,
  RankGauge,
  RunCounter,
  StepHistogram,
} from './metrics';

// A run is told from one of the same id at another daemon by `instance`.
const RUN = 'instance, run';
const LAST_FRAME = 'muster_last_frame_timestamp_seconds';

export const DEVIATIONS = ['loss', 'gradient_norm', 'gradient_cosine'] as const;
export type Deviation = (typeof DEVIATIONS)[number];
// From this deviation on a rank is said to stand apart. That of one of two ranks is 1 at most.
export const APART = 0.75;

export class Queries {
  // runs, daemons: label matchers, without braces.
  constructor(
    private readonly runs: string,
    private readonly daemons: string = '',
  ) {}

  // A gauge of the newest frame, with a gap where that frame is older than $stale
  // seconds: the last value of a stalled run must not pass for the present one.
  gauge(name: FrameGauge): string {
    return this.fresh(`${name}{${this.runs}}`);
  }
  rankGauge(name: RankGauge): string {
    return this.fresh(`${name}{${this.runs}, rank=~"$rank"}`);
  }
  allRanks(name: RankGauge): string {
    return this.fresh(`${name}{${this.runs}}`);
  }
  // Alerts that fire are shown of a stalled run too; that none does, only of a live one.
  alertsFiring(): string {
    const firing = `muster_alerts_firing{${this.runs}}`;
    return `(${firing} > 0 or ${this.fresh(firing)})`;
  }
  // more: a further label matcher.
  daemonGauge(name: DaemonGauge, more?: string): string {
    return `${name}{${[this.daemons, ...(more ? [more] : [])].join(', ')}}`;
  }
  secondsSinceFrame(): string {
    return `time() - max by (${RUN}) (${LAST_FRAME}{${this.runs}})`;
  }

  rate(name: RunCounter, by: string = RUN): string {
    return `sum by (${by}) (rate(${name}{${this.runs}}[$__rate_interval]))`;
  }
  daemonRate(name: DaemonCounter, by: string = 'instance'): string {
    return `sum by (${by}) (rate(${name}{${this.daemons}}[$__rate_interval]))`;
  }
  // The mean over every step of the interval, also of those between two scrapes.
  stepMean(name: StepHistogram): string {
    return `${this.part(name, 'sum')} / ${this.part(name, 'count')}`;
  }
  quantile(name: StepHistogram, share: number, by: string = RUN): string {
    return `histogram_quantile(${share}, ${this.part(name, 'bucket', `${by}, le`)})`;
  }
  // Steps by bucket, for a heatmap.
  buckets(name: StepHistogram): string {
    return `sum by (le) (increase(${name}_bucket{${this.runs}}[$__rate_interval]))`;
  }

  // 0: the ranks agree. Otherwise the sum of 1 (ranks are missing), 2 (alerts fire), 4 (no
  // frame for $stale seconds), 16 (all ranks have said goodbye); 8: no frame yet.
  verdict(): string {
    const of = (text: string) => `max by (${RUN}) (${text})`;
    const stalled = of(`time() - ${LAST_FRAME}{${this.runs}} >= bool $stale`);
    const firing = `(sum by (${RUN}) (muster_alerts_firing{${this.runs}}) > bool 0)`;
    const missing = of(
      `muster_ranks_reporting{${this.runs}} < bool muster_ranks_expected{${this.runs}}`,
    );
    const early =
      `8 * sum by (${RUN}) (muster_ranks_expected{${this.runs}} > bool 0 ` +
      `unless on (${RUN}) ${LAST_FRAME}{${this.runs}})`;
    const ended = of(`muster_run_ended{${this.runs}}`);
    return (
      `${early} or 16 * ${ended} + on (${RUN}) 4 * ${stalled} + on (${RUN}) 2 * ${firing} ` +
      `+ on (${RUN}) ${missing}`
    );
  }
  // Since the ranks last agreed, or the run ended so; the whole range where they never did.
  secondsInTrouble(): string {
    const agreed = `max_over_time(((((${this.verdict()}) % 16) == 0) * 0 + time())[$__range:$__interval])`;
    const never = `max by (${RUN}) (muster_ranks_expected{${this.runs}}) * 0 + time() - $__range_s`;
    return `time() - (${agreed} or on (${RUN}) ${never})`;
  }

  // How far a rank has been from the mean of all, over $window, in units of the ranks' usual
  // dispersion. Averaged over n scrapes a rank like the others is near 0, give or take
  // 1/sqrt(n). (A z-score of one scrape is no use here: over N ranks none can exceed sqrt(N - 1).)
  deviation(of: Deviation): string {
    return this.fresh(this.distance(of));
  }
  // The largest of a rank's deviations, of either sign.
  largestDeviation(): string {
    return this.fresh(this.largest());
  }
  // 0: with the others; 1: stands apart; 2: behind; 3: both.
  rankState(): string {
    const behind = `max by (${RUN}, rank) (muster_rank_lag_steps{${this.runs}} > bool 5)`;
    const apart = `(${this.largest()} > bool ${APART})`;
    // A rank that is silent has no values to stand apart with.
    return this.fresh(
      `(2 * ${behind} + on (${RUN}, rank) (${apart} or on (${RUN}, rank) 0 * ${behind}))`,
    );
  }

  private distance(of: Deviation): string {
    const value = `avg_over_time(muster_rank_${of}{${this.runs}}[$window])`;
    const ofRun = (name: string) => `avg_over_time(muster_${of}_${name}{${this.runs}}[$window])`;
    // There is no gauge of the dispersion of cosines: that of the ranks over time stands in.
    const [mean, dispersion] =
      of === 'gradient_cosine'
        ? [
            `avg by (${RUN}) (${value})`,
            `avg by (${RUN}) (stddev_over_time(muster_rank_${of}{${this.runs}}[$window]))`,
          ]
        : [ofRun('mean'), ofRun('stddev')];
    return (
      `(${value} - on (${RUN}) group_left () ${mean}) ` +
      `/ on (${RUN}) group_left () (${dispersion} > 0)`
    );
  }
  private largest(): string {
    // `or` would take the first of series with the same labels.
    const labelled = DEVIATIONS.map(
      (of) => `label_replace(abs(${this.distance(of)}), "of", "${of}", "", "")`,
    );
    return `max by (${RUN}, rank) (${labelled.join(' or ')})`;
  }
  private fresh(expression: string): string {
    return (
      `(${expression} and on (${RUN}) ` +
      `time() - ${LAST_FRAME}{${this.runs}} < $stale)`
    );
  }
  private part(name: StepHistogram, suffix: string, by: string = RUN): string {
    return `sum by (${by}) (rate(${name}_${suffix}{${this.runs}}[$__rate_interval]))`;
  }
}
