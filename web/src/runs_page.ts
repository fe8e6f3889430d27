// The list of runs: a verdict for each, the worst first.
import type {Api} from './api.ts';
import {badge, sign} from './badge.ts';
import {fill, h, memo, say} from './dom.ts';
import {duration, integer, number} from './format.ts';
import type {Page} from './main.ts';
import {runHref} from './route.ts';
import type {Run} from './types.ts';
import {STATES, summary, verdictOf, type Verdict} from './verdict.ts';

// As in the README and in docs/training.md.
const FOUR_LINES = `import muster, muster.torch

monitor = muster.start(address="127.0.0.1:7600", run_id="my-run")
muster.torch.watch(monitor, ddp_model)
monitor.end_step(step, loss=loss, weight=tokens)   # after loss.backward(), at each step
monitor.close()                                    # after the last one`;

export class RunsPage implements Page {
  readonly title = 'Runs';
  private readonly body = h('div', {class: 'stack'}, h('p', {class: 'loading'}, 'Asking musterd…'));
  private readonly version = h('p', {class: 'foot'});
  readonly element = h('div', {class: 'page'}, this.body, this.version);
  private readonly once = memo();

  constructor(private readonly api: Api) {}

  async update(): Promise<void> {
    const [runs, alerts] = await Promise.all([this.api.runs(), this.api.alerts()]);
    say(this.version, runs.daemonVersion ? `musterd ${runs.daemonVersion}` : '');
    const now = Date.now();
    const rows = runs.runs
      .map((run) => ({run, verdict: verdictOf(run, alerts, this.api.live ? now : run.newestAt)}))
      .sort((a, b) => STATES.indexOf(a.verdict.state) - STATES.indexOf(b.verdict.state) || b.run.newestAt - a.run.newestAt);
    const shape = rows.map(({run, verdict}) => [run.run, verdict.state]);
    // Rows are built anew only when their order changes: focus stays.
    this.once(shape, () => this.build(rows));
    rows.forEach((row) => this.refresh(row.run, row.verdict, now));
  }

  route(): void {}
  close(): void {}

  private cells = new Map<string, {sentence: HTMLElement; step: HTMLElement; ranks: HTMLElement; loss: HTMLElement; cosine: HTMLElement; age: HTMLElement}>();

  private build(rows: {run: Run; verdict: Verdict}[]): void {
    this.cells = new Map();
    if (rows.length === 0) {
      fill(this.body, empty());
      return;
    }
    const verdicts = rows.map((row) => row.verdict);
    const worst = verdicts[0]!.state;
    fill(
      this.body,
      h('div', {class: `headline ${worst}`}, sign(worst), h('h1', {}, summary(verdicts))),
      h(
        'div',
        {class: 'card scroll', tabindex: 0, role: 'region', 'aria-label': 'Runs'},
        h(
          'table',
          {class: 'runs'},
          h('thead', {}, h('tr', {}, ['Verdict', 'Run', 'Step', 'Ranks', 'Mean loss', 'Cosine', 'Last step'].map((name, i) => h('th', {scope: 'col', class: i > 1 ? 'number' : null}, name)))),
          h('tbody', {}, rows.map(({run, verdict}) => this.row(run, verdict))),
        ),
      ),
    );
  }

  private row(run: Run, verdict: Verdict): HTMLElement {
    const cells = {
      sentence: h('span', {class: 'sentence'}),
      step: h('td', {class: 'number'}),
      ranks: h('td', {class: 'number'}),
      loss: h('td', {class: 'number'}),
      cosine: h('td', {class: 'number'}),
      age: h('td', {class: 'number'}),
    };
    this.cells.set(run.run, cells);
    return h('tr', {class: verdict.state}, h('td', {}, badge(verdict)), h('th', {scope: 'row'}, h('a', {class: 'id', href: runHref(run.run)}, run.run), cells.sentence), cells.step, cells.ranks, cells.loss, cells.cosine, cells.age);
  }

  private refresh(run: Run, verdict: Verdict, now: number): void {
    const cells = this.cells.get(run.run);
    if (!cells) return;
    say(cells.sentence, verdict.sentence);
    say(cells.step, run.newest ? integer(run.newest.step) : '–');
    say(cells.ranks, run.newest ? `${run.newest.ranksReporting}/${run.newest.ranksExpected}` : `0/${run.worldSize}`);
    say(cells.loss, number(run.newest?.lossMean));
    say(cells.cosine, number(run.newest?.gradientCosineMean, 3));
    say(cells.age, run.newestAt > 0 ? (this.api.live ? `${duration(now - run.newestAt)} ago` : new Date(run.newestAt).toLocaleString()) : '–');
  }
}

function empty(): HTMLElement {
  return h(
    'section',
    {class: 'card empty'},
    sign('starting'),
    h('h1', {}, 'No run yet'),
    h('p', {}, 'musterd is up and waits for the first rank. These four lines in the training script start a run; each rank runs them:'),
    h('pre', {tabindex: 0, 'aria-label': 'Lines for the training script'}, h('code', {}, FOUR_LINES)),
    h('p', {}, 'Run id, rank and world size also come from the environment: ', h('code', {}, 'MUSTER_ADDRESS'), ', ', h('code', {}, 'MUSTER_RUN_ID'), ', ', h('code', {}, 'RANK'), ', ', h('code', {}, 'WORLD_SIZE'), '. To see something at once: ', h('code', {}, 'muster simulate my-run --fault=loss-shift:3:300:4'), '.'),
  );
}
