// Colours that stay apart for colour-blind people: blue against orange, and
// darker against lighter; never red against green.

export type Rgb = readonly [number, number, number];

export interface Palette {
  dark: boolean;
  /** Ends and middle of deviations: below, none, above. */
  diverging: readonly Rgb[];
  /** Low to high, for cosines. */
  sequential: readonly Rgb[];
  missing: Rgb;
  surface: string;
  ink: string;
  faint: string;
  line: string;
  blue: string;
  orange: string;
  /** Of chosen ranks, in order of choice. */
  ranks: readonly string[];
}

const LIGHT: Palette = {
  dark: false,
  diverging: [[8, 48, 107], [33, 113, 181], [207, 224, 236], [244, 244, 241], [250, 222, 196], [217, 95, 14], [127, 39, 4]],
  sequential: [[250, 232, 160], [233, 190, 100], [173, 160, 122], [108, 122, 137], [51, 84, 128], [8, 40, 84]],
  missing: [214, 215, 211],
  surface: '#ffffff',
  ink: '#1d2126',
  faint: '#5b636d',
  line: '#e4e5e1',
  blue: '#1666ad',
  orange: '#b74a02',
  ranks: ['#b74a02', '#7b3294', '#00796b', '#a1206a', '#6b5b00', '#005a8c', '#5d4037', '#37474f'],
};

const DARK: Palette = {
  dark: true,
  diverging: [[198, 226, 250], [107, 174, 240], [38, 62, 88], [33, 37, 42], [88, 58, 34], [247, 148, 66], [255, 222, 184]],
  sequential: [[16, 40, 76], [45, 76, 122], [100, 112, 130], [160, 148, 118], [222, 184, 98], [252, 234, 160]],
  missing: [70, 75, 82],
  surface: '#191c20',
  ink: '#e7e9ec',
  faint: '#a2abb5',
  line: '#2d3238',
  blue: '#6fb4f3',
  orange: '#ff9f5f',
  ranks: ['#ff9f5f', '#d0a2f0', '#4fd0bd', '#ff8fc4', '#e6d35a', '#8fd0ff', '#d7b09e', '#c3ced6'],
};

// Dashes beside colours: chosen ranks differ in both.
export const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [8, 3, 2, 3], [], [6, 3], [2, 3], [8, 3, 2, 3]];

export function palette(): Palette {
  const chosen = document.documentElement.dataset['theme'];
  const dark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  return dark ? DARK : LIGHT;
}

/** The colour at `at` (0 … 1) of evenly spaced `stops`. */
export function mix(stops: readonly Rgb[], at: number): Rgb {
  const place = Math.max(0, Math.min(1, at)) * (stops.length - 1);
  const low = Math.min(stops.length - 2, Math.floor(place));
  const part = place - low;
  const a = stops[low]!;
  const b = stops[low + 1]!;
  return [0, 1, 2].map((i) => Math.round(a[i]! + (b[i]! - a[i]!) * part)) as unknown as Rgb;
}

/** A table of 256 colours, packed as canvases want them, little endian. */
export function ramp(stops: readonly Rgb[]): Uint32Array {
  return Uint32Array.from({length: 256}, (_, i) => pack(mix(stops, i / 255)));
}

export function pack([r, g, b]: Rgb): number {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

export function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}
