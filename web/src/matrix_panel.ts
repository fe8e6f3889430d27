// Cosines of all pairs of ranks in one step.
import type {Board} from './board.ts';
import {css, mix, type Palette} from './colour.ts';
import {fill, h, say} from './dom.ts';
import {integer, number} from './format.ts';
import {Grid, type Cell} from './grid.ts';
import type {Matrix} from './types.ts';

const LARGEST = 400;
const LABELS = 30;

/** Of all pairs; null for fewer than two ranks. Not narrower than 0.05. */
export function spread(matrix: Matrix): {low: number; high: number; mean: number} | null {
  const size = matrix.ranks.length;
  let low = Infinity;
  let high = -Infinity;
  let sum = 0;
  let pairs = 0;
  for (let i = 0; i < size; ++i) {
    for (let j = 0; j < size; ++j) {
      const value = matrix.cosines[i * size + j]!;
      if (i === j || Number.isNaN(value)) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
      sum += value;
      ++pairs;
    }
  }
  if (pairs === 0) return null;
  const middle = (low + high) / 2;
  return {low: Math.min(low, middle - 0.025), high: Math.max(high, middle + 0.025), mean: sum / pairs};
}

/** Owned by RunPage. */
export class MatrixPanel {
  readonly element: HTMLElement;
  private readonly grid: Grid;
  private readonly where = h('span', {class: 'where'});
  private readonly readout = h('p', {class: 'readout', 'aria-live': 'polite'});
  private readonly message = h('p', {class: 'message', hidden: true});
  private readonly legend = h('div', {class: 'scale', 'aria-hidden': 'true'});
  private readonly input = h('input', {type: 'text', inputmode: 'numeric', size: 8, 'aria-label': 'Step of the matrix'});
  private readonly newest: HTMLButtonElement;
  private data: {matrix: Matrix; chosen: readonly number[]; palette: Palette} | null = null;
  private picture: {matrix: Matrix; palette: Palette; key: string; canvas: HTMLCanvasElement} | null = null;

  constructor(board: Board) {
    this.grid = new Grid({
      label: 'Cosine of the gradients of each pair of ranks. Arrow keys move, Enter chooses the rank of the row.',
      description: 'matrix',
      size: () => ({rows: this.size, columns: this.size}),
      at: (x, y) => this.at(x, y),
      moved: () => this.paint(),
      resized: () => this.paint(),
      chosen: (cell) => {
        const rank = this.data?.matrix.ranks[cell.row];
        if (rank !== undefined) board.toggleRank(rank);
      },
    });
    this.newest = h('button', {type: 'button', class: 'quiet', onclick: () => board.matrixAt(null)}, 'Newest');
    const form = h(
      'form',
      {
        class: 'tools',
        onsubmit: (event: Event) => {
          event.preventDefault();
          const step = this.input.value.replace(/\s/g, '');
          if (/^\d{1,15}$/.test(step)) board.matrixAt(Number(step));
          else if (step === '') board.matrixAt(null);
          else this.fail(`A step is a whole number, not “${this.input.value}”.`);
        },
      },
      h('label', {}, 'Step ', this.input),
      h('button', {type: 'submit', class: 'quiet'}, 'Show'),
      this.newest,
    );
    this.element = h(
      'section',
      {class: 'card matrix', 'aria-labelledby': 'matrix-title'},
      h('header', {}, h('h2', {id: 'matrix-title'}, 'Pairs of ranks'), this.where, form),
      this.message,
      this.grid.element,
      h('div', {class: 'below'}, this.readout, this.legend),
    );
  }

  show(matrix: Matrix, pinned: boolean, chosen: readonly number[], palette: Palette): void {
    this.message.hidden = true;
    this.data = {matrix, chosen, palette};
    this.newest.setAttribute('aria-pressed', String(!pinned));
    say(this.where, `at step ${integer(matrix.step)}${pinned ? '' : ', the newest'}`);
    if (document.activeElement !== this.input) this.input.value = String(matrix.step);
    const range = spread(matrix);
    if (!range) {
      this.fail('Fewer than two ranks gave a direction at this step.');
      fill(this.legend);
    } else {
      const bar = h('i', {class: 'gradient'});
      bar.style.background = `linear-gradient(to right, ${palette.sequential.map(css).join(',')})`;
      fill(this.legend, h('span', {}, number(range.low, 2)), bar, h('span', {}, number(range.high, 2)));
    }
    this.paint();
  }

  fail(text: string): void {
    this.message.hidden = false;
    say(this.message, text);
  }

  private get size(): number {
    return this.data?.matrix.ranks.length ?? 0;
  }

