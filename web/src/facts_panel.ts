// What ranks state about themselves, where they differ.
import {differingFacts} from './deviation.ts';
import {fill, h, memo} from './dom.ts';
import {plural, rankList} from './format.ts';
import type {Rank} from './types.ts';

const VALUES = 12;

/** Owned by RunPage. */
export class FactsPanel {
  private readonly body = h('div');
  readonly element = h('section', {class: 'card facts', 'aria-labelledby': 'facts-title'}, h('header', {}, h('h2', {id: 'facts-title'}, 'Stated facts')), this.body);
  private readonly once = memo();

  show(ranks: readonly Rank[]): void {
    const {differing, agreeing} = differingFacts(ranks);
    this.once([differing, agreeing], () =>
      fill(
        this.body,
        differing.length === 0 && h('p', {class: 'none'}, agreeing.length === 0 ? 'The ranks state no facts.' : 'The ranks differ in no fact.'),
        differing.map((fact) =>
          h(
            'div',
            {class: fact.shownOnly ? 'fact' : 'fact judged'},
            h('h3', {}, h('code', {}, fact.name), h('span', {class: 'tag'}, fact.shownOnly ? 'shown, may differ' : '▲ must agree')),
            h(
              'ul',
              {},
              fact.values.slice(0, VALUES).map(({value, ranks: named}) => h('li', {}, h('code', {}, value === '' ? '(empty)' : value), h('span', {class: 'meta'}, ` ${named.length === 1 ? 'rank' : 'ranks'} ${rankList(named)}`))),
              fact.values.length > VALUES && h('li', {class: 'meta'}, `and ${plural(fact.values.length - VALUES, 'further value')}`),
            ),
          ),
        ),
        agreeing.length > 0 &&
          h(
            'details',
            {},
            h('summary', {}, `All ranks agree on ${plural(agreeing.length, 'fact')}`),
            h('dl', {}, agreeing.map((fact) => [h('dt', {}, h('code', {}, fact.name)), h('dd', {}, h('code', {}, fact.value))])),
          ),
      ),
    );
  }
}
