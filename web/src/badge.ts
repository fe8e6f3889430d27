// A verdict's sign: a shape for each state, so that colour is never alone.
import {h, svg, type Child} from './dom.ts';
import type {State, Verdict} from './verdict.ts';

// In a box of 24 × 24; strokes in the text's colour.
const SHAPES: Record<State, () => SVGElement[]> = {
  agree: () => [svg('circle', {cx: 12, cy: 12, r: 10, class: 'solid'}), svg('path', {d: 'M7.5 12.5l3 3 6-6.5', class: 'cut'})],
  disagree: () => [svg('path', {d: 'M12 1.5L23 21.5H1z', class: 'solid'}), svg('path', {d: 'M12 9v6M12 17.6v1.2', class: 'cut'})],
  stalled: () => [svg('rect', {x: 2, y: 2, width: 20, height: 20, rx: 3, class: 'solid'}), svg('path', {d: 'M9 8v8M15 8v8', class: 'cut'})],
  silent: () => [svg('circle', {cx: 12, cy: 12, r: 9.5, class: 'open'}), svg('path', {d: 'M5.5 18.5l13-13', class: 'open'})],
  missing: () => [svg('circle', {cx: 12, cy: 12, r: 9.5, class: 'open dashed'}), svg('path', {d: 'M12 7v6M12 15.6v1.2', class: 'open'})],
  waiting: () => [svg('circle', {cx: 12, cy: 12, r: 9.5, class: 'open'}), svg('path', {d: 'M12 6.5V12l4 2.5', class: 'open'})],
  starting: () => [svg('circle', {cx: 12, cy: 12, r: 9.5, class: 'open dashed'})],
  faulted: () => [svg('rect', {x: 3, y: 3, width: 18, height: 18, rx: 2, class: 'open'}), svg('path', {d: 'M12 7.5v5.5M12 16v.6', class: 'open'})],
  ended: () => [svg('rect', {x: 4, y: 4, width: 16, height: 16, rx: 2, class: 'open'})],
};

export function sign(state: State): HTMLElement {
  return h('span', {class: `sign ${state}`, 'aria-hidden': 'true'}, svg('svg', {viewBox: '0 0 24 24', focusable: 'false'}, ...SHAPES[state]()));
}

export function badge(verdict: Verdict): Child {
  return h('span', {class: `verdict ${verdict.state}`}, sign(verdict.state), h('span', {}, verdict.label));
}
