// From the JSON form of query.proto to types.ts. Fields that are left out have
// Protocol Buffers' defaults; nothing here throws on a field of another shape.
import type {About, Agreement, Alert, AlertState, Column, Comparison, Evidence, Fact, Heatmap, Matrix, MeasureComparison, Rank, Run, Runs, RunState, Series, Severity, Step} from './types.ts';

type Fields = Record<string, unknown>;

/** A finite number, from a number or a 64-bit integer's string; else null. */
export function numberOrNull(value: unknown): number | null {
  const number = typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : NaN;
  return Number.isFinite(number) ? number : null;
}

const count = (value: unknown): number => numberOrNull(value) ?? 0;
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const milliseconds = (nanos: unknown): number => count(nanos) / 1e6;

function oneOf<T extends string>(value: unknown, known: readonly T[], otherwise: T): T {
  return known.find((one) => one === value) ?? otherwise;
}

const RUN_STATES: readonly RunState[] = ['LIVE', 'SILENT', 'ENDED'];
const ALERT_STATES: readonly AlertState[] = ['PENDING', 'FIRING', 'RESOLVED', 'OBSERVED'];
const SEVERITIES: readonly Severity[] = ['INFO', 'WARNING', 'CRITICAL'];

function decodeStep(json: unknown): Step | null {
  if (json === undefined || json === null) return null;
  const step = fields(json);
  return {
    step: count(step['step']),
    ranksExpected: count(step['ranksExpected']),
    ranksReporting: count(step['ranksReporting']),
    lossMean: numberOrNull(step['lossMean']),
    lossStddev: numberOrNull(step['lossStddev']),
    gradientNormMean: numberOrNull(step['gradientNormMean']),
    gradientCosineMean: numberOrNull(step['gradientCosineMean']),
    gradientCosineMin: numberOrNull(step['gradientCosineMin']),
    gradientCosineExpected: numberOrNull(step['gradientCosineExpected']),
  };
}

function decodeRun(json: unknown): Run {
  const run = fields(json);
  return {
    run: text(run['run']),
    state: oneOf(run['state'], RUN_STATES, 'UNKNOWN'),
    attempt: count(run['attempt']),
    worldSize: count(run['worldSize']),
    ranksConnected: count(run['ranksConnected']),
    framesComplete: count(run['framesComplete']),
    framesPartial: count(run['framesPartial']),
    alertsFiring: count(run['alertsFiring']),
    newest: decodeStep(run['newest']),
    newestAt: milliseconds(run['newestUnixNanos']),
    reportsDropped: count(run['reportsDropped']),
  };
}

export function decodeRuns(json: unknown): Runs {
  const answer = fields(json);
  return {runs: list(answer['runs']).map(decodeRun), daemonVersion: text(answer['daemonVersion'])};
}

function decodeFact(json: unknown): Fact {
  const fact = fields(json);
  return {name: text(fact['name']), value: text(fact['value']), shownOnly: fact['shownOnly'] === true};
}

function decodeRank(json: unknown): Rank {
  const rank = fields(json);
  const values = fields(rank['values']);
  return {
    rank: count(rank['rank']),
    host: text(rank['host']),
    pid: count(rank['pid']),
    attempt: count(rank['attempt']),
    connected: rank['connected'] === true,
    departed: rank['departed'] === true,
    lastStep: numberOrNull(rank['lastStep']),
    lagSteps: count(rank['lagSteps']),
    loss: numberOrNull(values['loss']),
    gradientNorm: numberOrNull(values['gradientNorm']),
    gradientCosine: numberOrNull(values['gradientCosine']),
    nonfiniteCount: count(values['nonfiniteCount']),
    reportsDropped: count(rank['reportsDropped']),
    facts: list(rank['facts']).map(decodeFact),
  };
}

export function decodeRanks(json: unknown): Rank[] {
  return list(fields(json)['ranks']).map(decodeRank);
}

function decodeEvidence(json: unknown): Evidence {
  const piece = fields(json);
  return {
    subject: text(piece['subject']),
    value: numberOrNull(piece['value']),
    expected: numberOrNull(piece['expected']),
    firstStep: count(piece['firstStep']),
    lastStep: count(piece['lastStep']),
    sentence: text(piece['sentence']),
    standing: piece['standing'] === true,
  };
}

