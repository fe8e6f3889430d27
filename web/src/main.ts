// The page: what is shown for which address (#/, #/runs/ID), and how it is
// kept up to date.
import {openApi, Unreachable, type Api} from './api.ts';
import {fill, h, say} from './dom.ts';
import {clock, duration, moment} from './format.ts';
import {parseRoute, runHref, type Route} from './route.ts';
import {RunPage} from './run_page.ts';
import {RunsPage} from './runs_page.ts';
import {themeSwitch} from './theme.ts';

const POLL_MS = 1000;
const MOST_POLL_MS = 10_000;

/** What is shown below the bar. One at a time; owned by App. */
export interface Page {
  readonly element: HTMLElement;
  readonly title: string;
  /** Asks and shows; throws Unreachable if nobody answers. */
  update(): Promise<void>;
  route(route: Route): void;
  close(): void;
}

class App {
  private readonly api: Api = openApi();
  private readonly main = h('main', {id: 'main', tabindex: -1});
  private readonly crumbs = h('nav', {'aria-label': 'Where you are'});
  private readonly status = h('span', {class: 'status'});
  private readonly banner = h('div', {class: 'banner', role: 'status', hidden: true});
  private page: Page | null = null;
  private shownRun: string | null | undefined;
  private timer = 0;
  private lastGood = 0;
  private failures = 0;
  private updating = false;

  start(root: HTMLElement): void {
    fill(root, h('header', {class: 'bar'}, h('a', {class: 'mark', href: '#/'}, mark(), 'Muster'), this.crumbs, this.status, themeSwitch()), this.banner, this.main);
    window.addEventListener('hashchange', () => this.show());
    document.querySelector('.skip')?.addEventListener('click', (event) => {
      event.preventDefault(); // the hash is the route's
      this.main.focus();
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) void this.tick();
    });
    setInterval(() => this.showStatus(), 1000);
    // A report is opened on its run.
    if (this.api.about && location.hash === '') history.replaceState(null, '', runHref(this.api.about.run));
    this.show();
  }

  private show(): void {
    const route = parseRoute(location.hash);
    if (this.page && route.run === this.shownRun) {
      this.page.route(route);
      return;
    }
    const first = this.shownRun === undefined;
    this.shownRun = route.run;
    this.page?.close();
    this.page = route.run === null ? new RunsPage(this.api) : new RunPage(this.api, route);
    document.title = `${this.page.title} · Muster`;
    fill(this.crumbs, route.run === null ? null : [h('a', {href: '#/'}, 'Runs'), h('span', {'aria-hidden': 'true'}, '/'), h('span', {class: 'id', 'aria-current': 'page'}, route.run)]);
    fill(this.main, this.page.element);
    if (!first) this.main.focus();
    this.updating = false;
    void this.tick();
  }

  private async tick(): Promise<void> {
    clearTimeout(this.timer);
    if (this.updating || !this.page) return;
    if (document.hidden && this.lastGood > 0) return;
    const page = this.page;
    this.updating = true;
    const begun = performance.now();
    try {
      await page.update();
      this.lastGood = Date.now();
      this.failures = 0;
    } catch (error) {
      if (!(error instanceof Unreachable)) console.error(error);
      ++this.failures;
    }
    if (page !== this.page) return;
    this.updating = false;
    this.showStatus();
    if (!this.api.live && this.failures === 0) return;
    // A daemon that is slow, or gone, is asked less often.
    const wait = Math.max(POLL_MS, 3 * (performance.now() - begun), this.failures > 3 ? POLL_MS * this.failures : 0);
    this.timer = window.setTimeout(() => void this.tick(), Math.min(wait, MOST_POLL_MS));
  }

  private showStatus(): void {
    const lost = this.failures > 0;
    const state = !this.api.live ? 'report' : lost ? 'lost' : this.lastGood === 0 ? 'loading' : 'live';
    document.documentElement.dataset['connection'] = state;
    const about = this.api.about;
    say(this.status, {report: about ? `Report of ${moment(about.madeAt)}, muster ${about.version}` : 'Report', lost: '✕ Lost', loading: 'Loading…', live: document.hidden ? 'Paused' : '● Live'}[state]);
    this.banner.hidden = !lost;
    if (!lost) return;
    say(
      this.banner,
      this.lastGood === 0
        ? 'musterd does not answer. Trying again…'
        : `musterd has not answered since ${clock(this.lastGood)}, ${duration(Date.now() - this.lastGood)} ago. What you see is from then. Trying again…`,
    );
  }
}

/** Ranks in a row, one out of line. */
function mark(): HTMLElement {
  return h('span', {class: 'logo', 'aria-hidden': 'true'}, h('i'), h('i'), h('i'), h('i'));
}

function start(): void {
  const root = document.getElementById('app');
  if (root) new App().start(root);
}

// The body, and what a report has put into it, is there only then.
if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', start);
else start();
