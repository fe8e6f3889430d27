// What fires and what has fired, with evidence and what to look at first.
import type {Board} from './board.ts';
import {fill, h, memo, svg, type Child} from './dom.ts';
import {capital, integer, number, plural, steps, subjectName, who} from './format.ts';
import type {Alert, Evidence} from './types.ts';
import {byUrgency} from './verdict.ts';

const STATE_NAMES: Record<Alert['state'], string> = {FIRING: 'Firing', PENDING: 'Pending', RESOLVED: 'Resolved', OBSERVED: 'Observed', UNKNOWN: '?'};
const STATE_ORDER: Alert['state'][] = ['FIRING', 'PENDING', 'OBSERVED', 'RESOLVED', 'UNKNOWN'];
const SHOWN = 30;

function icon(alert: Alert): Child {
  const shape = alert.state === 'FIRING' ? 'M8 1l7 13H1z' : alert.state === 'RESOLVED' ? 'M2.5 8.5l3.5 4 7.5-9' : 'M8 2a6 6 0 100 12A6 6 0 008 2z';
  return svg('svg', {viewBox: '0 0 16 16', class: `icon ${alert.state.toLowerCase()}`, 'aria-hidden': 'true'}, svg('path', {d: shape}));
}

/** Owned by RunPage. */
export class AlertsPanel {
  private readonly list = h('div', {class: 'list'});
  private readonly count = h('span', {class: 'where'});
  readonly element = h('section', {class: 'card alerts', 'aria-labelledby': 'alerts-title'}, h('header', {}, h('h2', {id: 'alerts-title'}, 'Alerts'), this.count), this.list);
  private readonly once = memo();
  private readonly cards = new Map<number, {key: string; element: HTMLElement}>();

  constructor(private readonly board: Board) {}

  show(alerts: readonly Alert[], worldSize: number): void {
    const sorted = [...alerts].sort((a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state) || byUrgency(a, b));
    const firing = alerts.filter((alert) => alert.state === 'FIRING').length;
    this.once([sorted, worldSize], () => {
      this.count.textContent = alerts.length === 0 ? '' : firing > 0 ? `${firing} firing` : 'none firing';
      if (sorted.length === 0) return fill(this.list, h('p', {class: 'none'}, 'No alert in this run.'));
      const shown = sorted.slice(0, SHOWN);
      const elements = shown.map((alert, i) => this.card(alert, worldSize, i === 0 && alert.state === 'FIRING'));
      fill(this.list, elements, sorted.length > SHOWN && h('p', {class: 'none'}, `and ${plural(sorted.length - SHOWN, 'older alert')}: muster alerts lists them`));
    });
  }

  /** The same element for the same alert, so that what was opened stays open. */
  private card(alert: Alert, worldSize: number, open: boolean): HTMLElement {
    const key = JSON.stringify([alert, worldSize]);
    const known = this.cards.get(alert.id);
    if (known?.key === key) return known.element;
    const opened = known?.element.querySelector('details')?.open ?? open;
    const pieces = alert.pieces.length > 0 ? alert.pieces : [ownEvidence(alert)];
    const margin = Math.max(20, Math.round((alert.lastStep - alert.firstStep) / 4));
    const element = h(
      'article',
      {class: `alert ${alert.state.toLowerCase()}`},
      h(
        'h3',
        {},
        icon(alert),
        h('span', {}, alert.kind),
        h('span', {class: 'tag'}, STATE_NAMES[alert.state]),
        alert.state === 'FIRING' && alert.severity !== 'UNKNOWN' && h('span', {class: 'tag'}, capital(alert.severity.toLowerCase())),
        alert.silent && h('span', {class: 'tag silent', title: 'The mean loss was outside its own band no more often than by chance: nobody else sees this'}, 'Silent'),
      ),
      h('p', {class: 'meta'}, `${capital(who(alert.ranks, worldSize))} · ${subjectName(alert.subject)}${alert.subject ? ' · ' : ''}${steps(alert.firstStep, alert.lastStep)}`),
      pieces.map((piece) => evidence(piece)),
      alert.checks.length > 0 && h('details', {open: opened}, h('summary', {}, 'What to check'), alert.checks.map((check) => h('p', {}, check))),
      h(
        'p',
        {class: 'actions'},
        h('button', {type: 'button', class: 'quiet', onclick: () => this.board.zoom({from: Math.max(0, alert.firstStep - margin), to: alert.lastStep + margin})}, 'Show these steps'),
        h('button', {type: 'button', class: 'quiet', onclick: () => this.board.matrixAt(alert.firstStep)}, `Matrix at ${integer(alert.firstStep)}`),
      ),
    );
    this.cards.set(alert.id, {key, element});
    return element;
  }
}

function ownEvidence(alert: Alert): Evidence {
  return {subject: alert.subject, value: alert.value, expected: alert.expected, firstStep: alert.firstStep, lastStep: alert.lastStep, sentence: alert.evidence, standing: true};
}

function evidence(piece: Evidence): HTMLElement {
  const told = piece.value !== null && piece.expected !== null;
  return h(
    'div',
    {class: piece.standing ? 'evidence' : 'evidence gone'},
    h('p', {}, !piece.standing && h('span', {class: 'tag'}, 'Gone'), piece.sentence),
    told && h('p', {class: 'meta'}, `seen ${number(piece.value, 3)}, expected ${number(piece.expected, 3)}`),
  );
}
