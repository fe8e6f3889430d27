// The three charts, and the bar that says which steps they show.
import type {Board} from './board.ts';
import {Chart, type ChartData, type ChartSpec} from './chart.ts';
import {h, say} from './dom.ts';
import {integer, steps} from './format.ts';
import {bucketAt} from './slice.ts';
import type {Range, Series} from './types.ts';

const SPECS: readonly ChartSpec[] = [
  {title: 'Loss', help: 'Local training loss: the mean over ranks, and the band from the lowest to the highest rank', mean: 'loss_mean', meanLabel: 'mean', band: 'rank_loss', bandLabel: 'ranks', lines: []},
  {title: 'Gradient norm', help: 'Norm of the local gradients before the all-reduce: mean and band of the ranks', mean: 'gradient_norm_mean', meanLabel: 'mean', band: 'rank_gradient_norm', bandLabel: 'ranks', lines: []},
  {
    title: 'Gradient cosine',
    help: 'How much the local gradients point the same way: mean over pairs, the lowest rank against the others, and what the noise scale lets expect. Low is not wrong; falling apart is.',
    mean: 'gradient_cosine_mean',
    meanLabel: 'mean of pairs',
    band: 'rank_gradient_cosine',
    bandLabel: 'ranks, each to the others',
    lines: [
      {name: 'gradient_cosine_expected', label: 'expected', of: 'mean', dash: [7, 4], colour: 'faint'},
      {name: 'gradient_cosine_min', label: 'lowest rank', of: 'min', dash: [2, 3], colour: 'blue'},
    ],
  },
];

export class ChartsPanel {
  private readonly charts: Chart[];
  private readonly where = h('span', {class: 'where', 'aria-live': 'polite'});
  private readonly message = h('p', {class: 'message', hidden: true});
  private readonly all: HTMLButtonElement;
  readonly bar: HTMLElement;
  readonly element: HTMLElement;
  private series: Series | null = null;

  constructor(board: Board) {
    this.charts = SPECS.map((spec) => new Chart(spec, board));
    const button = (text: string, label: string, act: () => void): HTMLButtonElement => h('button', {type: 'button', class: 'quiet', 'aria-label': label, title: label, onclick: act}, text);
    this.all = button('All steps', 'Show all steps (Escape)', () => board.zoom(null));
    this.bar = h(
      'div',
      {class: 'tools', role: 'toolbar', 'aria-label': 'Steps shown'},
      button('◀', 'Earlier ([)', () => board.pan(-0.5)),
      button('−', 'Zoom out (−)', () => board.scale(2)),
      button('+', 'Zoom in (+)', () => board.scale(0.5)),
      button('▶', 'Later (])', () => board.pan(0.5)),
      this.all,
    );
    this.element = h(
      'section',
      {class: 'card charts', 'aria-labelledby': 'steps-title'},
      h('header', {}, h('h2', {id: 'steps-title'}, 'Over steps'), this.where, this.bar),
      this.message,
      ...this.charts.map((chart) => chart.element),
      h('p', {class: 'hint'}, 'Drag to zoom, double click or Esc for all steps. Focus a chart for ', h('kbd', {}, '←'), ' ', h('kbd', {}, '→'), ' ', h('kbd', {}, '+'), ' ', h('kbd', {}, '−'), '; ', h('kbd', {}, 'Enter'), ' shows the matrix of that step.'),
    );
  }

  /** Shows the first chart that is stale, or all while they are still to be made; says whether there was one. */
  show(data: ChartData, zoomed: boolean, isStale: (chart: number) => boolean): boolean {
    const rooms = this.charts.map((chart) => chart.room());
    let shown = false;
    for (const [i, chart] of this.charts.entries()) {
      if (!isStale(i)) continue;
      shown = true;
      chart.show(data, rooms[i]!);
      if (rooms[i] === 0) break; // to draw one again takes a frame
    }
    if (!shown) return false;
    this.message.hidden = true;
    this.series = data.series;
    this.all.disabled = !zoomed;
    this.tell(null);
    return true;
  }

  /** Of the chart in front, or of the others: all take longer than a frame. */
  look(view: Range, which: 'first' | 'others'): void {
    for (const chart of which === 'first' ? this.charts.slice(0, 1) : this.charts.slice(1)) chart.look(view);
  }

  fail(text: string): void {
    this.message.hidden = false;
    say(this.message, text);
  }

  setCursor(step: number | null): void {
    for (const chart of this.charts) chart.setCursor(step);
    this.tell(step);
  }

  close(): void {
    for (const chart of this.charts) chart.close();
  }

  private tell(step: number | null): void {
    const series = this.series;
    if (!series || series.first.length === 0) return say(this.where, '');
    const index = step === null ? -1 : bucketAt(series.first, series.last, step);
    if (index >= 0) return say(this.where, `at ${steps(series.first[index]!, series.last[index]!)}`);
    const each = series.frames / series.first.length;
    say(this.where, `${steps(series.first[0]!, series.last[series.last.length - 1]!)}${each > 1.05 ? `, about ${integer(each)} to a point` : ''}${series.stride > 1 ? `, of which one in ${integer(series.stride)} was read` : ''}`);
  }
}
