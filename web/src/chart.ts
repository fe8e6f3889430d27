// One quantity over steps: its mean, the band of the ranks, chosen ranks, and
// where alerts began.
import uPlot from 'uplot';
import {GUTTER, MOST_CHOSEN, zoomKey, type Board} from './board.ts';
import {DASHES, type Palette} from './colour.ts';
import {h, say} from './dom.ts';
import {integer, number, steps} from './format.ts';
import {drawMarks} from './marks.ts';
import {bucketAt} from './slice.ts';
import type {Alert, Column, Range, Series} from './types.ts';

export interface ChartSpec {
  title: string;
  /** Says what it is, to those who do not know it. */
  help: string;
  mean: string;
  meanLabel: string;
  band: string;
  bandLabel: string;
  /** Further lines: the lowest of a column, or its mean. */
  lines: {name: string; label: string; of: 'min' | 'mean'; dash: number[]; colour: 'blue' | 'faint'}[];
}

export interface ChartData {
  series: Series;
  /** What is seen, inclusive. */
  view: Range;
  chosen: readonly number[];
  alerts: readonly Alert[];
  palette: Palette;
}

type Values = (number | null)[];

interface Line {
  label: string;
  colour: string;
  dash: readonly number[];
  value: (index: number) => string;
}

const EMPTY: Column = {min: [], max: [], mean: []};
const HEIGHT = 144;

/** Of a bucket of a rank, the value that is farthest from the ranks' mean: spikes stay. */
export function extremes(rank: Column, band: Column): Values {
  return rank.mean.map((own, i) => {
    const middle = band.mean[i] ?? own;
    const low = rank.min[i] ?? own;
    const high = rank.max[i] ?? own;
    if (middle === null || low === null || high === null) return own;
    return Math.abs(high - middle) >= Math.abs(low - middle) ? high : low;
  });
}

/** As short as it can be: "0.4", not "0.400". */
const tick = (value: number): string => (Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential() : String(Number(value.toPrecision(6)))).replace('-', '−');

/** Owned by ChartsPanel. */
export class Chart {
  readonly element: HTMLElement;
  private readonly legend = h('p', {class: 'legend'});
  private readonly plotBox: HTMLElement;
  private plot: uPlot | null = null;
  private data: ChartData | null = null;
  private lines: Line[] = [];
  private legendValues: HTMLElement[] = [];
  /** Ranks that have lines, and the colours of all. */
  private drawn = '';
  private dark = false;
  private index = -1;
  private cursor: number | null = null;
  private pointed = false;

  constructor(private readonly spec: ChartSpec, private readonly board: Board) {
    this.plotBox = h('div', {
      class: 'plot',
      tabindex: 0,
      role: 'slider',
      'aria-label': `${spec.title} over steps`,
      'aria-valuemin': 0,
      'aria-valuemax': 0,
      'aria-valuenow': 0,
      'aria-valuetext': 'no step chosen',
      onkeydown: (event: KeyboardEvent) => this.key(event),
      onblur: () => board.hover(null),
      onpointermove: (event: PointerEvent) => this.point(event),
      onpointerleave: () => this.point(null),
    });
    this.element = h('section', {class: 'chart'}, h('h3', {title: spec.help}, spec.title), this.legend, this.plotBox);
    new ResizeObserver(() => this.resize()).observe(this.plotBox);
  }

  /** Width for the plot, CSS pixels, if it is still to be made: to ask takes a layout. */
  room(): number {
    return this.plot ? 0 : this.plotBox.clientWidth;
  }

  show(data: ChartData, room: number): void {
    this.data = data;
    const {series, view, chosen, palette} = data;
    const values = this.values(data);
    const drawn = chosen.filter((rank) => series.columns.has(`${this.spec.band}/${rank}`)).join();
    if (!this.plot || this.dark !== palette.dark) {
      this.build(values, data, room);
    } else {
      this.plot.batch(() => {
        if (drawn !== this.drawn) {
          this.nameLines(data);
          for (let order = 0; order < MOST_CHOSEN; ++order) this.plot!.series[values.length - MOST_CHOSEN + order]!.show = this.draws(data, order);
        }
        this.plot!.setData(values, false);
        this.plot!.setScale('x', {min: view.from - 0.5, max: view.to + 0.5});
      });
    }
    this.drawn = drawn;
    this.dark = palette.dark;
    this.tellView(view);
    this.setCursor(this.cursor);
  }

