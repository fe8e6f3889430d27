// Light, dark, or as the system has it; remembered in the browser if it lets us.
import {h} from './dom.ts';

const NAMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof NAMES)[number];
const KEY = 'muster-theme';

const listeners = new Set<() => void>();

/** Calls back when colours change, until the returned function is called. */
export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function read(): Theme {
  try {
    return NAMES.find((name) => name === localStorage.getItem(KEY)) ?? 'system';
  } catch {
    return 'system'; // a browser that keeps nothing
  }
}

function use(theme: Theme): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  for (const listener of listeners) listener();
}

export function themeSwitch(): HTMLElement {
  let theme = read();
  use(theme);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => use(theme));
  const button = h('button', {
    class: 'quiet',
    type: 'button',
    onclick: () => {
      theme = NAMES[(NAMES.indexOf(theme) + 1) % NAMES.length]!;
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // It holds until the page is closed.
      }
      use(theme);
      label();
    },
  });
  const label = (): void => {
    button.textContent = {system: '◐ System', light: '○ Light', dark: '● Dark'}[theme];
    button.setAttribute('aria-label', `Colours: ${theme}. Change`);
  };
  label();
  return button;
}
