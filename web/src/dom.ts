// Builds elements. Text goes in as text nodes only, so that no name or value of
// a run can become markup.

export type Child = Node | string | number | null | undefined | false | Child[];
type Attributes = Record<string, unknown>;

const SVG = 'http://www.w3.org/2000/svg';

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
}

function apply(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value as EventListener);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
}

/** h('td', {class: 'number'}, '3'); "onclick" and its like take functions. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  apply(element, attributes);
  append(element, children);
  return element;
}

export function svg(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS(SVG, tag) as SVGElement;
  apply(element, attributes);
  append(element, children);
  return element;
}

export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren();
  append(element, children);
}

/** Sets the text if it differs, so that nothing is laid out in vain. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Calls `make` only when what it depends on has changed. */
export function memo(): (key: unknown, make: () => void) => void {
  let last: string | undefined;
  return (key, make) => {
    const now = JSON.stringify(key);
    if (now === last) return;
    last = now;
    make();
  };
}

/** Tells whether any of its inputs is another one than the last time. */
export function changed(): (...inputs: unknown[]) => boolean {
  let last: unknown[] | null = null;
  return (...inputs) => {
    const differ = last === null || inputs.some((input, i) => !Object.is(input, last![i]));
    last = inputs;
    return differ;
  };
}
