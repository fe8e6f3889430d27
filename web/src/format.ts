// How numbers, times and ranks are written.

/** About `digits` significant digits; "–" where there is no number. */
export function number(value: number | null | undefined, digits = 4): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2).replace('-', '−').replace(/e−/, 'e−').replace('e+', 'e');
  const decimals = Math.max(0, Math.min(6, digits - 1 - Math.floor(Math.log10(size))));
  return value.toFixed(decimals).replace('-', '−');
}

/** With its sign: "+7.2", "−0.4". */
export function signed(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (!Number.isFinite(value)) return value > 0 ? '+∞' : '−∞';
  const shown = Math.abs(value) >= 100 ? Math.abs(value).toFixed(0) : Math.abs(value).toFixed(1);
  return (value < 0 && Number(shown) !== 0 ? '−' : '+') + shown;
}

/** Thousands apart: "10 000" with narrow spaces. */
export function integer(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f');
}

/** "0 s", "12 s", "3 min 12 s", "5 h 3 min": two units at most. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** Hours, minutes and seconds of the reader's day: "14:03:22". */
export function clock(milliseconds: number): string {
  const time = new Date(milliseconds);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}

/** Date and time, the same for readers everywhere: "2026-03-01 14:03 UTC". */
export function moment(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Ascending ranks as "0–3, 5, 7–8"; after `most` pieces "and 12 more". */
export function rankList(ranks: readonly number[], most = 8): string {
  const pieces: {text: string; size: number}[] = [];
  for (let begin = 0; begin < ranks.length; ) {
    let end = begin;
    while (end + 1 < ranks.length && ranks[end + 1] === ranks[end]! + 1) ++end;
    const size = end - begin + 1;
    pieces.push({text: size === 1 ? `${ranks[begin]}` : size === 2 ? `${ranks[begin]}, ${ranks[end]}` : `${ranks[begin]}–${ranks[end]}`, size});
    begin = end + 1;
  }
  const shown = pieces.slice(0, most).map((piece) => piece.text);
  const rest = pieces.slice(most).reduce((sum, piece) => sum + piece.size, 0);
  return shown.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** "rank 3", "ranks 0–3", "all ranks", "the run". */
export function who(ranks: readonly number[], worldSize: number): string {
  if (ranks.length === 0) return 'the run';
  if (ranks.length === worldSize && worldSize > 1) return 'all ranks';
  if (ranks.length === 2) return `ranks ${ranks[0]} and ${ranks[1]}`;
  return `${ranks.length === 1 ? 'rank' : 'ranks'} ${rankList(ranks)}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** "step 412", "steps 410–415". */
export function steps(first: number, last: number): string {
  return first === last ? `step ${integer(first)}` : `steps ${integer(first)}–${integer(last)}`;
}

export function plural(count: number, noun: string): string {
  return `${integer(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** "gradient_norm" → "gradient norm"; facts keep their names. */
export function subjectName(subject: string): string {
  const known: Record<string, string> = {
    loss: 'loss',
    gradient_norm: 'gradient norm',
    gradient: 'gradient',
    direction: 'gradient direction',
    step_time: 'step time',
    gradient_cosine: 'gradient cosine',
  };
  return known[subject] ?? subject;
}
