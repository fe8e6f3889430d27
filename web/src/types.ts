// What the API says, as the page uses it: numbers are numbers, and what is
// missing, not a number or infinite is null.

export type RunState = 'LIVE' | 'SILENT' | 'ENDED' | 'UNKNOWN';
export type AlertState = 'PENDING' | 'FIRING' | 'RESOLVED' | 'OBSERVED' | 'UNKNOWN';
export type Severity = 'INFO' | 'WARNING' | 'CRITICAL' | 'UNKNOWN';
export type Metric = 'loss' | 'gradient_norm' | 'gradient_cosine';

export interface Step {
  step: number;
  ranksExpected: number;
  ranksReporting: number;
  lossMean: number | null;
  lossStddev: number | null;
  gradientNormMean: number | null;
  gradientCosineMean: number | null;
  gradientCosineMin: number | null;
  gradientCosineExpected: number | null;
}

export interface Run {
  run: string;
  state: RunState;
  attempt: number;
  worldSize: number;
  ranksConnected: number;
  framesComplete: number;
  framesPartial: number;
  alertsFiring: number;
  newest: Step | null;
  /** Milliseconds since the epoch, by the daemon's clock; 0 before the first frame. */
  newestAt: number;
  reportsDropped: number;
}

export interface Runs {
  runs: Run[];
  daemonVersion: string;
}

export interface Fact {
  name: string;
  value: string;
  shownOnly: boolean;
}

export interface Rank {
  rank: number;
  host: string;
  pid: number;
  attempt: number;
  connected: boolean;
  departed: boolean;
  lastStep: number | null;
  lagSteps: number;
  loss: number | null;
  gradientNorm: number | null;
  gradientCosine: number | null;
  nonfiniteCount: number;
  reportsDropped: number;
  facts: Fact[];
}

export interface Evidence {
  subject: string;
  value: number | null;
  expected: number | null;
  firstStep: number;
  lastStep: number;
  sentence: string;
  standing: boolean;
}

export interface Alert {
  id: number;
  kind: string;
  run: string;
  state: AlertState;
  subject: string;
  ranks: number[];
  firstStep: number;
  lastStep: number;
  value: number | null;
  expected: number | null;
  evidence: string;
  silent: boolean;
  /** Milliseconds since the epoch; 0 unless it has fired. */
  firedAt: number;
  severity: Severity;
  pieces: Evidence[];
  checks: string[];
}

/** One quantity in buckets of steps: lowest, highest and mean of each. */
export interface Column {
  min: (number | null)[];
  max: (number | null)[];
  mean: (number | null)[];
}

export interface Series {
  worldSize: number;
  oldestStep: number;
  newestStep: number;
  frames: number;
  /** More than 1: only about every so many of the stored frames was read. */
  stride: number;
  /** First and last step of each bucket, ascending. */
  first: number[];
  last: number[];
  /** By name, such as "loss_mean"; of one rank as "rank_loss/3". */
  columns: Map<string, Column>;
}

export interface Heatmap {
  metric: string;
  first: number[];
  last: number[];
  ranks: number[];
  /** Ranks × buckets, row by row: robust deviations; NaN where there is none. */
  values: Float32Array;
}

export interface Matrix {
  attempt: number;
  step: number;
  ranks: number[];
  /** Ranks², row by row. */
  cosines: Float32Array;
}

/** Steps, both included. */
export interface Range {
  from: number;
  to: number;
}

/** What a report is of, and when and by what it was made. */
export interface About {
  run: string;
  /** Milliseconds since the epoch. */
  madeAt: number;
  version: string;
}

export type Agreement = 'agrees' | 'open' | 'differs' | 'unknown';

/** One measure of a run against its reference's. */
export interface MeasureComparison {
  name: string;
  agreement: Agreement;
  run: number | null;
  reference: number | null;
  /** `value`, `low` and `high` are run ÷ reference; else run − reference. */
  isRatio: boolean;
  value: number | null;
  /** 95 % interval of `value`. */
  low: number | null;
  high: number | null;
  /** What matters in practice: a factor, or a difference. */
  margin: number | null;
}

/** As `muster compare --json` has it. */
export interface Comparison {
  reference: string;
  differs: boolean;
  verdict: string;
  commonSteps: number;
  firstStep: number;
  lastStep: number;
  measures: MeasureComparison[];
}
