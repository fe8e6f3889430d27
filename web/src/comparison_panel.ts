// A report's run against its reference run, as `muster compare` sees them.
import {h} from './dom.ts';
import {capital, integer, number, plural} from './format.ts';
import type {Comparison, MeasureComparison} from './types.ts';

const SIGNS = {agrees: '✓ agrees', open: '? open', differs: '▲ differs', unknown: '– unknown'} as const;

const compared = (measure: MeasureComparison, value: number | null): string =>
  value === null ? '–' : measure.isRatio ? `×${number(value, 3)}` : `${value > 0 ? '+' : ''}${number(value, 3)}`;

function margin(measure: MeasureComparison): string {
  if (measure.margin === null) return '–';
  return measure.isRatio ? `×${number(1 / measure.margin, 2)} … ×${number(measure.margin, 2)}` : `±${number(measure.margin, 2)}`;
}

function row(measure: MeasureComparison): HTMLElement {
  return h(
    'tr',
    {class: measure.agreement},
    h('th', {scope: 'row'}, measure.name),
    [
      number(measure.run),
      number(measure.reference),
      compared(measure, measure.value),
      measure.low === null ? '–' : `${compared(measure, measure.low)} … ${compared(measure, measure.high)}`,
      margin(measure),
    ].map((text) => h('td', {class: 'number'}, text)),
    h('td', {class: 'agreement'}, SIGNS[measure.agreement]),
  );
}

export function comparisonCard(comparison: Comparison): HTMLElement {
  return h(
    'section',
    {class: 'card comparison', 'aria-labelledby': 'comparison-title'},
    h('header', {}, h('h2', {id: 'comparison-title'}, 'Against the reference ', h('code', {}, comparison.reference))),
    h('p', {}, `${capital(comparison.verdict)}.`),
    h(
      'div',
      {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Comparison'},
      h(
        'table',
        {},
        h('thead', {}, h('tr', {}, ['Measure', 'Run', 'Reference', 'Compared', '95 % interval', 'Matters beyond', 'Verdict'].map((name, i) => h('th', {scope: 'col', class: i > 0 && i < 6 ? 'number' : null}, name)))),
        h('tbody', {}, comparison.measures.map(row)),
      ),
    ),
    h('p', {class: 'hint'}, `${plural(comparison.commonSteps, 'common step')}, ${integer(comparison.firstStep)}–${integer(comparison.lastStep)}. Open: more steps would tell.`),
  );
}
