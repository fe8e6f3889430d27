// Panels whose options are checked against Grafana's own types.

import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  type DataQuery,
  type DataTransformerConfig,
  FieldColorModeId,
  type FieldConfig,
  type GraphFieldConfig,
  GraphDrawStyle,
  type GridPos,
  HeatmapCellLayout,
  LegendDisplayMode,
  LineInterpolation,
  type Panel,
  PercentChangeColorMode,
  SortOrder,
  TableCellHeight,
  type Threshold,
  ThresholdsMode,
  TooltipDisplayMode,
  type ValueMapping,
  VisibilityMode,
  VizOrientation,
} from '@grafana/schema';
import {
  HeatmapColorMode,
  type Options as HeatmapOptions,
} from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as StateTimelineField,
  Options as StateTimelineOptions,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type {
  FieldConfig as TableField,
  Options as TableOptions,
} from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as TimeSeriesOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

export const PLUGIN_VERSION = '13.2.2';
export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

// Not in the schema's package.
export interface PrometheusQuery extends DataQuery {
  datasource: typeof DATASOURCE;
  editorMode: 'code';
  expr: string;
  legendFormat: string;
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  range: boolean;
}

// The same panel, with options and custom field options of its plugin's types.
export interface TypedPanel<Type extends string, Options extends object, Field extends object>
  extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  title: string;
  description: string;
  datasource: typeof DATASOURCE;
  gridPos: GridPos;
  targets: PrometheusQuery[];
  options: Options;
  fieldConfig: {
    defaults: Omit<FieldConfig, 'custom'> & { unit: string; custom?: Partial<Field> };
    overrides: Override[];
  };
}
export type AnyPanel =
  | TypedPanel<'stat', StatOptions, Record<string, never>>
  | TypedPanel<'timeseries', TimeSeriesOptions, GraphFieldConfig>
  | TypedPanel<'state-timeline', StateTimelineOptions, StateTimelineField>
  | TypedPanel<'heatmap', HeatmapOptions, Record<string, never>>
  | TypedPanel<'table', TableOptions, TableField>;

export interface Override {
  matcher: { id: 'byName' | 'byFrameRefID'; options: string };
  properties: { id: string; value: unknown }[];
}
export const override = (name: string, properties: Record<string, unknown>): Override => ({
  matcher: { id: 'byName', options: name },
  properties: Object.entries(properties).map(([id, value]) => ({ id, value })),
});

// What each panel must have. size: columns of 24, rows; the dashboard places it.
export interface Common {
  title: string;
  description: string;
  size: [width: number, height: number];
  unit: string;
  decimals?: number;
  min?: number;
  max?: number;
  mappings?: ValueMapping[];
  steps?: Threshold[];
  noValue?: string;
  overrides?: Override[];
}
// [expression, legend]
type Query = [expr: string, legend: string];

// Told apart without red and green: blue, amber, vermilion, purple, grey.
export const COLOUR = {
  fine: '#3274D9',
  warn: '#E69F00',
  bad: '#D55E00',
  stalled: '#9F4FA8',
  unknown: '#7F8792',
};

const refId = (index: number) => String.fromCharCode(65 + index);
const target = (
  [expr, legendFormat]: Query,
  index: number,
  format: PrometheusQuery['format'],
  instant: boolean,
): PrometheusQuery => ({
  datasource: DATASOURCE,
  editorMode: 'code',
  expr,
  format,
  instant,
  legendFormat,
  range: !instant,
  refId: refId(index),
});

function base(common: Common, targets: PrometheusQuery[]) {
  return {
    title: common.title,
    description: common.description,
    datasource: DATASOURCE,
    gridPos: { x: 0, y: 0, w: common.size[0], h: common.size[1] },
    pluginVersion: PLUGIN_VERSION,
    targets,
  };
}
function field(common: Common, mode: FieldColorModeId) {
  const { unit, decimals, min, max, mappings, noValue } = common;
  const given = Object.fromEntries(
    Object.entries({ decimals, min, max, noValue }).filter(([, value]) => value !== undefined),
  );
  return {
    ...given,
    unit,
    mappings: mappings ?? [],
    color: { mode },
    thresholds: {
      mode: ThresholdsMode.Absolute,
      steps: common.steps ?? [{ color: COLOUR.fine, value: null }],
    },
  };
}
const tooltip = { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending };
const legend = {
  calcs: [],
  displayMode: LegendDisplayMode.List,
  placement: 'bottom' as const,
  showLegend: true,
};

