// A canvas of cells that pointer and keyboard move about in: heatmap and matrix.
import {h} from './dom.ts';

export interface Cell {
  row: number;
  column: number;
}

interface GridOptions {
  label: string;
  /** What it is, to a screen reader. */
  description: string;
  /** Rows and columns; 0 while there is nothing. */
  size: () => {rows: number; columns: number};
  /** The cell at a point of the canvas, CSS pixels. */
  at: (x: number, y: number) => Cell | null;
  moved: (cell: Cell | null) => void;
  chosen: (cell: Cell) => void;
  /** There is more room, or less. */
  resized: () => void;
  /** Further keys; true if it was one. */
  key?: (event: KeyboardEvent) => boolean;
}

/** Owned by its panel, which draws. */
export class Grid {
  readonly canvas = h('canvas', {'aria-hidden': 'true'});
  readonly element: HTMLElement;
  cell: Cell | null = null;
  private known = 0;

  constructor(private readonly options: GridOptions) {
    this.element = h(
      'div',
      {
        class: 'grid',
        tabindex: 0,
        role: 'application',
        'aria-roledescription': options.description,
        'aria-label': options.label,
        onkeydown: (event: KeyboardEvent) => this.key(event),
        onblur: () => this.move(null),
        onpointermove: (event: PointerEvent) => this.move(this.under(event)),
        onpointerleave: () => this.move(null),
        onclick: (event: MouseEvent) => {
          const cell = this.under(event);
          if (cell) options.chosen(cell);
        },
      },
      this.canvas,
    );
    new ResizeObserver(() => {
      const width = this.element.clientWidth;
      if (width === this.known) return;
      this.known = width;
      options.resized();
    }).observe(this.element);
  }

  /** Of the element, CSS pixels; asks for a layout only while there was none. */
  get width(): number {
    return this.known > 0 ? this.known : this.element.clientWidth;
  }

  /** The context, with the canvas at the size of its element and in CSS pixels. */
  context(width: number, height: number): CanvasRenderingContext2D {
    const ratio = devicePixelRatio;
    const [w, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== high) {
      this.canvas.width = w;
      this.canvas.height = high;
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext('2d')!;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.imageSmoothingEnabled = false;
    return context;
  }

  private under(event: MouseEvent): Cell | null {
    const box = this.canvas.getBoundingClientRect();
    return this.options.at(event.clientX - box.left, event.clientY - box.top);
  }

  private move(cell: Cell | null): void {
    if (cell?.row === this.cell?.row && cell?.column === this.cell?.column) return;
    this.cell = cell;
    this.options.moved(cell);
  }

  private key(event: KeyboardEvent): void {
    const {rows, columns} = this.options.size();
    if (rows === 0 || columns === 0 || this.options.key?.(event)) return;
    const {row, column} = this.cell ?? {row: 0, column: columns - 1};
    const stride = event.shiftKey ? 10 : 1;
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [row, column - stride],
      ArrowRight: [row, column + stride],
      ArrowUp: [row - stride, column],
      ArrowDown: [row + stride, column],
      Home: [row, 0],
      End: [row, columns - 1],
    };
    const to = moves[event.key];
    if (event.key === 'Enter' || event.key === ' ') this.options.chosen({row, column});
    else if (to) this.move(this.cell ? {row: clamp(to[0], rows), column: clamp(to[1], columns)} : {row, column});
    else return;
    event.preventDefault();
  }
}

const clamp = (index: number, count: number): number => Math.max(0, Math.min(count - 1, index));
