import type { JSX } from 'preact';

/** Names, and what is said of them. */
export type Facts = readonly (readonly [name: string, value: string])[];

/** Facts, one in each line. */
export function FactList({ facts }: { readonly facts: Facts }): JSX.Element {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
