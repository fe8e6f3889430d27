// The ranks, by default the most deviant first.
import {METRIC_NAMES, type Board} from './board.ts';
import type {Palette} from './colour.ts';
import type {Deviation} from './deviation.ts';
import {h, say} from './dom.ts';
import {integer, number, plural, signed} from './format.ts';
import type {Metric, Rank} from './types.ts';

type Key = 'rank' | 'lasting' | 'peak' | 'loss' | 'gradientNorm' | 'gradientCosine' | 'lagSteps' | 'state' | 'host';

interface Heading {
  key: Key;
  title: string;
  help: string;
  number: boolean;
  /** What sorts first on the first click. */
  order: 1 | -1;
}

const HEADINGS: readonly Heading[] = [
  {key: 'rank', title: 'Rank', help: '', number: false, order: 1},
  {key: 'lasting', title: 'Deviation', help: 'Mean of the newest quarter of the steps shown, in robust deviations from the median of the ranks', number: true, order: -1},
  {key: 'peak', title: 'Peak', help: 'The largest deviation of the steps shown', number: true, order: -1},
  {key: 'loss', title: 'Loss', help: 'In its newest step', number: true, order: -1},
  {key: 'gradientNorm', title: 'Norm', help: 'Norm of its gradient in its newest step', number: true, order: -1},
  {key: 'gradientCosine', title: 'Cosine', help: 'Of its gradient to the mean of the others', number: true, order: 1},
  {key: 'lagSteps', title: 'Lag', help: 'Steps behind the newest', number: true, order: -1},
  {key: 'state', title: 'State', help: '', number: false, order: 1},
  {key: 'host', title: 'Host', help: '', number: false, order: 1},
];

const FIRST_ROWS = 64;
/** More than fit into the table's height of 560 px. */
const ROWS_A_FRAME = 24;
const ROW_HEIGHT = 30;
/** Longer than a frame. */
const BETWEEN_MS = 32;

/** Made once, and only where texts are sorted: it takes longer than the sorting. */
let collator: Intl.Collator | undefined;
const inOrder = (a: string, b: string): number => (collator ??= new Intl.Collator(undefined, {numeric: true})).compare(a, b);

const stateOf = (rank: Rank): string => (rank.departed ? 'left' : rank.connected ? 'connected' : '✕ lost');

/** A place in the table: which rank stands there, the order says. To write is far cheaper than to move elements. */
interface Row {
  element: HTMLTableRowElement;
  rank: number;
  name: Text;
  texts: Text[];
  cells: HTMLElement[];
  button: HTMLButtonElement;
  bar: HTMLElement;
  styled: string;
}

function put(text: Text, data: string): void {
  if (text.data !== data) text.data = data;
}

function putTitle(element: HTMLElement, title: string): void {
  if (element.title !== title) element.title = title;
}

/** Owned by RunPage. */
export class RanksPanel {
  readonly element: HTMLElement;
  private readonly body = h('tbody');
  private readonly headings: HTMLTableCellElement[];
  private readonly where = h('span', {class: 'where'});
  private readonly more: HTMLButtonElement;
  private readonly rows: Row[] = [];
  private sortedBy: Heading = HEADINGS[1]!;
  private order = -1;
  private all = false;
  private writing = 0;
  private readonly scroll: HTMLElement;
  private data: {ranks: readonly Rank[]; deviations: Map<number, Deviation>; chosen: readonly number[]; palette: Palette} | null = null;

