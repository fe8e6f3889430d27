// Says in words whether the ranks of a run agree, since when not, who, and why.
import {capital, duration, integer, plural, steps, subjectName, who} from './format.ts';
import type {Alert, Run} from './types.ts';

/** Worst first: the order of the list of runs. */
export const STATES = ['disagree', 'stalled', 'silent', 'missing', 'waiting', 'starting', 'agree', 'faulted', 'ended'] as const;
export type State = (typeof STATES)[number];

export interface Verdict {
  state: State;
  /** One or two words: "Disagree". */
  label: string;
  /** Without a final stop. */
  sentence: string;
  /** The alert that the sentence is about. */
  alert: Alert | null;
}

/** A live run without a new frame for so long is not said to agree. */
export const QUIET_MS = 60_000;

const LABELS: Record<State, string> = {
  disagree: 'Disagree',
  stalled: 'Stalled',
  silent: 'Silent',
  missing: 'Incomplete',
  waiting: 'Waiting',
  starting: 'Starting',
  agree: 'Agree',
  faulted: 'Ended with alerts',
  ended: 'Ended',
};

const SEVERITY_ORDER = ['CRITICAL', 'WARNING', 'INFO', 'UNKNOWN'];
// What tells of the data's absence comes after what tells of the training.
const ABSENCES = ['RunStalled', 'RankMissing', 'RankLagging'];

/** Most urgent first; among those, what began first. */
export function byUrgency(a: Alert, b: Alert): number {
  const severity = SEVERITY_ORDER.indexOf(a.severity) - SEVERITY_ORDER.indexOf(b.severity);
  return severity || a.firstStep - b.firstStep || a.id - b.id;
}

/** "Rank 3’s loss", "The loss of ranks 0–3". */
function thingOf(thing: string, alert: Alert, worldSize: number): string {
  const name = who(alert.ranks, worldSize);
  return alert.ranks.length === 1 ? `${capital(name)}’s ${thing}` : `The ${thing} of ${name}`;
}

/** "Rank 3’s loss stands apart since step 412; the mean loss does not show it". */
export function alertSentence(alert: Alert, worldSize: number): string {
  const name = capital(who(alert.ranks, worldSize));
  const one = alert.ranks.length === 1;
  const subject = subjectName(alert.subject);
  const what = ((): string => {
    switch (alert.kind) {
      case 'RankOutlier':
        // Of two ranks, nobody can say which one is wrong.
        return alert.ranks.length === worldSize ? `The ranks disagree in ${subject}` : `${thingOf(subject, alert, worldSize)} stands apart`;
      case 'NonFinite':
        return `${thingOf(subject || 'report', alert, worldSize)} has NaN or infinite values`;
      case 'FactMismatch':
        return alert.ranks.length > 0 && alert.ranks.length < worldSize
          ? `${name} ${one ? 'differs' : 'differ'} from the others in ${alert.subject || 'a stated fact'}`
          : `The ranks disagree on ${alert.subject || 'a stated fact'}`;
      case 'DuplicateShard':
        return `${name} train on the same data`;
      case 'ShardOverlap':
        return alert.ranks.length > 0 ? `${name} ${one ? 'draws' : 'draw'} samples that are not ${one ? 'its' : 'theirs'} alone` : 'Ranks draw the same samples';
      case 'ReplicaDrift':
        return alert.ranks.length > 0 && alert.ranks.length < worldSize ? `${name} ${one ? 'has' : 'have'} other parameters than the other replicas` : 'The replicas’ parameters differ';
      case 'RankMissing':
        return `${name} ${one ? 'has' : 'have'} not reported`;
      case 'RankLagging':
        return `${name} ${one ? 'falls' : 'fall'} behind the others`;
      case 'RunStalled':
        return 'No rank has reported a step';
      case 'DispersionShift':
        return `The ranks’ ${subject || 'numbers'} disagree more than this run’s did`;
      case 'DirectionShift':
        return 'The ranks’ gradient directions agree otherwise than this run’s did';
      default:
        return `${alert.kind}: ${who(alert.ranks, worldSize)}${subject ? `, ${subject}` : ''}`;
    }
  })();
  return `${what} since step ${integer(alert.firstStep)}${alert.silent ? '; the mean loss does not show it' : ''}`;
}

function absenceState(kind: string): State {
  return kind === 'RunStalled' ? 'stalled' : kind === 'RankMissing' ? 'missing' : 'disagree';
}