  /** Before finer data comes: the same data in the new range. */
  look(view: Range): void {
    if (this.data) this.data = {...this.data, view};
    this.plot?.setScale('x', {min: view.from - 0.5, max: view.to + 0.5});
    this.tellView(view);
  }

  private tellView(view: Range): void {
    this.plotBox.setAttribute('aria-valuemin', String(view.from));
    this.plotBox.setAttribute('aria-valuemax', String(view.to));
  }

  setCursor(step: number | null): void {
    const series = this.data?.series;
    if (!series || !this.plot) return;
    this.cursor = step;
    this.index = step === null ? -1 : bucketAt(series.first, series.last, step);
    this.tell();
    // Where the pointer is, the plot follows it by itself; to move its cursor
    // would move the end of what is being dragged over.
    if (this.pointed) return;
    if (this.index < 0) this.plot.setCursor({left: -10, top: -10});
    else this.plot.setCursor({left: this.plot.valToPos(this.middle(this.index), 'x'), top: 0});
  }

  close(): void {
    this.plot?.destroy();
    this.plot = null;
  }

  private middle(index: number): number {
    const series = this.data!.series;
    return (series.first[index]! + series.last[index]!) / 2;
  }

  private column(name: string): Column {
    return this.data?.series.columns.get(name) ?? EMPTY;
  }

  private values(data: ChartData): uPlot.AlignedData {
    const {series, chosen} = data;
    const column = (name: string): Column => series.columns.get(name) ?? EMPTY;
    const mean = column(this.spec.mean);
    const band = column(this.spec.band);
    const rows: Values[] = [series.first.map((first, i) => (first + series.last[i]!) / 2), band.max, band.min, mean.max, mean.min];
    for (const line of this.spec.lines) rows.push(column(line.name)[line.of]);
    rows.push(mean.mean);
    for (let order = 0; order < MOST_CHOSEN; ++order) {
      const own = series.columns.get(`${this.spec.band}/${chosen[order]}`);
      rows.push(own ? extremes(own, band) : []);
    }
    const length = rows[0]!.length;
    return rows.map((row) => (row.length === length ? row : Array.from({length}, () => null))) as uPlot.AlignedData;
  }

