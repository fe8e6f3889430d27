// One run: asks for what its panels show, and hands it to them.
import {AlertsPanel} from './alerts_panel.ts';
import {Refused, Unreachable, type Api} from './api.ts';
import {MOST_CHOSEN, type Board} from './board.ts';
import {ChartsPanel} from './charts_panel.ts';
import {palette} from './colour.ts';
import {comparisonCard} from './comparison_panel.ts';
import {accused, deviations, metricOf, type Deviation} from './deviation.ts';
import {changed, fill, h} from './dom.ts';
import {FactsPanel} from './facts_panel.ts';
import {HeatmapPanel} from './heatmap_panel.ts';
import type {Page} from './main.ts';
import {MatrixPanel} from './matrix_panel.ts';
import {RanksPanel} from './ranks_panel.ts';
import {POINTS} from './paths.ts';
import {formatRoute, type Route} from './route.ts';
import {onTheme} from './theme.ts';
import type {Alert, Heatmap, Matrix, Metric, Range, Rank, Run, Series} from './types.ts';
import {verdictOf} from './verdict.ts';
import {VerdictPanel} from './verdict_panel.ts';

const COLUMNS = 240;
const SHORTEST = 4;
/** How long a reader who zooms on is waited for before finer data are asked for. */
const SETTLED_MS = 120;
/** What is chosen is in the address after this. */
const REMEMBERED_MS = 60;
/** How long what comes after the charts waits for them to be seen. */
const SHOWN_MS = 250;

/** Owned by App; closed when another page takes its place. */
export class RunPage implements Page, Board {
  readonly title: string;
  readonly element = h('div', {class: 'page'}, h('p', {class: 'loading'}, 'Asking musterd…'));

  private readonly verdict: VerdictPanel;
  private readonly charts = new ChartsPanel(this);
  private readonly heatmapPanel = new HeatmapPanel(this);
  private readonly alertsPanel = new AlertsPanel(this);
  private readonly ranksPanel = new RanksPanel(this);
  private readonly matrixPanel = new MatrixPanel(this);
  private readonly facts = new FactsPanel();
  private readonly stopTheme: () => void;

  private readonly id: string;
  private range: Range | null;
  /** Null until the reader chooses: then the ranks of the worst alert are drawn. */
  private picked: number[] | null;
  private metric: Metric;
  private metricPicked: boolean;
  private matrixStep: number | null = null;

  private run: Run | null = null;
  private alerts: Alert[] = [];
  private ranks: Rank[] = [];
  private series: Series | null = null;
  private heatmap: Heatmap | null = null;
  private matrix: Matrix | null = null;
  /** The matrix is of a step that the reader has named. */
  private matrixPinned = false;

  private seen = '';
  private readonly keys = {series: '', heatmap: ''};
  private asked = {series: 0, heatmap: 0, matrix: 0};
  private cursor: number | null = null;
  private deviations = new Map<number, Deviation>();
  /** What was painted last, panel by panel: only what differs is painted again. */
  private readonly changes = {charts: [changed(), changed(), changed()], heatmap: changed(), deviations: changed(), ranks: changed(), matrix: changed(), facts: changed()};
  private frame = 0;
  private looking = 0;
  private lookingOn = 0;
  private painting = 0;
  private settling = 0;
  private remembering = 0;
  private laidOut = false;
  private closed = false;
  private absent = false;

  constructor(private readonly api: Api, route: Route) {
    this.id = route.run ?? '';
    this.title = this.id;
    this.verdict = new VerdictPanel(api.live);
    this.range = route.range;
    this.picked = route.ranks?.slice(0, MOST_CHOSEN) ?? null;
    this.metric = route.metric;
    this.metricPicked = location.hash.includes('metric=');
    this.stopTheme = onTheme(() => this.paint());
  }

