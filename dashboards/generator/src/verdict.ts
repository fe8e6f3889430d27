// How Queries.verdict() and Queries.rankState() read.

import { MappingType, type Threshold, type ValueMapping } from '@grafana/schema';

import { COLOUR } from './panels';

const range = (from: number, to: number, text: string, color: string, index: number): ValueMapping => ({
  type: MappingType.RangeToText,
  options: { from, to, result: { text, color, index } },
});

export const verdictMappings: ValueMapping[] = [
  range(0, 0, 'Ranks agree', COLOUR.fine, 0),
  range(1, 1, 'Ranks missing', COLOUR.warn, 1),
  range(2, 3, 'Alert', COLOUR.bad, 2),
  range(4, 7, 'STALLED', COLOUR.stalled, 3),
  range(8, 15, 'No frame yet', COLOUR.unknown, 4),
  range(16, 31, 'Ended', COLOUR.unknown, 5),
];
export const verdictSteps: Threshold[] = [
  { color: COLOUR.fine, value: null },
  { color: COLOUR.warn, value: 1 },
  { color: COLOUR.bad, value: 2 },
  { color: COLOUR.stalled, value: 4 },
  { color: COLOUR.unknown, value: 8 },
];
export const VERDICT =
  'Ranks agree: a frame was judged within "Stalled after" seconds, all ranks were in it and no alert fires. ' +
  'Ranks missing: the newest frame lacks ranks. Alert: at least one fires. STALLED: no frame since; nothing that ' +
  'is shown of an earlier one would be true now, so it is not shown. No frame yet: ranks have said hello only. Ended: all ranks have said goodbye.';

export const rankMappings: ValueMapping[] = [
  range(0, 0, 'with the others', COLOUR.fine, 0),
  range(1, 1, 'stands apart', COLOUR.warn, 1),
  range(2, 3, 'behind', COLOUR.bad, 2),
];
export const rankSteps: Threshold[] = [
  { color: COLOUR.fine, value: null },
  { color: COLOUR.warn, value: 1 },
  { color: COLOUR.bad, value: 2 },
];

// Zero is fine, anything above is not.
export const alarming: Threshold[] = [
  { color: COLOUR.fine, value: null },
  { color: COLOUR.bad, value: 1e-9 },
];
