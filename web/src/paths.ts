// Paths of the API, as the page asks for them.
import type {Range} from './types.ts';
import type {Route} from './route.ts';

/** Buckets of a series: as many as a chart has room for. */
export const POINTS = 600;

/** Significant digits of what is drawn: more than a chart can show, half as much to read as all. */
export const DIGITS = 8;

export type Query = Record<string, string | number | undefined>;

export function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  return pairs.length === 0 ? path : `${path}?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`;
}

export const RUNS = '/api/v1/runs';

export const runPath = (run: string, what: string): string => `${RUNS}/${encodeURIComponent(run)}/${what}`;

export const alertsPath = (run?: string): string => withQuery('/api/v1/alerts', {run});

export const seriesPath = (run: string, range: Range | null, points: number, ranks: readonly number[]): string =>
  withQuery(runPath(run, 'series'), {from: range?.from, to: range?.to, points, digits: DIGITS, rank: ranks.join(',')});

/** What the page asks for first at an address. */
export function firstPaths({run, range, ranks}: Route): string[] {
  if (run === null) return [RUNS, alertsPath()];
  return [RUNS, alertsPath(run), seriesPath(run, range, POINTS, ranks ?? [])];
}
