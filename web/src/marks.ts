// Where alerts began, in a chart: a dashed line under a triangle, filled while
// the alert fires.
import type uPlot from 'uplot';
import type {Palette} from './colour.ts';
import type {Alert} from './types.ts';

export function drawMarks(plot: uPlot, alerts: readonly Alert[], palette: Palette): void {
  const ratio = devicePixelRatio;
  const {left, top, width, height} = plot.bbox;
  const context = plot.ctx;
  context.save();
  context.beginPath();
  context.rect(left - 6 * ratio, top - 10 * ratio, width + 12 * ratio, height + 10 * ratio);
  context.clip();
  context.strokeStyle = context.fillStyle = palette.orange;
  context.lineWidth = ratio;
  for (const alert of alerts) {
    const at = plot.valToPos(alert.firstStep, 'x', true);
    if (at < left - 1 || at > left + width + 1) continue;
    context.globalAlpha = alert.state === 'FIRING' ? 1 : 0.6;
    context.setLineDash([3 * ratio, 3 * ratio]);
    context.beginPath();
    context.moveTo(at, top);
    context.lineTo(at, top + height);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.moveTo(at - 5 * ratio, top - 8 * ratio);
    context.lineTo(at + 5 * ratio, top - 8 * ratio);
    context.lineTo(at, top);
    context.closePath();
    if (alert.state === 'FIRING') context.fill();
    else context.stroke();
  }
  context.restore();
}