  private geometry(): {cell: number; left: number} {
    const all = Math.min(LARGEST, this.grid.width);
    const cell = Math.max(3, Math.floor((all - LABELS) / Math.max(1, this.size)));
    return {cell: Math.min(44, cell), left: LABELS};
  }

  private at(x: number, y: number): Cell | null {
    const {cell, left} = this.geometry();
    const [row, column] = [Math.floor((y - 18) / cell), Math.floor((x - left) / cell)];
    return row >= 0 && column >= 0 && row < this.size && column < this.size ? {row, column} : null;
  }

  private paint(): void {
    if (!this.data) return;
    const {matrix, chosen, palette} = this.data;
    const size = this.size;
    const {cell, left} = this.geometry();
    const top = 18;
    const side = cell * size;
    const context = this.grid.context(left + side + 2, top + side + 2);
    context.clearRect(0, 0, left + side + 2, top + side + 2);
    const range = spread(matrix);
    const key = `${cell} ${devicePixelRatio}`;
    if (this.picture?.matrix !== matrix || this.picture.palette !== palette || this.picture.key !== key) {
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = Math.max(1, Math.round(side * devicePixelRatio));
      const cells = canvas.getContext('2d')!;
      cells.scale(devicePixelRatio, devicePixelRatio);
      this.paintCells(cells, cell, range);
      this.picture = {matrix, palette, key, canvas};
    }
    context.drawImage(this.picture.canvas, left, top, side, side);
    context.textBaseline = 'middle';
    const room = 9 + 7 * String(matrix.ranks[size - 1] ?? 0).length;
    const every = Math.ceil(room / cell);
    matrix.ranks.forEach((rank, i) => {
      const order = chosen.indexOf(rank);
      if (order < 0 && (i % every !== 0 || matrix.ranks.some((other, j) => chosen.includes(other) && Math.abs(j - i) * cell < room))) return;
      context.fillStyle = order < 0 ? palette.faint : palette.ranks[order % palette.ranks.length]!;
      context.font = `${order < 0 ? '' : '600 '}12px system-ui, sans-serif`;
      context.textAlign = 'right';
      context.fillText(String(rank), left - 6, top + i * cell + cell / 2);
      context.textAlign = 'center';
      context.fillText(String(rank), left + i * cell + cell / 2, top - 9);
    });
    const at = this.grid.cell;
    if (at && at.row < size && at.column < size) {
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      context.strokeRect(left + at.column * cell, top + at.row * cell, cell, cell);
    }
    this.tell(range?.mean ?? null);
  }

  /** Painted anew only for another matrix: thousands of cells take a while. */
  private paintCells(context: CanvasRenderingContext2D, cell: number, range: {low: number; high: number} | null): void {
    const {matrix, palette} = this.data!;
    const size = this.size;
    const gap = cell >= 8 ? 1 : 0;
    for (let i = 0; i < size; ++i) {
      for (let j = 0; j < size; ++j) {
        const value = matrix.cosines[i * size + j]!;
        const known = range && i !== j && !Number.isNaN(value);
        const colour = known ? mix(palette.sequential, (value - range.low) / (range.high - range.low)) : palette.missing;
        context.fillStyle = css(colour);
        context.globalAlpha = i === j ? 0.45 : 1;
        context.fillRect(j * cell, i * cell, cell - gap, cell - gap);
        context.globalAlpha = 1;
        if (known && cell >= 34) {
          context.fillStyle = (colour[0] * 299 + colour[1] * 587 + colour[2] * 114) / 1000 > 125 ? '#14171a' : '#ffffff';
          context.font = '12px system-ui, sans-serif';
          context.textAlign = 'center';
          context.textBaseline = 'middle';
          context.fillText(value.toFixed(2).replace('-', '−').replace('0.', '.'), j * cell + cell / 2, i * cell + cell / 2);
        }
      }
    }
  }

  private tell(mean: number | null): void {
    const {matrix} = this.data!;
    const at = this.grid.cell;
    if (!at || at.row >= this.size || at.column >= this.size) {
      say(this.readout, mean === null ? '' : `Mean of all pairs ${number(mean, 3)}. ${this.data!.palette.dark ? 'Brighter' : 'Darker'} pairs are closer together.`);
      return;
    }
    const [a, b] = [matrix.ranks[at.row]!, matrix.ranks[at.column]!];
    const value = matrix.cosines[at.row * this.size + at.column]!;
    say(this.readout, a === b ? `Rank ${a} with itself` : `Ranks ${a} and ${b}: cosine ${Number.isNaN(value) ? 'not known' : number(value, 3)}`);
  }
}
