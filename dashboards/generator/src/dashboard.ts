// A dashboard: places panels, numbers them, and has the variables and links of all three.

import {
  type AnnotationQuery,
  type Dashboard,
  DashboardCursorSync,
  type DashboardLink,
  defaultDashboard,
  type RowPanel,
  VariableHide,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/schema';

import { type AnyPanel, DATASOURCE } from './panels';

export interface Row {
  title: string;
  panels: AnyPanel[];
}

const WIDTH = 24;

// Left to right in the order given; a panel that does not fit starts a new line.
export function place(rows: Row[]): (AnyPanel | RowPanel)[] {
  const placed: (AnyPanel | RowPanel)[] = [];
  let y = 0;
  let id = 0;
  for (const row of rows) {
    placed.push({
      id: ++id,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: WIDTH, h: 1 },
      panels: [],
    });
    let x = 0;
    let height = 0;
    for (const panel of row.panels) {
      const { w, h } = panel.gridPos;
      if (x + w > WIDTH) {
        y += height;
        x = 0;
        height = 0;
      }
      placed.push({ id: ++id, ...panel, gridPos: { x, y, w, h } });
      x += w;
      height = Math.max(height, h);
    }
    y += height;
  }
  return placed;
}

export const datasource: VariableModel = {
  name: 'datasource',
  label: 'Data source',
  description: 'The Prometheus that scrapes Muster',
  type: 'datasource',
  query: 'prometheus',
  refresh: VariableRefresh.onDashboardLoad,
  hide: VariableHide.dontHide,
  includeAll: false,
  multi: false,
  options: [],
  regex: '',
};

export function queryVariable(
  name: string,
  label: string,
  description: string,
  query: string,
  many: boolean,
): VariableModel {
  return {
    name,
    label,
    description,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: `Variable-${name}` },
    refresh: VariableRefresh.onTimeRangeChanged,
    sort: VariableSort.naturalAsc,
    includeAll: many,
    multi: many,
    ...(many ? { allValue: '.*', current: { text: 'All', value: '$__all' } } : {}),
    hide: VariableHide.dontHide,
    options: [],
    regex: '',
  };
}

function choice(
  name: string,
  label: string,
  description: string,
  values: string[],
  chosen: string,
): VariableModel {
  return {
    name,
    label,
    description,
    type: 'custom',
    query: values.join(','),
    current: { text: chosen, value: chosen },
    options: values.map((value) => ({ text: value, value, selected: value === chosen })),
    hide: VariableHide.dontHide,
    includeAll: false,
    multi: false,
  };
}
export const stale = choice(
  'stale',
  'Stalled after',
  'Seconds without a judged frame after which the values of a run are no longer shown',
  ['30', '60', '120', '300', '900', '3600'],
  '120',
);
export const window = choice(
  'window',
  'Deviation over',
  'Time over which the deviations of single ranks are averaged; at least twenty scrapes',
  ['1m', '5m', '15m', '1h', '6h'],
  '5m',
);

export const musterUrl: VariableModel = {
  name: 'muster_url',
  label: "Muster's page",
  description: 'Where a browser reaches the HTTP address of musterd',
  type: 'textbox',
  query: 'http://127.0.0.1:7601',
  current: { text: 'http://127.0.0.1:7601', value: 'http://127.0.0.1:7601' },
  options: [],
  hide: VariableHide.dontHide,
};

const link = (title: string, tooltip: string, url: string, icon: string): DashboardLink => ({
  title,
  tooltip,
  url,
  icon,
  type: 'link',
  asDropdown: false,
  includeVars: false,
  keepTime: !url.startsWith('$'),
  tags: [],
  targetBlank: url.startsWith('$'),
});

export const TAG = 'muster';
export const UID = { runs: 'muster-runs', run: 'muster-run', itself: 'muster-itself' };

export function dashboard(
  uid: string,
  title: string,
  description: string,
  variables: VariableModel[],
  rows: Row[],
  annotations: AnnotationQuery[] = [],
  page = '',
): Dashboard {
  const keep = '?${datasource:queryparam}&${muster_url:queryparam}';
  const others = [
    link('Runs', 'All runs', `/d/${UID.runs}${keep}`, 'dashboard'),
    link('Run', 'One run', `/d/${UID.run}${keep}`, 'dashboard'),
    link('Muster itself', 'The daemon', `/d/${UID.itself}${keep}`, 'dashboard'),
  ].filter((one) => !one.url?.startsWith(`/d/${uid}?`));
  const toPage = link(
    "Muster's page",
    'Evidence of each alert, the matrix of cosines, what to check',
    `\${muster_url}/${page}`,
    'external link',
  );
  return {
    uid,
    title,
    description,
    tags: [TAG],
    schemaVersion: defaultDashboard.schemaVersion,
    version: 1,
    editable: false,
    graphTooltip: DashboardCursorSync.Crosshair,
    timezone: 'browser',
    time: { from: 'now-1h', to: 'now' },
    refresh: '15s',
    fiscalYearStartMonth: 0,
    liveNow: false,
    links: [...others, toPage],
    templating: { list: [datasource, ...variables, musterUrl] },
    annotations: { list: annotations },
    panels: place(rows) as Dashboard['panels'],
  };
}
