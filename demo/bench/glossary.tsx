import type { JSX } from 'preact';

const TERMS: readonly (readonly [term: string, meaning: string])[] = [
  [
    'Prompt (prefill)',
    'How many tokens of a prompt are read in a second, until the first token of the reply is there. Many at a time: mostly a matter of arithmetic.',
  ],
  [
    'Reply (decode)',
    'How many tokens of a reply are written in a second. One after another, each of which reads all weights: mostly a matter of memory bandwidth.',
  ],
  [
    'Median, least and most',
    'Each test is repeated several times, after once to warm up, for half a second or more each time. Half of the repetitions were faster than the median. Two runs whose ranges overlap are not known to differ.',
  ],
  [
    'Limit',
    'What this device could do at most, from its own memory bandwidth and arithmetic as they were measured right before. Press a percentage for the formula with its numbers.',
  ],
  [
    'Load, cold and warm',
    'Cold: the first load of this run, with weights made up or read, kernels checked and shaders compiled. What the browser keeps of earlier visits is not cleared. Warm: once more in the same page.',
  ],
  [
    'Made up',
    'The weights are random numbers in the sizes of the model. How long a computation takes depends on sizes alone.',
  ],
];

/** What the figures mean, for those who see them for the first time. */
export function Glossary(): JSX.Element {
  return (
    <details class="panel glossary">
      <summary>What the figures mean</summary>
      <dl>
        {TERMS.map(([term, meaning]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