// One number now. name: show the series' name with it, or alone.
export function stat(
  common: Common & { query: Query; name?: BigValueTextMode; wide?: boolean },
): AnyPanel {
  return {
    ...base(common, [target(common.query, 0, 'time_series', true)]),
    type: 'stat',
    options: {
      colorMode: BigValueColorMode.BackgroundSolid,
      graphMode: BigValueGraphMode.None,
      justifyMode: BigValueJustifyMode.Center,
      orientation: VizOrientation.Auto,
      percentChangeColorMode: PercentChangeColorMode.Standard,
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      showPercentChange: false,
      textMode: common.name ?? BigValueTextMode.Value,
      wideLayout: true,
    },
    fieldConfig: { defaults: field(common, FieldColorModeId.Thresholds), overrides: common.overrides ?? [] },
  };
}

export function timeSeries(
  common: Common & { queries: Query[]; custom?: Partial<GraphFieldConfig> },
): AnyPanel {
  return {
    ...base(common, common.queries.map((one, index) => target(one, index, 'time_series', false))),
    type: 'timeseries',
    options: { legend, tooltip },
    fieldConfig: {
      defaults: {
        ...field(common, FieldColorModeId.PaletteClassicByName),
        custom: {
          drawStyle: GraphDrawStyle.Line,
          fillOpacity: 0,
          lineInterpolation: LineInterpolation.Linear,
          lineWidth: 2,
          showPoints: VisibilityMode.Never,
          spanNulls: false,
          ...common.custom,
        },
      },
      overrides: common.overrides ?? [],
    },
  };
}

export function stateTimeline(common: Common & { query: Query }): AnyPanel {
  return {
    ...base(common, [target(common.query, 0, 'time_series', false)]),
    type: 'state-timeline',
    options: {
      alignValue: 'left',
      legend,
      mergeValues: true,
      rowHeight: 0.9,
      showValue: VisibilityMode.Never,
      tooltip,
    },
    fieldConfig: {
      defaults: {
        ...field(common, FieldColorModeId.Thresholds),
        custom: { fillOpacity: 90, lineWidth: 0 },
      },
      overrides: common.overrides ?? [],
    },
  };
}

// A row for each series, or for each bucket of a histogram. Its unit is that of the cells.
export function heatmap(common: Common & { query: Query; buckets: boolean; yUnit?: string }): AnyPanel {
  return {
    ...base(common, [target(common.query, 0, common.buckets ? 'heatmap' : 'time_series', false)]),
    type: 'heatmap',
    options: {
      calculate: false,
      cellGap: 1,
      cellValues: { unit: common.unit },
      color: {
        exponent: 0.5,
        fill: 'dark-orange',
        mode: HeatmapColorMode.Scheme,
        reverse: false,
        scheme: 'Cividis',
        steps: 64,
        ...(common.max === undefined ? {} : { min: common.min ?? 0, max: common.max }),
      },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: common.buckets ? HeatmapCellLayout.auto : HeatmapCellLayout.unknown },
      showValue: VisibilityMode.Never,
      tooltip: { mode: TooltipDisplayMode.Single, showColorScale: true, yHistogram: false },
      yAxis: { reverse: !common.buckets, unit: common.yUnit ?? 'short' },
    },
    fieldConfig: { defaults: { unit: common.unit }, overrides: common.overrides ?? [] },
  };
}

// A column for each [expression, title]; rows are the series' common labels, `labels` names
// those to show. Other columns (the time) are hidden.
export function table(
  common: Common & {
    columns: Query[];
    labels: Record<string, string>;
    sortBy: string;
    hidden: string[];
  },
): AnyPanel {
  const titles = common.columns.map(([, title], index): [string, string] => [
    common.columns.length === 1 ? 'Value' : `Value #${refId(index)}`,
    title,
  ]);
  const order = [...Object.keys(common.labels), ...titles.map(([value]) => value)];
  const transformations: DataTransformerConfig[] = [
    { id: 'merge', options: {} },
    {
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(['Time', ...common.hidden].map((name) => [name, true])),
        indexByName: Object.fromEntries(order.map((name, index) => [name, index])),
        renameByName: { ...common.labels, ...Object.fromEntries(titles) },
      },
    },
  ];
  return {
    ...base(common, common.columns.map((one, index) => target([one[0], ''], index, 'table', true))),
    type: 'table',
    transformations,
    options: {
      cellHeight: TableCellHeight.Sm,
      frameIndex: 0,
      showHeader: true,
      sortBy: [{ displayName: common.sortBy, desc: true }],
    },
    fieldConfig: { defaults: field(common, FieldColorModeId.Thresholds), overrides: common.overrides ?? [] },
  };
}

export const colouredCell = { 'custom.cellOptions': { type: 'color-background', mode: 'basic' } };