function decodeAlert(json: unknown): Alert {
  const alert = fields(json);
  const checks = list(alert['checks']).map(text).filter((check) => check !== '');
  const first = text(alert['firstCheck']);
  return {
    id: count(alert['id']),
    kind: text(alert['kind']),
    run: text(alert['run']),
    state: oneOf(alert['state'], ALERT_STATES, 'UNKNOWN'),
    subject: text(alert['subject']),
    ranks: list(alert['ranks']).map(count),
    firstStep: count(alert['firstStep']),
    lastStep: count(alert['lastStep']),
    value: numberOrNull(alert['value']),
    expected: numberOrNull(alert['expected']),
    evidence: text(alert['evidence']),
    silent: alert['silent'] === true,
    firedAt: milliseconds(alert['firedUnixNanos']),
    severity: oneOf(alert['severity'], SEVERITIES, 'UNKNOWN'),
    pieces: list(alert['pieces']).map(decodeEvidence),
    checks: checks.length > 0 ? checks : first !== '' ? [first] : [],
  };
}

export function decodeAlerts(json: unknown): Alert[] {
  return list(fields(json)['alerts']).map(decodeAlert);
}

const numbers = (json: unknown): (number | null)[] => list(json).map(numberOrNull);

/** Decoded where it is looked at: of most columns only one list is drawn, of some none. */
class LazyColumn implements Column {
  private readonly known: {min?: Column['min']; max?: Column['max']; mean?: Column['mean']} = {};
  constructor(private readonly json: Fields) {}
  get min(): Column['min'] {
    return (this.known.min ??= numbers(this.json['min']));
  }
  get max(): Column['max'] {
    return (this.known.max ??= numbers(this.json['max']));
  }
  get mean(): Column['mean'] {
    return (this.known.mean ??= numbers(this.json['mean']));
  }
}

export function decodeSeries(json: unknown): Series {
  const answer = fields(json);
  const columns = new Map<string, Column>();
  for (const one of list(answer['columns'])) {
    const column = fields(one);
    const rank = column['rank'];
    const name = text(column['name']) + (rank === undefined || rank === null ? '' : `/${count(rank)}`);
    columns.set(name, new LazyColumn(column));
  }
  return {
    worldSize: count(answer['worldSize']),
    oldestStep: count(answer['oldestStep']),
    newestStep: count(answer['newestStep']),
    frames: count(answer['frames']),
    stride: Math.max(1, count(answer['stride'])),
    first: list(answer['firstStep']).map(count),
    last: list(answer['lastStep']).map(count),
    columns,
  };
}

const floats = (json: unknown): Float32Array =>
  Float32Array.from(list(json), (value) => (value === 'Infinity' ? Infinity : value === '-Infinity' ? -Infinity : numberOrNull(value) ?? NaN));

export function decodeHeatmap(json: unknown): Heatmap {
  const answer = fields(json);
  return {
    metric: text(answer['metric']),
    first: list(answer['firstStep']).map(count),
    last: list(answer['lastStep']).map(count),
    ranks: list(answer['ranks']).map(count),
    values: floats(answer['values']),
  };
}

export function decodeMatrix(json: unknown): Matrix {
  const answer = fields(json);
  return {
    attempt: count(answer['attempt']),
    step: count(answer['step']),
    ranks: list(answer['ranks']).map(count),
    cosines: floats(answer['cosines']),
  };
}

export function decodeAbout(json: unknown): About | null {
  const about = fields(json);
  const run = text(about['run']);
  return run === '' ? null : {run, madeAt: milliseconds(about['madeUnixNanos']), version: text(about['version'])};
}

const AGREEMENTS: readonly Agreement[] = ['agrees', 'open', 'differs'];
const MEASURES = [
  ['meanLoss', 'Mean loss'],
  ['lossDispersion', 'Loss dispersion'],
  ['normDispersion', 'Norm dispersion'],
  ['meanCosine', 'Mean cosine'],
] as const;

function decodeMeasure(name: string, json: unknown): MeasureComparison {
  const measure = fields(json);
  const ratio = numberOrNull(measure['ratio']);
  return {
    name,
    agreement: oneOf(measure['verdict'], AGREEMENTS, 'unknown'),
    run: numberOrNull(measure['run']),
    reference: numberOrNull(measure['reference']),
    isRatio: ratio !== null,
    value: ratio ?? numberOrNull(measure['difference']),
    low: numberOrNull(measure['low']),
    high: numberOrNull(measure['high']),
    margin: numberOrNull(measure['margin']),
  };
}

export function decodeComparison(json: unknown): Comparison | null {
  if (json === undefined || json === null) return null;
  const comparison = fields(json);
  return {
    reference: text(comparison['reference']),
    differs: comparison['differs'] === true,
    verdict: text(comparison['verdict']),
    commonSteps: count(comparison['commonSteps']),
    firstStep: count(comparison['firstStep']),
    lastStep: count(comparison['lastStep']),
    measures: MEASURES.filter(([key]) => comparison[key] !== undefined).map(([key, name]) => decodeMeasure(name, comparison[key])),
  };
}