  async update(): Promise<void> {
    // Of a run that is not there, only whether it is there by now.
    const first = this.seen === '' && !this.absent;
    const asked = this.absent ? [] : this.api.alerts(this.id).catch(refusal(() => undefined));
    // Which ranks are to be drawn, the alerts will say; the rest need not wait.
    const series = first ? this.loadSeries() : null;
    series?.catch(() => undefined); // told below, if the others are answered
    const [runs, answered] = await Promise.all([this.api.runs(), asked]);
    const alerts = answered ?? [];
    if (this.closed) return;
    const run = runs.runs.find((one) => one.run === this.id);
    if (!run) return this.missing();
    this.absent = false;
    this.run = run;
    this.alerts = alerts;
    this.layOut();
    const now = Date.now();
    const verdict = verdictOf(run, alerts, this.api.live ? now : run.newestAt);
    this.verdict.show(run, verdict, this.api.live ? now : run.newestAt);
    this.alertsPanel.show(alerts, run.worldSize);
    document.title = `${verdict.label}: ${this.id} · Muster`;
    if (!this.metricPicked) this.metric = metricOf(verdict.alert);
    this.heatmapPanel.choose(this.metric);

    const state = JSON.stringify([run.attempt, run.framesComplete, run.framesPartial, run.newest?.step, run.ranksConnected, run.state]);
    if (first) {
      // The charts come first: what is below them, and the ranks that alerts
      // name, share the daemon's and the browser's time.
      await series;
      this.paint(); // it may have come before there was a run to paint
      await shown();
      await Promise.all([this.loadOther(), this.loadRanks(), this.loadMatrix()]);
    } else if (state !== this.seen) await this.refresh();
    else await this.loadOther();
    this.seen = state;
    this.paint();
  }

  route(route: Route): void {
    this.range = route.range;
    this.picked = route.ranks?.slice(0, MOST_CHOSEN) ?? null;
    this.metric = route.metric;
    this.reload();
  }

