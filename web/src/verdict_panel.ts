// The first thing to read: do the ranks agree, since when not, who, and why.
import {sign} from './badge.ts';
import {fill, h, memo, say} from './dom.ts';
import {duration, integer, number} from './format.ts';
import type {Run} from './types.ts';
import type {Verdict} from './verdict.ts';

const TILES = ['Step', 'Ranks reporting', 'Mean loss', 'Loss spread', 'Gradient norm', 'Cosine', 'Attempt', 'Reports dropped'] as const;

/** Owned by RunPage. */
export class VerdictPanel {
  private readonly icon = h('div');
  private readonly sentence = h('h1');
  private readonly reason = h('p', {class: 'reason'});
  private readonly values = new Map(TILES.map((name) => [name, {value: h('b'), note: h('small')}]));
  private readonly card = h('section', {class: 'headline', 'aria-label': 'Verdict'}, this.icon, h('div', {role: 'status'}, this.sentence, this.reason));
  readonly element = h('div', {}, this.card, h('dl', {class: 'tiles'}, TILES.map((name) => h('div', {}, h('dt', {}, name), h('dd', {}, this.values.get(name)!.value, ' ', this.values.get(name)!.note)))));
  private readonly once = memo();

  /** `live` is false in a report, whose times are past. */
  constructor(private readonly live: boolean) {}

  show(run: Run, verdict: Verdict, now: number): void {
    this.once(verdict.state, () => {
      fill(this.icon, sign(verdict.state));
      this.card.className = `headline ${verdict.state}`;
    });
    say(this.sentence, `${verdict.sentence}.`);
    say(this.reason, verdict.alert ? verdict.alert.evidence : '');
    const step = run.newest;
    const set = (name: (typeof TILES)[number], value: string, note = ''): void => {
      const tile = this.values.get(name)!;
      say(tile.value, value);
      say(tile.note, note);
    };
    set('Step', step ? integer(step.step) : '–', run.newestAt > 0 && this.live && run.state !== 'ENDED' ? `${duration(now - run.newestAt)} ago` : '');
    set('Ranks reporting', step ? `${step.ranksReporting}/${step.ranksExpected}` : `0/${run.worldSize}`, `${run.ranksConnected} connected`);
    set('Mean loss', number(step?.lossMean));
    set('Loss spread', number(step?.lossStddev, 3), step?.lossStddev == null ? '' : 'std. dev.');
    set('Gradient norm', number(step?.gradientNormMean));
    set('Cosine', number(step?.gradientCosineMean, 3), step?.gradientCosineExpected == null ? '' : `expected ${number(step.gradientCosineExpected, 3)}`);
    set('Attempt', String(run.attempt), run.framesPartial > 0 ? `${integer(run.framesPartial)} partial steps` : '');
    set('Reports dropped', integer(run.reportsDropped));
  }
}