/** `alerts` may be of other runs too; `now` in milliseconds since the epoch. */
export function verdictOf(run: Run, alerts: readonly Alert[], now: number): Verdict {
  const own = alerts.filter((alert) => alert.run === run.run);
  const firing = own.filter((alert) => alert.state === 'FIRING').sort(byUrgency);
  const say = (state: State, sentence: string, alert: Alert | null = null): Verdict => ({state, label: LABELS[state], sentence, alert});

  const worst = firing.find((alert) => !ABSENCES.includes(alert.kind)) ?? firing[0];
  if (worst) {
    const stalled = firing.find((alert) => alert.kind === 'RunStalled');
    const more = firing.length - 1;
    const sentence = alertSentence(worst, run.worldSize);
    const state = stalled && ABSENCES.includes(worst.kind) ? 'stalled' : ABSENCES.includes(worst.kind) ? absenceState(worst.kind) : 'disagree';
    return say(state, more > 0 ? `${sentence} (and ${plural(more, 'further alert')})` : sentence, worst);
  }
  if (run.alertsFiring > 0) return say('disagree', `${plural(run.alertsFiring, 'alert')} ${run.alertsFiring === 1 ? 'fires' : 'fire'}`);

  const step = run.newest;
  const age = run.newestAt > 0 ? now - run.newestAt : 0;
  if (run.state === 'ENDED') {
    const fired = own.filter((alert) => alert.firedAt > 0).sort(byUrgency);
    const end = step ? `All ranks said goodbye after step ${integer(step.step)}` : 'All ranks said goodbye before any step was judged';
    if (fired.length === 0) return say('ended', `${end}; no alert fired`);
    return say('faulted', `${end}; ${fired.length === 1 ? 'one alert' : plural(fired.length, 'alert')} fired before: ${lowerFirst(pastSentence(fired[0]!, run.worldSize))}`, fired[0]!);
  }
  if (run.state === 'SILENT') {
    return say('silent', step ? `No rank is connected; step ${integer(step.step)} was judged ${duration(age)} ago` : 'No rank is connected, and no step was judged');
  }
  if (!step) return say('starting', `${run.ranksConnected} of ${run.worldSize} ranks are connected; no step is judged yet`);
  if (age > QUIET_MS) return say('waiting', `No new step for ${duration(age)}; ${step.ranksReporting} of ${step.ranksExpected} ranks reported step ${integer(step.step)}`);
  if (step.ranksReporting < step.ranksExpected) return say('missing', `Only ${step.ranksReporting} of ${step.ranksExpected} ranks reported step ${integer(step.step)}`);
  return say('agree', step.ranksExpected === 1 ? `The only rank reports; there is no other to compare it with` : `All ${step.ranksExpected} ranks agree at step ${integer(step.step)}`);
}

function pastSentence(alert: Alert, worldSize: number): string {
  return `${who(alert.ranks, worldSize)}, ${alert.kind}${alert.subject ? ` (${subjectName(alert.subject)})` : ''}, ${steps(alert.firstStep, alert.lastStep)}`;
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** "1 of 3 runs disagrees" and the like, for the top of the list. */
export function summary(verdicts: readonly Verdict[]): string {
  const count = (...states: State[]): number => verdicts.filter((one) => states.includes(one.state)).length;
  const parts: string[] = [];
  const disagree = count('disagree');
  const trouble = count('stalled', 'silent', 'missing', 'waiting');
  const live = verdicts.length - count('ended', 'faulted');
  if (live === 0) {
    const faulted = count('faulted');
    const end = verdicts.length === 1 ? 'The only run has ended' : `All ${verdicts.length} runs have ended`;
    return faulted === 0 ? end : `${end}${verdicts.length === 1 ? '; alerts had fired' : `; in ${faulted} of them alerts had fired`}`;
  }
  if (disagree > 0) parts.push(disagree === 1 ? 'In one run the ranks disagree' : `In ${disagree} runs the ranks disagree`);
  if (trouble > 0) parts.push(trouble === 1 ? 'one run does not report as it should' : `${trouble} runs do not report as they should`);
  if (parts.length === 0) return count('agree') === 0 ? 'No step is judged yet' : live === 1 ? 'The ranks agree' : 'The ranks agree in every run';
  return capital(parts.join('; '));
}

