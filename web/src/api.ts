// Asks the daemon, or reads what `muster report` has put into the page.
import {decodeAbout, decodeAlerts, decodeComparison, decodeHeatmap, decodeMatrix, decodeRanks, decodeRuns, decodeSeries} from './decode.ts';
import {ask} from './ask.ts';
import {alertsPath, DIGITS, RUNS, runPath, seriesPath, withQuery, type Query} from './paths.ts';
import {sliceHeatmap, sliceSeries} from './slice.ts';
import type {About, Alert, Comparison, Heatmap, Matrix, Metric, Range, Rank, Runs, Series} from './types.ts';

/** The daemon answered, and says no. */
export class Refused extends Error {}

/** The daemon did not answer. */
export class Unreachable extends Error {}

export interface Api {
  /** False for a report: nothing changes, and ranges are cut from what is there. */
  readonly live: boolean;
  /** What the report is of; null on the daemon's page. */
  readonly about: About | null;
  /** With its reference, where the report has one. */
  readonly comparison: Comparison | null;
  runs(): Promise<Runs>;
  alerts(run?: string): Promise<Alert[]>;
  ranks(run: string): Promise<Rank[]>;
  series(run: string, range: Range | null, points: number, ranks: readonly number[]): Promise<Series>;
  heatmap(run: string, metric: Metric, range: Range | null, columns: number): Promise<Heatmap>;
  matrix(run: string, step: number | null): Promise<Matrix>;
}

export class HttpApi implements Api {
  readonly live = true;
  readonly about = null;
  readonly comparison = null;

  async runs(): Promise<Runs> {
    return decodeRuns(await this.get(RUNS));
  }
  async alerts(run?: string): Promise<Alert[]> {
    return decodeAlerts(await this.get(alertsPath(run)));
  }
  async ranks(run: string): Promise<Rank[]> {
    return decodeRanks(await this.get(runPath(run, 'ranks')));
  }
  async series(run: string, range: Range | null, points: number, ranks: readonly number[]): Promise<Series> {
    return decodeSeries(await this.get(seriesPath(run, range, points, ranks)));
  }
  async heatmap(run: string, metric: Metric, range: Range | null, columns: number): Promise<Heatmap> {
    return decodeHeatmap(await this.get(withQuery(runPath(run, 'heatmap'), {metric, from: range?.from, to: range?.to, columns, digits: DIGITS})));
  }
  async matrix(run: string, step: number | null): Promise<Matrix> {
    return decodeMatrix(await this.get(withQuery(runPath(run, 'matrix'), {step: step ?? undefined})));
  }

  private async get(path: string): Promise<unknown> {
    let answer: Response;
    try {
      answer = await ask(path);
    } catch {
      throw new Unreachable('musterd does not answer');
    }
    if (!answer.ok) {
      const said = await reason(answer);
      // What stands before a daemon that is gone (a proxy, a forwarded port) answers 502 to 504.
      if (said === null && answer.status >= 502 && answer.status <= 504) throw new Unreachable(`musterd does not answer (${answer.status})`);
      throw new Refused(said ?? `HTTP ${answer.status}`);
    }
    try {
      return await answer.json();
    } catch {
      throw new Unreachable('the answer broke off');
    }
  }
}

/** The daemon's own words; null if it was not the daemon that answered. */
async function reason(answer: Response): Promise<string | null> {
  try {
    const {error} = (await answer.json()) as {error?: unknown};
    return typeof error === 'string' ? error : null;
  } catch {
    return null;
  }
}

/**
 * Answers from `{"<path with query>": answer}`; a query that is not there gets the nearest of its path, and
 * `{"error": …}` is what the daemon said instead. "about" and "comparison" are not of the API.
 */
export class ReportApi implements Api {
  readonly live = false;
  readonly about: About | null;
  readonly comparison: Comparison | null;
  private readonly entries: {path: string; query: URLSearchParams; answer: unknown}[];

  constructor(data: Record<string, unknown>) {
    this.about = decodeAbout(data['about']);
    this.comparison = decodeComparison(data['comparison']);
    this.entries = Object.entries(data).map(([key, answer]) => {
      const [path = '', query = ''] = key.split('?', 2);
      return {path, query: new URLSearchParams(query), answer};
    });
  }

  async runs(): Promise<Runs> {
    return decodeRuns(this.find('/api/v1/runs', {}));
  }
  async alerts(run?: string): Promise<Alert[]> {
    return decodeAlerts(this.find('/api/v1/alerts', {run})).filter((alert) => run === undefined || alert.run === run);
  }
  async ranks(run: string): Promise<Rank[]> {
    return decodeRanks(this.find(runPath(run, 'ranks'), {}));
  }
  async series(run: string, range: Range | null, _points: number, ranks: readonly number[]): Promise<Series> {
    const series = decodeSeries(this.find(runPath(run, 'series'), {rank: ranks.join(',')}));
    return range ? sliceSeries(series, range) : series;
  }
  async heatmap(run: string, metric: Metric, range: Range | null): Promise<Heatmap> {
    const heatmap = decodeHeatmap(this.find(runPath(run, 'heatmap'), {metric}, ['metric']));
    return range ? sliceHeatmap(heatmap, range) : heatmap;
  }
  async matrix(run: string, step: number | null): Promise<Matrix> {
    return decodeMatrix(this.find(runPath(run, 'matrix'), {step: step ?? undefined}, step === null ? [] : ['step']));
  }

  /** The entry of `path` that shares most of `query`; it must share `needed`. */
  private find(path: string, query: Query, needed: readonly string[] = []): unknown {
    let best: unknown;
    let most = -1;
    for (const entry of this.entries) {
      if (entry.path !== path && decodeURIComponent(entry.path) !== decodeURIComponent(path)) continue;
      const shared = Object.entries(query).filter(([name, value]) => value !== undefined && entry.query.get(name) === String(value)).map(([name]) => name);
      if (needed.every((name) => shared.includes(name)) && shared.length > most) {
        most = shared.length;
        best = entry.answer;
      }
    }
    if (best === undefined) throw new Refused('This report does not have that.');
    const {error} = best as {error?: unknown};
    if (typeof error === 'string') throw new Refused(`There was nothing when this report was made: ${error}`);
    return best;
  }
}

export function openApi(): Api {
  const inlined = document.getElementById('muster-data');
  return inlined ? new ReportApi(JSON.parse(inlined.textContent ?? '{}') as Record<string, unknown>) : new HttpApi();
}
