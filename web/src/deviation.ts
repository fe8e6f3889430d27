// How far ranks stand apart, from the heatmap's cells.
import {subjectName} from './format.ts';
import type {Alert, Heatmap, Rank} from './types.ts';

export interface Deviation {
  /** Mean over the newest quarter of what is seen: a rank that is persistently apart. */
  lasting: number | null;
  /** Of largest magnitude in what is seen. */
  peak: number | null;
  /** First step of that bucket. */
  peakStep: number;
}

export function deviations(heatmap: Heatmap): Map<number, Deviation> {
  const columns = heatmap.first.length;
  const recent = Math.max(0, columns - Math.max(1, Math.ceil(columns / 4)));
  return new Map(
    heatmap.ranks.map((rank, row) => {
      let sum = 0;
      let count = 0;
      let peak: number | null = null;
      let peakStep = 0;
      for (let column = 0; column < columns; ++column) {
        const value = heatmap.values[row * columns + column]!;
        if (Number.isNaN(value)) continue;
        if (peak === null || Math.abs(value) > Math.abs(peak)) {
          peak = value;
          peakStep = heatmap.first[column]!;
        }
        if (column >= recent) {
          sum += value;
          ++count;
        }
      }
      return [rank, {lasting: count > 0 ? sum / count : null, peak, peakStep}];
    }),
  );
}

export interface DifferingFact {
  name: string;
  shownOnly: boolean;
  /** Each value with its ranks, ascending, the most common value first. */
  values: {value: string; ranks: number[]}[];
}

/** Facts that ranks give different values, judged ones first, and the number of those on which all agree. */
export function differingFacts(ranks: readonly Rank[]): {differing: DifferingFact[]; agreeing: {name: string; value: string}[]} {
  // What ranks of an older attempt said holds no more.
  const newest = Math.max(0, ...ranks.map((rank) => rank.attempt));
  const facts = new Map<string, DifferingFact>();
  for (const rank of ranks) {
    if (rank.attempt !== newest) continue;
    for (const fact of rank.facts) {
      const known = facts.get(fact.name) ?? {name: fact.name, shownOnly: true, values: []};
      known.shownOnly &&= fact.shownOnly;
      const same = known.values.find((one) => one.value === fact.value);
      if (same) same.ranks.push(rank.rank);
      else known.values.push({value: fact.value, ranks: [rank.rank]});
      facts.set(fact.name, known);
    }
  }
  const all = [...facts.values()];
  for (const fact of all) fact.values.sort((a, b) => b.ranks.length - a.ranks.length || a.ranks[0]! - b.ranks[0]!);
  return {
    differing: all.filter((fact) => fact.values.length > 1).sort((a, b) => Number(a.shownOnly) - Number(b.shownOnly) || a.name.localeCompare(b.name)),
    agreeing: all.filter((fact) => fact.values.length === 1).map((fact) => ({name: fact.name, value: fact.values[0]!.value})).sort((a, b) => a.name.localeCompare(b.name)),
  };
}

/** The ranks to draw where the reader has chosen none: those of the alert that the verdict is about. */
export function accused(alert: Alert | null, worldSize: number): number[] {
  return alert && alert.ranks.length < worldSize ? alert.ranks.slice(0, 4) : [];
}

/** The heatmap's quantity that shows an alert best. */
export function metricOf(alert: Alert | null): 'loss' | 'gradient_norm' | 'gradient_cosine' {
  if (!alert) return 'loss';
  const subject = subjectName(alert.subject);
  if (subject.includes('direction')) return 'gradient_cosine';
  return subject.startsWith('gradient') ? 'gradient_norm' : 'loss';
}
