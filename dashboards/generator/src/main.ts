// Writes the dashboards into the folder that is the only argument.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Dashboard } from '@grafana/schema';

import { itselfDashboard } from './itself';
import { runDashboard } from './run';
import { runsDashboard } from './runs';

const [folder, ...rest] = process.argv.slice(2);
if (folder === undefined || rest.length > 0) {
  console.error('usage: node out/main.js FOLDER');
  process.exit(2);
}
const dashboards: Dashboard[] = [runsDashboard(), runDashboard(), itselfDashboard()];
for (const dashboard of dashboards) {
  writeFileSync(join(folder, `${dashboard.uid}.json`), `${JSON.stringify(dashboard, null, 2)}\n`);
}