  private build(values: uPlot.AlignedData, data: ChartData, room: number): void {
    const {palette, view} = data;
    const edge: uPlot.Series = {stroke: 'transparent', width: 0, points: {show: false}};
    const series: uPlot.Series[] = [{}, edge, edge, edge, edge];
    this.lines = [
      {label: this.spec.meanLabel, colour: palette.blue, dash: [], value: (i) => number(this.column(this.spec.mean).mean[i])},
      {label: this.spec.bandLabel, colour: 'band', dash: [], value: (i) => `${number(this.column(this.spec.band).min[i])} … ${number(this.column(this.spec.band).max[i])}`},
    ];
    for (const line of this.spec.lines) {
      series.push({stroke: palette[line.colour], width: 1.25, dash: line.dash, points: {show: false}});
      this.lines.push({label: line.label, colour: palette[line.colour], dash: line.dash, value: (i) => number(this.column(line.name)[line.of][i])});
    }
    series.push({stroke: palette.blue, width: 2});
    // A line for each that can be chosen, without values where none is: to make
    // a plot anew takes ten times as long as to draw one.
    for (let order = 0; order < MOST_CHOSEN; ++order) series.push({stroke: palette.ranks[order]!, width: 1.5, dash: [...DASHES[order]!], points: {show: false}, show: this.draws(data, order)});
    this.nameLines(data);
    const axis: uPlot.Axis = {
      stroke: palette.faint,
      font: '12px system-ui, sans-serif',
      grid: {stroke: palette.line, width: 1},
      ticks: {show: false},
    };
    const blue = palette.dark ? '111,180,243' : '22,102,173';
    const options: uPlot.Options = {
      width: Math.max(120, this.plot?.width ?? room),
      height: HEIGHT,
      padding: [10, GUTTER.right, 0, 0],
      legend: {show: false},
      scales: {x: {time: false, min: view.from - 0.5, max: view.to + 0.5}, y: {range: {min: {pad: 0.08}, max: {pad: 0.12}}}},
      axes: [
        {...axis, size: 26, gap: 4, grid: {show: false}, space: 70, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8, 1e9], values: (_, splits) => splits.map((split) => (Number.isInteger(split) ? integer(split) : ''))},
        {...axis, size: GUTTER.left, gap: 6, space: 34, values: (_, splits) => splits.map((split) => tick(split))},
      ],
      series,
      bands: [
        {series: [1, 2], fill: `rgba(${blue},${palette.dark ? 0.2 : 0.14})`},
        {series: [3, 4], fill: `rgba(${blue},0.28)`},
      ],
      cursor: {
        drag: {x: true, y: false, setScale: false, dist: 4},
        points: {show: false},
        y: false,
        bind: {dblclick: () => () => (this.board.zoom(null), null)},
      },
      hooks: {
        draw: [(plot) => this.data && drawMarks(plot, this.data.alerts, this.data.palette)],
        setSelect: [(plot) => this.selected(plot)],
      },
    };
    this.plot?.destroy();
    this.plot = new uPlot(options, values, this.plotBox);
  }

  private draws({series, chosen}: ChartData, order: number): boolean {
    return series.columns.has(`${this.spec.band}/${chosen[order]}`);
  }

  /** The legend: what all charts have, then the chosen ranks. */
  private nameLines({palette, chosen, series}: ChartData): void {
    this.lines.length = 2 + this.spec.lines.length;
    chosen.forEach((rank, order) => {
      const name = `${this.spec.band}/${rank}`;
      if (!series.columns.has(name)) return;
      this.lines.push({label: `rank ${rank}`, colour: palette.ranks[order]!, dash: DASHES[order]!, value: (i) => number(this.column(name).mean[i])});
    });
    this.buildLegend();
  }

  private point(event: PointerEvent | null): void {
    this.pointed = event !== null;
    if (!this.plot) return;
    const over = this.plot.over.getBoundingClientRect();
    const inside = event !== null && event.clientX >= over.left && event.clientX <= over.right;
    this.board.hover(inside ? this.plot.posToVal(event.clientX - over.left, 'x') : null);
  }

  private selected(plot: uPlot): void {
    if (plot.select.width < 4) return;
    const from = Math.ceil(plot.posToVal(plot.select.left, 'x'));
    const to = Math.floor(plot.posToVal(plot.select.left + plot.select.width, 'x'));
    plot.setSelect({left: 0, top: 0, width: 0, height: 0}, false);
    if (to > from) this.board.zoom({from, to});
  }

  private buildLegend(): void {
    this.legendValues = this.lines.map(() => h('b'));
    this.legend.replaceChildren(
      ...this.lines.map((line, i) => {
        const swatch = h('i', {class: line.colour === 'band' ? 'swatch band' : line.dash.length > 0 ? 'swatch dashed' : 'swatch', 'aria-hidden': 'true'});
        if (line.colour !== 'band') swatch.style.borderTopColor = line.colour;
        return h('span', {}, swatch, `${line.label} `, this.legendValues[i]!);
      }),
    );
  }

  /** Values at the cursor, or the newest ones. */
  private tell(): void {
    const series = this.data?.series;
    if (!series) return;
    const at = this.index >= 0 ? this.index : series.first.length - 1;
    this.lines.forEach((line, i) => say(this.legendValues[i]!, at < 0 ? '–' : line.value(at)));
    if (this.index < 0) return;
    this.plotBox.setAttribute('aria-valuenow', String(series.first[at]));
    this.plotBox.setAttribute('aria-valuetext', `${steps(series.first[at]!, series.last[at]!)}: ${this.lines.map((line) => `${line.label} ${line.value(at)}`).join(', ')}`);
  }

  private key(event: KeyboardEvent): void {
    const series = this.data?.series;
    if (!series || series.first.length === 0 || zoomKey(event, this.board)) return;
    const last = series.first.length - 1;
    const at = this.index < 0 ? last : this.index;
    const stride = event.shiftKey ? 10 : 1;
    this.pointed = false; // the pointer may rest here: the keys have the cursor now
    const target: Record<string, number> = {ArrowLeft: this.index < 0 ? at : at - stride, ArrowRight: at + stride, Home: 0, End: last};
    if (event.key === 'Enter') this.board.matrixAt(Math.round(series.last[at]!));
    else if (event.key in target) {
      this.index = Math.max(0, Math.min(last, target[event.key]!)); // the next key may come before the next frame
      this.board.hover(this.middle(this.index));
    } else return;
    event.preventDefault();
  }

  private resize(): void {
    const width = this.plotBox.clientWidth;
    if (this.plot && width > 0 && Math.abs(width - this.plot.width) > 1) this.plot.setSize({width, height: HEIGHT});
  }
}
