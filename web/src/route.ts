// Addresses: #/ is the list; #/runs/ID?from=&to=&rank=&metric= is a run. What
// is chosen on a run's page is in its address, so that it can be sent to others.
import type {Metric, Range} from './types.ts';

export const METRICS: readonly Metric[] = ['loss', 'gradient_norm', 'gradient_cosine'];

export interface Route {
  /** Null for the list of runs. */
  run: string | null;
  range: Range | null;
  /** Null where the address names none: the page chooses. */
  ranks: number[] | null;
  metric: Metric;
}

const whole = (text: string | null): number | null => (text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null);

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?', 2);
  const asked = new URLSearchParams(query);
  const from = whole(asked.get('from'));
  const to = whole(asked.get('to'));
  const ranks = asked.get('rank');
  return {
    run: runOf(path),
    range: from !== null && to !== null && from <= to ? {from, to} : null,
    ranks: ranks === null ? null : ranks.split(',').map(whole).filter((rank): rank is number => rank !== null),
    metric: METRICS.find((metric) => metric === asked.get('metric')) ?? 'loss',
  };
}

function runOf(path: string): string | null {
  const found = /^\/runs\/([^/]+)$/.exec(path);
  try {
    return found ? decodeURIComponent(found[1]!) : null;
  } catch {
    return null; // a broken escape
  }
}

export function runHref(run: string): string {
  return `#/runs/${encodeURIComponent(run)}`;
}

export function formatRoute(route: Route): string {
  if (route.run === null) return '#/';
  const query: string[] = [];
  if (route.range) query.push(`from=${route.range.from}`, `to=${route.range.to}`);
  if (route.ranks) query.push(`rank=${route.ranks.join(',')}`);
  if (route.metric !== 'loss') query.push(`metric=${route.metric}`);
  return runHref(route.run) + (query.length > 0 ? `?${query.join('&')}` : '');
}
