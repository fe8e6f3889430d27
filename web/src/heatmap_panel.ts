// Ranks × steps: how far each rank stood from the others, blue below them and
// orange above.
import {GUTTER, METRIC_NAMES, zoomKey, type Board} from './board.ts';
import {css, pack, ramp, type Palette} from './colour.ts';
import {fill, h, say} from './dom.ts';
import {signed, steps} from './format.ts';
import {Grid, type Cell} from './grid.ts';
import {METRICS} from './route.ts';
import {bucketAt} from './slice.ts';
import type {Heatmap, Metric, Range} from './types.ts';

/** Robust deviations at which the colours end. */
const CLIP = 8;

/** Owned by RunPage. */
export class HeatmapPanel {
  readonly element: HTMLElement;
  private readonly grid: Grid;
  private readonly readout = h('p', {class: 'readout', 'aria-live': 'polite'});
  private readonly message = h('p', {class: 'message', hidden: true});
  private readonly legend = h('div', {class: 'scale', 'aria-hidden': 'true'});
  private readonly buttons: Map<Metric, HTMLButtonElement>;
  private data: {heatmap: Heatmap; view: Range; chosen: readonly number[]; palette: Palette} | null = null;
  /** The cells, a pixel for each pixel column and rank. */
  private picture: HTMLCanvasElement | null = null;
  private column = -1;

  constructor(board: Board) {
    this.grid = new Grid({
      label: 'Deviation of each rank from the others over steps. Arrow keys move, Enter chooses the rank.',
      description: 'heatmap',
      size: () => ({rows: this.data?.heatmap.ranks.length ?? 0, columns: this.data?.heatmap.first.length ?? 0}),
      at: (x, y) => this.at(x, y),
      moved: (cell) => board.hover(cell ? this.middle(cell.column) : null),
      chosen: (cell) => {
        const rank = this.data?.heatmap.ranks[cell.row];
        if (rank !== undefined) board.toggleRank(rank);
      },
      resized: () => this.paint(),
      key: (event) => zoomKey(event, board),
    });
    this.buttons = new Map(METRICS.map((metric) => [metric, h('button', {type: 'button', onclick: () => board.chooseMetric(metric)}, METRIC_NAMES[metric])]));
    this.element = h(
      'section',
      {class: 'card heatmap', 'aria-labelledby': 'heatmap-title'},
      h('header', {}, h('h2', {id: 'heatmap-title'}, 'Who stands apart'), h('div', {class: 'segments', role: 'group', 'aria-label': 'Quantity of the heatmap'}, ...this.buttons.values())),
      this.message,
      this.grid.element,
      h('div', {class: 'below'}, this.readout, this.legend),
    );
  }

  show(heatmap: Heatmap, view: Range, chosen: readonly number[], palette: Palette): void {
    this.message.hidden = true;
    const before = this.data;
    this.data = {heatmap, view, chosen, palette};
    if (before?.heatmap !== heatmap || before.palette !== palette || before.view.from !== view.from || before.view.to !== view.to) this.picture = null;
    if (before?.palette !== palette) this.showLegend();
    this.paint();
  }

  look(view: Range): void {
    if (!this.data) return;
    this.data = {...this.data, view};
    this.picture = null;
    this.paint();
  }

  choose(metric: Metric): void {
    for (const [name, button] of this.buttons) button.setAttribute('aria-pressed', String(name === metric));
  }

  fail(text: string): void {
    this.message.hidden = false;
    say(this.message, text);
  }

  setCursor(step: number | null): void {
    if (!this.data) return;
    this.column = step === null ? -1 : bucketAt(this.data.heatmap.first, this.data.heatmap.last, step);
    this.paint();
  }

  private middle(column: number): number {
    return (this.data!.heatmap.first[column]! + this.data!.heatmap.last[column]!) / 2;
  }

  private geometry(): {width: number; height: number; row: number; left: number} {
    const rows = this.data?.heatmap.ranks.length ?? 0;
    const row = rows <= 8 ? 22 : rows <= 16 ? 15 : rows <= 32 ? 9 : 6;
    const all = this.grid.width;
    return {width: Math.max(60, all - GUTTER.left - GUTTER.right), height: rows * row, row, left: GUTTER.left};
  }

  private at(x: number, y: number): Cell | null {
    if (!this.data) return null;
    const {heatmap, view} = this.data;
    const {width, row, left} = this.geometry();
    const rank = Math.floor(y / row);
    if (rank < 0 || rank >= heatmap.ranks.length || x < 0 || x > left + width) return null;
    const step = x < left ? view.from : view.from - 0.5 + ((x - left) / width) * (view.to - view.from + 1);
    const column = bucketAt(heatmap.first, heatmap.last, Math.round(step));
    return column < 0 ? null : {row: rank, column};
  }

