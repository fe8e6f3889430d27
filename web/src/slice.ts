// Cuts a range of steps out of an answer, for reports, which cannot ask again.
import type {Column, Heatmap, Range, Series} from './types.ts';

/** Indices of the buckets that touch `range`: begin included, end not. */
export function bucketsOf(first: readonly number[], last: readonly number[], range: Range): [number, number] {
  let begin = 0;
  while (begin < last.length && last[begin]! < range.from) ++begin;
  let end = begin;
  while (end < first.length && first[end]! <= range.to) ++end;
  return [begin, end];
}

export function sliceSeries(series: Series, range: Range): Series {
  const [begin, end] = bucketsOf(series.first, series.last, range);
  const columns = new Map<string, Column>();
  for (const [name, column] of series.columns) {
    columns.set(name, {min: column.min.slice(begin, end), max: column.max.slice(begin, end), mean: column.mean.slice(begin, end)});
  }
  return {...series, first: series.first.slice(begin, end), last: series.last.slice(begin, end), columns};
}

export function sliceHeatmap(heatmap: Heatmap, range: Range): Heatmap {
  const [begin, end] = bucketsOf(heatmap.first, heatmap.last, range);
  const width = heatmap.first.length;
  const values = new Float32Array(heatmap.ranks.length * (end - begin));
  heatmap.ranks.forEach((_, row) => values.set(heatmap.values.subarray(row * width + begin, row * width + end), row * (end - begin)));
  return {...heatmap, first: heatmap.first.slice(begin, end), last: heatmap.last.slice(begin, end), values};
}

/** Index of the bucket that has `step`, or the nearest; −1 if there is none. */
export function bucketAt(first: readonly number[], last: readonly number[], step: number): number {
  if (first.length === 0) return -1;
  let low = 0;
  let high = first.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (first[middle]! <= step) low = middle;
    else high = middle - 1;
  }
  const after = low + 1;
  if (after < first.length && step - last[low]! > first[after]! - step) return after;
  return low;
}