  constructor(private readonly board: Board) {
    this.headings = HEADINGS.map((heading) =>
      h('th', {scope: 'col', class: heading.number ? 'number' : null}, h('button', {type: 'button', title: heading.help || null, onclick: () => this.sort(heading)}, heading.title, h('span', {class: 'arrow', 'aria-hidden': 'true'}))),
    );
    this.more = h('button', {type: 'button', class: 'quiet', hidden: true, onclick: () => ((this.all = true), this.paint())});
    this.scroll = h('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Table of ranks'}, h('table', {}, h('thead', {}, h('tr', {}, ...this.headings)), this.body));
    this.element = h(
      'section',
      {class: 'card ranks', 'aria-labelledby': 'ranks-title'},
      h('header', {}, h('h2', {id: 'ranks-title'}, 'Ranks'), this.where),
      this.scroll,
      this.more,
    );
    this.mark();
  }

  show(ranks: readonly Rank[], deviations: Map<number, Deviation>, metric: Metric, chosen: readonly number[], palette: Palette): void {
    this.data = {ranks, deviations, chosen, palette};
    say(this.where, `deviation of the ${METRIC_NAMES[metric].toLowerCase()}`);
    this.paint();
  }

  private sort(heading: Heading): void {
    this.order = heading === this.sortedBy ? -this.order : heading.order;
    this.sortedBy = heading;
    this.mark();
    this.paint();
  }

  private mark(): void {
    HEADINGS.forEach((heading, i) => {
      const cell = this.headings[i]!;
      const sorted = heading === this.sortedBy;
      if (sorted) cell.setAttribute('aria-sort', this.order > 0 ? 'ascending' : 'descending');
      else cell.removeAttribute('aria-sort');
      say(cell.querySelector('.arrow')!, sorted ? (this.order > 0 ? ' ↑' : ' ↓') : '');
    });
  }

  private valueOf(rank: Rank): number | string | null {
    const deviation = this.data!.deviations.get(rank.rank);
    switch (this.sortedBy.key) {
      case 'lasting':
        return deviation?.lasting == null ? null : Math.abs(deviation.lasting);
      case 'peak':
        return deviation?.peak == null ? null : Math.abs(deviation.peak);
      case 'state':
        return stateOf(rank);
      default:
        return rank[this.sortedBy.key];
    }
  }

  private paint(): void {
    if (!this.data) return;
    const values = new Map(this.data.ranks.map((rank) => [rank.rank, this.valueOf(rank)]));
    const sorted = [...this.data.ranks].sort((a, b) => {
      const [x, y] = [values.get(a.rank) ?? null, values.get(b.rank) ?? null];
      if (x === null || y === null) return Number(x === null) - Number(y === null) || a.rank - b.rank;
      const way = typeof x === 'string' || typeof y === 'string' ? inOrder(String(x), String(y)) : x - y;
      return way * this.order || a.rank - b.rank;
    });
    const shown = this.all ? sorted : sorted.slice(0, FIRST_ROWS);
    this.more.hidden = shown.length === sorted.length;
    say(this.more, `Show all ${integer(sorted.length)} ranks`);
    // The focus goes with its rank.
    const focused = this.rows.find((row) => row.button === document.activeElement);
    const rank = focused?.rank;
    while (this.rows.length < shown.length) {
      const row = this.newRow();
      this.rows.push(row);
      this.body.append(row.element);
    }
    for (const row of this.rows.splice(shown.length)) row.element.remove();
    this.rows.forEach((row, i) => (row.rank = shown[i]!.rank));
    if (focused && focused.rank !== rank) this.rows.find((row) => row.rank === rank)?.button.focus({preventScroll: true});
    this.writeFrom(shown, Math.max(0, Math.floor(this.scroll.scrollTop / ROW_HEIGHT) - 1), 0);
  }

  /** What is seen at once; the rest in later frames: to lay out all rows takes longer than one. */
  private writeFrom(shown: readonly Rank[], begin: number, written: number): void {
    clearTimeout(this.writing);
    const end = Math.min(shown.length, written + ROWS_A_FRAME);
    for (let i = written; i < end; ++i) {
      const place = (begin + i) % shown.length;
      this.write(this.rows[place]!, shown[place]!);
    }
    if (end < shown.length) this.writing = window.setTimeout(() => this.writeFrom(shown, begin, end), BETWEEN_MS);
  }

  private newRow(): Row {
    const name = document.createTextNode('');
    const bar = h('i', {class: 'bar', 'aria-hidden': 'true'});
    const cells = HEADINGS.slice(1).map((heading) => h('td', {class: heading.number ? 'number' : null}));
    const texts = cells.map(() => document.createTextNode(''));
    cells.forEach((cell, i) => cell.append(...(i === 0 ? [h('span', {class: 'track', 'aria-hidden': 'true'}, bar)] : []), texts[i]!));
    const row: Row = {
      element: h('tr'),
      rank: -1,
      name,
      texts,
      cells,
      button: h('button', {type: 'button', class: 'pick', title: 'Draw this rank in the charts', onclick: () => this.board.toggleRank(row.rank)}, name),
      bar,
      styled: '',
    };
    row.element.append(h('th', {scope: 'row'}, row.button), ...cells);
    return row;
  }

  private write(row: Row, rank: Rank): void {
    const {deviations, chosen, palette} = this.data!;
    row.rank = rank.rank;
    put(row.name, String(rank.rank));
    const deviation = deviations.get(rank.rank);
    const lasting = deviation?.lasting ?? null;
    [
      signed(lasting),
      signed(deviation?.peak),
      number(rank.loss),
      number(rank.gradientNorm),
      number(rank.gradientCosine, 3),
      rank.departed || rank.lastStep === null ? '–' : integer(rank.lagSteps),
      stateOf(rank),
      rank.host || '–',
    ].forEach((text, i) => put(row.texts[i]!, text));
    putTitle(row.cells[1]!, deviation?.peak == null ? '' : `at step ${integer(deviation.peakStep)}`);
    putTitle(row.cells[2]!, rank.nonfiniteCount > 0 ? `${plural(rank.nonfiniteCount, 'gradient element')} not finite` : '');
    putTitle(row.cells[7]!, rank.host);
    // To the left of the middle is below the others, to the right above.
    const length = Math.round(Math.min(1, Math.abs(lasting ?? 0) / 8) * 100) / 2;
    const below = (lasting ?? 0) < 0;
    const order = chosen.indexOf(rank.rank);
    const key = `${length} ${below} ${order} ${palette.dark}`;
    if (row.styled === key) return;
    row.styled = key;
    row.bar.style.left = `${below ? 50 - length : 50}%`;
    row.bar.style.width = `${length}%`;
    row.bar.className = below ? 'bar below' : 'bar above';
    row.button.setAttribute('aria-pressed', String(order >= 0));
    row.button.style.borderColor = order >= 0 ? palette.ranks[order % palette.ranks.length]! : '';
    row.element.classList.toggle('chosen', order >= 0);
  }
}
