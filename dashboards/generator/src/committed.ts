// For the check of the committed files: a dashboard as it is in JSON, where enumerations
// are plain strings, and where each panel has the options of its own plugin.

import type { AnnotationQuery, Dashboard, RowPanel } from '@grafana/schema';

import type { AnyPanel, PrometheusQuery } from './panels';

type Plain<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer Item)[]
      ? Plain<Item>[]
      : unknown extends T
        ? unknown
        : { [Key in keyof T]: Plain<T[Key]> };

export type Committed = Plain<
  Omit<Dashboard, 'panels' | 'annotations'> & {
    panels: ((AnyPanel & { id: number }) | RowPanel)[];
    annotations: {
      list: (Omit<AnnotationQuery<PrometheusQuery>, 'target'> & {
        target: PrometheusQuery;
        titleFormat: string;
        tagKeys: string;
      })[];
    };
  }
>;