  close(): void {
    this.closed = true;
    this.stopTheme();
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.looking);
    cancelAnimationFrame(this.lookingOn);
    cancelAnimationFrame(this.painting);
    clearTimeout(this.settling);
    clearTimeout(this.remembering);
    this.charts.close();
  }

  // Board: what the reader does.

  hover(step: number | null): void {
    this.cursor = step;
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.charts.setCursor(this.cursor);
      this.heatmapPanel.setCursor(this.cursor);
    });
  }

  zoom(range: Range | null): void {
    const all = this.whole;
    if (range && all) {
      const from = Math.max(all.from, Math.min(range.from, all.to - SHORTEST));
      const to = Math.min(all.to, Math.max(range.to, from + SHORTEST));
      range = from <= all.from && to >= all.to ? null : {from, to};
    }
    this.range = range;
    this.look();
    clearTimeout(this.settling);
    this.settling = window.setTimeout(() => {
      this.remember();
      this.reload();
    }, SETTLED_MS);
  }

  /** In the next frame, what is at hand in the new range; finer data come later. */
  private look(): void {
    if (this.looking !== 0) return;
    this.looking = requestAnimationFrame(() => {
      this.looking = 0;
      this.charts.look(this.view, 'first');
      cancelAnimationFrame(this.lookingOn);
      this.lookingOn = requestAnimationFrame(() => {
        this.lookingOn = 0;
        this.charts.look(this.view, 'others');
        this.heatmapPanel.look(this.view);
      });
    });
  }

  scale(factor: number): void {
    const {from, to} = this.view;
    const middle = this.cursor ?? (from + to) / 2;
    const half = Math.max(SHORTEST / 2, ((to - from) * factor) / 2);
    this.zoom({from: Math.round(middle - half), to: Math.round(middle + half)});
  }

  pan(share: number): void {
    const all = this.whole;
    if (!this.range || !all) return;
    const {from, to} = this.range;
    const by = Math.max(all.from - from, Math.min(all.to - to, Math.round((to - from) * share)));
    this.zoom({from: from + by, to: to + by});
  }

  toggleRank(rank: number): void {
    const chosen = this.chosen;
    this.picked = chosen.includes(rank) ? chosen.filter((one) => one !== rank) : [...chosen, rank].slice(-MOST_CHOSEN);
    this.paint();
    this.remember();
    this.reload();
  }

  chooseMetric(metric: Metric): void {
    this.metric = metric;
    this.metricPicked = true;
    this.heatmapPanel.choose(metric);
    this.remember();
    this.reload();
  }

  matrixAt(step: number | null): void {
    this.matrixStep = step;
    this.quietly(this.loadMatrix());
    this.matrixPanel.element.scrollIntoView({block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'});
  }

  private get chosen(): number[] {
    if (this.picked) return this.picked;
    return this.run ? accused(verdictOf(this.run, this.alerts, Date.now()).alert, this.run.worldSize) : [];
  }

  private get whole(): Range | null {
    return this.series && this.series.first.length > 0 ? {from: this.series.oldestStep, to: this.series.newestStep} : null;
  }

  private get view(): Range {
    const all = this.whole ?? {from: 0, to: 1};
    return this.range ?? all;
  }

  /** Soon: Chromium's main thread waits for another process until the address is there, and what was chosen is to be seen first. */
  private remember(): void {
    clearTimeout(this.remembering);
    this.remembering = window.setTimeout(() => {
      history.replaceState(null, '', formatRoute({run: this.id, range: this.range, ranks: this.picked, metric: this.metric}));
    }, REMEMBERED_MS);
  }

  private reload(): void {
    this.quietly(this.loadOther());
  }

  /** What is to be shown and was not asked for yet. */
  private async loadOther(): Promise<void> {
    await Promise.all([this.isAsked('series', this.seriesKey) ? null : this.loadSeries(), this.isAsked('heatmap', this.heatmapKey) ? null : this.loadHeatmap()]);
  }

  /** Of what the reader asked for: that nobody answers, the next update will tell. */
  private quietly(work: Promise<unknown>): void {
    work.catch((error: unknown) => {
      if (!(error instanceof Unreachable)) console.error(error);
    });
  }

  /** What new steps change. Later ones do not change what is seen of earlier ones. */
  private async refresh(): Promise<void> {
    const past = this.range !== null && this.series !== null && this.range.to < this.series.newestStep;
    await Promise.all([
      this.loadRanks(),
      past && this.isAsked('series', this.seriesKey) ? null : this.loadSeries(),
      past && this.isAsked('heatmap', this.heatmapKey) ? null : this.loadHeatmap(),
      this.matrixStep === null || !this.matrix ? this.loadMatrix() : null,
    ]);
  }

  private get seriesKey(): string {
    return JSON.stringify([this.range, this.chosen]);
  }

  private get heatmapKey(): string {
    return JSON.stringify([this.range, this.metric]);
  }

  private isAsked(what: 'series' | 'heatmap', key: string): boolean {
    return this.keys[what] === key;
  }

  private async loadRanks(): Promise<void> {
    try {
      this.ranks = await this.api.ranks(this.id);
      this.paint();
    } catch (error) {
      refusal(() => undefined)(error);
    }
  }

  private async loadSeries(): Promise<void> {
    const ticket = ++this.asked.series;
    this.keys.series = this.seriesKey;
    try {
      const series = await this.api.series(this.id, this.range, POINTS, this.chosen);
      if (ticket !== this.asked.series) return;
      this.series = series;
      this.paint();
    } catch (error) {
      if (error instanceof Unreachable) this.keys.series = '';
      refusal((text) => this.charts.fail(text))(error);
    }
  }

  private async loadHeatmap(): Promise<void> {
    const ticket = ++this.asked.heatmap;
    this.keys.heatmap = this.heatmapKey;
    try {
      const heatmap = await this.api.heatmap(this.id, this.metric, this.range, COLUMNS);
      if (ticket !== this.asked.heatmap) return;
      this.heatmap = heatmap;
      this.paint();
    } catch (error) {
      if (error instanceof Unreachable) this.keys.heatmap = '';
      refusal((text) => this.heatmapPanel.fail(text))(error);
    }
  }

  private async loadMatrix(): Promise<void> {
    const ticket = ++this.asked.matrix;
    const step = this.matrixStep;
    try {
      const matrix = await this.api.matrix(this.id, step);
      if (ticket !== this.asked.matrix) return;
      this.matrix = matrix;
      this.matrixPinned = step !== null;
      this.paint();
    } catch (error) {
      refusal((text) => this.matrixPanel.fail(text))(error);
    }
  }

  /** In the next frame, once, however much has come by then. */
  private paint(): void {
    if (this.painting !== 0) return;
    this.painting = requestAnimationFrame(() => {
      this.painting = 0;
      this.paintNow();
    });
  }

  /** What has changed, from the top, one panel a frame: input comes between. */
  private paintNow(): void {
    if (!this.run || this.closed) return;
    // What the reader does comes first.
    if (this.looking !== 0 || this.lookingOn !== 0) return this.paint();
    if (this.panels.some((panel) => panel())) this.paint();
  }

  /** Each paints one panel if what it shows has changed, and says whether. */
  private readonly panels: readonly (() => boolean)[] = [
    () => this.paintRanks(), // first, since there is who is chosen
    () => this.paintCharts(),
    () => {
      const {heatmap, view, chosen} = this;
      if (!heatmap || !this.changes.heatmap(heatmap, view.from, view.to, chosen.join(), palette())) return false;
      this.heatmapPanel.show(heatmap, view, chosen, palette());
      return true;
    },
    () => {
      const {matrix, chosen} = this;
      if (!matrix || !this.changes.matrix(matrix, this.matrixPinned, chosen.join(), palette())) return false;
      this.matrixPanel.show(matrix, this.matrixPinned, chosen, palette());
      return true;
    },
    () => {
      if (!this.changes.facts(this.ranks)) return false;
      this.facts.show(this.ranks);
      return true;
    },
  ];

  private paintCharts(): boolean {
    const {series, view, chosen} = this;
    if (!series) return false;
    // A rank that was just chosen has no line yet: nothing to draw anew.
    const lines = chosen.filter((rank) => series.columns.has(`rank_loss/${rank}`)).join();
    const marked = this.alerts.filter((alert) => alert.firedAt > 0 || alert.state === 'FIRING');
    const marks = JSON.stringify(marked.map((alert) => [alert.firstStep, alert.state]));
    return this.charts.show({series, view, chosen, alerts: marked, palette: palette()}, this.range !== null, (chart) =>
      this.changes.charts[chart]!(series, view.from, view.to, this.range !== null, lines, marks, palette()),
    );
  }

  private paintRanks(): boolean {
    const {heatmap, chosen} = this;
    if (this.ranks.length === 0) return false;
    if (this.changes.deviations(heatmap)) this.deviations = heatmap ? deviations(heatmap) : new Map();
    if (!this.changes.ranks(this.ranks, this.deviations, this.metric, chosen.join(), palette())) return false;
    this.ranksPanel.show(this.ranks, this.deviations, this.metric, chosen, palette());
    return true;
  }

  private layOut(): void {
    if (this.laidOut) return;
    this.laidOut = true;
    fill(
      this.element,
      this.verdict.element,
      h('div', {class: 'columns'}, h('div', {class: 'wide'}, this.charts.element, this.heatmapPanel.element), h('div', {class: 'side'}, this.alertsPanel.element, this.facts.element)),
      this.api.comparison && this.api.about?.run === this.id && comparisonCard(this.api.comparison),
      h('div', {class: 'halves'}, this.ranksPanel.element, this.matrixPanel.element),
    );
  }

  private missing(): void {
    if (this.absent) return;
    this.absent = true;
    this.laidOut = false;
    this.seen = '';
    fill(this.element, h('section', {class: 'card empty'}, h('h1', {}, 'No such run'), h('p', {}, 'musterd knows no run called ', h('code', {}, this.id), '. Runs that have ended are forgotten after a while; what is stored of them, ', h('code', {}, 'muster replay'), ' and ', h('code', {}, 'muster report'), ' read.'), h('p', {}, h('a', {href: '#/'}, 'All runs'))));
  }
}

/** Until the frame that is asked for by now has been handed over to be shown; soon, while the page is hidden. */
function shown(): Promise<void> {
  return new Promise((done) => {
    requestAnimationFrame(() => requestAnimationFrame(() => done()));
    setTimeout(done, SHOWN_MS);
  });
}

/** Tells what the daemon refused; throws anything else. */
function refusal(tell: (text: string) => void): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof Refused)) throw error;
    tell(error.message);
  };
}
