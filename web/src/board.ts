// What the panels of a run's page share: what is chosen, and how they say that
// the reader has chosen something else.
import type {Metric, Range} from './types.ts';

/** Ranks drawn as lines of their own, as many as the API gives at a time. */
export const MOST_CHOSEN = 8;

/** Left and right of what is drawn over steps, CSS pixels: charts and heatmap stand below each other. */
export const GUTTER = {left: 58, right: 14};

export interface Board {
  /** The step under the pointer or the keyboard's cursor; null for none. */
  hover(step: number | null): void;
  /** Null: all steps. */
  zoom(range: Range | null): void;
  /** By a factor about the cursor or the middle; > 1 shows more. */
  scale(factor: number): void;
  /** By a share of what is seen; > 0 is later. */
  pan(share: number): void;
  toggleRank(rank: number): void;
  chooseMetric(metric: Metric): void;
  /** Shows the matrix of this step; null: of the newest. */
  matrixAt(step: number | null): void;
}

export const METRIC_NAMES: Record<Metric, string> = {
  loss: 'Loss',
  gradient_norm: 'Gradient norm',
  gradient_cosine: 'Gradient cosine',
};

/** Keys that charts and heatmap have in common; true if it was one of them. */
export function zoomKey(event: KeyboardEvent, board: Board): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.key === '+' || event.key === '=') board.scale(0.5);
  else if (event.key === '-') board.scale(2);
  else if (event.key === '0' || event.key === 'Escape') board.zoom(null);
  else if (event.key === '[') board.pan(-0.5);
  else if (event.key === ']') board.pan(0.5);
  else return false;
  event.preventDefault();
  return true;
}