  private paintPicture(width: number): HTMLCanvasElement {
    const {heatmap, view, palette} = this.data!;
    const [rows, columns] = [heatmap.ranks.length, heatmap.first.length];
    const across = Math.max(1, Math.round(width * devicePixelRatio));
    const canvas = document.createElement('canvas');
    canvas.width = across;
    canvas.height = Math.max(1, rows);
    const context = canvas.getContext('2d')!;
    const image = context.createImageData(across, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = ramp(palette.diverging);
    const missing = pack(palette.missing);
    for (let x = 0; x < across; ++x) {
      const step = Math.round(view.from - 0.5 + ((x + 0.5) / across) * (view.to - view.from + 1));
      const column = bucketAt(heatmap.first, heatmap.last, step);
      if (column < 0 || step < heatmap.first[0]! || step > heatmap.last[columns - 1]!) continue;
      for (let row = 0; row < rows; ++row) {
        const value = heatmap.values[row * columns + column]!;
        pixels[row * across + x] = Number.isNaN(value) ? missing : colours[Math.round(((Math.max(-CLIP, Math.min(CLIP, value)) + CLIP) / (2 * CLIP)) * 255)]!;
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  private paint(): void {
    if (!this.data) return;
    const {heatmap, view, chosen, palette} = this.data;
    const {width, height, row, left} = this.geometry();
    const context = this.grid.context(left + width, Math.max(1, height));
    context.clearRect(0, 0, left + width, height);
    if (!this.picture || this.picture.width !== Math.round(width * devicePixelRatio)) this.picture = this.paintPicture(width);
    context.drawImage(this.picture, left, 0, width, height);
    if (row >= 9) {
      context.fillStyle = palette.surface;
      for (let i = 1; i < heatmap.ranks.length; ++i) context.fillRect(left, i * row - 0.5, width, 1);
    }
    // A label wherever there is room for one, and at each chosen rank.
    context.font = '12px system-ui, sans-serif';
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    const every = Math.ceil(13 / row);
    heatmap.ranks.forEach((rank, i) => {
      const y = i * row + row / 2;
      const isChosen = chosen.includes(rank);
      const near = !isChosen && heatmap.ranks.some((other, j) => chosen.includes(other) && Math.abs(j - i) * row < 13);
      if (isChosen) {
        context.fillStyle = palette.ranks[chosen.indexOf(rank) % palette.ranks.length]!;
        context.font = '600 12px system-ui, sans-serif';
        context.fillText(`▸ ${rank}`, left - 8, y);
        context.font = '12px system-ui, sans-serif';
        context.strokeStyle = palette.ink;
        context.lineWidth = 1;
        context.strokeRect(left + 0.5, i * row + 0.5, width - 1, row - 1);
      } else if (i % every === 0 && !near) {
        context.fillStyle = palette.faint;
        context.fillText(String(rank), left - 8, y);
      }
    });
    const place = (step: number): number => left + ((step - view.from + 0.5) / (view.to - view.from + 1)) * width;
    if (this.column >= 0) {
      context.fillStyle = palette.ink;
      context.globalAlpha = 0.7;
      context.fillRect(Math.round(place(this.middle(this.column))) - 0.5, 0, 1, height);
      context.globalAlpha = 1;
    }
    const cell = this.grid.cell;
    if (cell && cell.column < heatmap.first.length && cell.row < heatmap.ranks.length) {
      const begin = place(heatmap.first[cell.column]! - 0.5);
      const end = place(heatmap.last[cell.column]! + 0.5);
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      context.strokeRect(begin - 1, cell.row * row - 1 + (cell.row === 0 ? 2 : 0), Math.max(4, end - begin) + 2, row + (cell.row === 0 ? -1 : 2));
    }
    this.tell();
  }

  private tell(): void {
    const {heatmap} = this.data!;
    const cell = this.grid.cell;
    if (cell && cell.column < heatmap.first.length && cell.row < heatmap.ranks.length) {
      const value = heatmap.values[cell.row * heatmap.first.length + cell.column]!;
      const where = `Rank ${heatmap.ranks[cell.row]}, ${steps(heatmap.first[cell.column]!, heatmap.last[cell.column]!)}`;
      say(this.readout, Number.isNaN(value) ? `${where}: no value` : `${where}: ${signed(value)} robust deviations from the median`);
    } else {
      say(this.readout, 'Robust deviations of each rank from the median of the ranks. Click a row, or Enter, to draw the rank above.');
    }
  }

  private showLegend(): void {
    const {palette} = this.data!;
    const bar = h('i', {class: 'gradient'});
    bar.style.background = `linear-gradient(to right, ${palette.diverging.map(css).join(',')})`;
    const missing = h('i', {class: 'box'});
    missing.style.background = css(palette.missing);
    fill(this.legend, h('span', {}, `−${CLIP} below`), bar, h('span', {}, `above +${CLIP}`), missing, h('span', {}, 'no value'));
  }
}
