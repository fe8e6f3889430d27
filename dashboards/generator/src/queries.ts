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
  daemonGauge(name: DaemonGauge): string {
    return `${name}{${this.daemons}}`;
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
  // frame for $stale seconds); 8: no frame yet.
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
    return `${early} or 4 * ${stalled} + on (${RUN}) 2 * ${firing} + on (${RUN}) ${missing}`;
  }
  // For how long the verdict has not been 0; the whole range where it never was.
  secondsInTrouble(): string {
    const agreed = `max_over_time((((${this.verdict()}) == 0) * 0 + time())[$__range:$__interval])`;
    const never = `max by (${RUN}) (muster_ranks_expected{${this.runs}}) * 0 + time() - $__range_s`;
    return `time() - (${agreed} or on (${RUN}) ${never})`;
  }

  // The part of the ranks' squared distances from their mean that this rank makes: about 1/N
  // where the ranks are alike, near 1 where one alone stands apart. A z-score is no use here:
  // over N ranks it cannot exceed the root of N - 1.
  shareOfSpread(name: RankGauge): string {
    return this.fresh(this.share(name));
  }
  // The largest of a rank's shares of the spread.
  deviation(): string {
    return this.fresh(this.largestShare());
  }
  // 0: with the others; 1: makes most of a spread; 2: behind; 3: both.
  rankState(): string {
    const behind = `max by (${RUN}, rank) (muster_rank_lag_steps{${this.runs}} > bool 5)`;
    const apart = `(${this.largestShare()} > bool 0.5)`;
    // A rank that is silent has no values to stand apart with.
    return this.fresh(
      `(2 * ${behind} + on (${RUN}, rank) (${apart} or on (${RUN}, rank) 0 * ${behind}))`,
    );
  }

  private share(name: RankGauge): string {
    const value = `avg_over_time(${name}{${this.runs}}[$__rate_interval])`;
    const square = `(${value} - on (${RUN}) group_left () avg by (${RUN}) (${value})) ^ 2`;
    return `${square} / on (${RUN}) group_left () (sum by (${RUN}) (${square}) > 0)`;
  }
  private largestShare(): string {
    const parts = [
      'muster_rank_loss',
      'muster_rank_gradient_norm',
      'muster_rank_gradient_cosine',
    ] as const;
    // `or` would take the first of series with the same labels.
    const labelled = parts.map(
      (name, index) => `label_replace(${this.share(name)}, "of", "${index}", "", "")`,
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
