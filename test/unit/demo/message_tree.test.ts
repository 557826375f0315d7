import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addMessage,
  branchesOf,
  pathOf,
  removeBranch,
  repairTree,
  selectBranch,
  updateReply,
} from '../../../demo/state/message_tree.ts';
import type { Message, MessageTree } from '../../../demo/state/types.ts';

const EMPTY: MessageTree = { messages: [], headId: null };

/** A message whose content is its id. */
function message(id: string, parentId: string | null, createdAt: number): Message {
  const common = { id, parentId, createdAt, content: id };
  return createdAt % 2 === 0
    ? { ...common, role: 'user' }
    : { ...common, role: 'assistant', model: 'm' };
}

function ids(tree: MessageTree): string {
  return pathOf(tree)
    .map(({ id }) => id)
    .join(' ');
}

/** Adds `id` below `parent` to a tree; the order of adding is the order of age. */
function grow(tree: MessageTree, ...pairs: readonly string[]): MessageTree {
  return pairs.reduce((tree, pair) => {
    const [parent = '', id = ''] = pair.split('>');
    return addMessage(tree, message(id, parent || null, tree.messages.length));
  }, tree);
}

describe('branches', () => {
  const story = grow(EMPTY, '>q1', 'q1>a1', 'a1>q2', 'q2>a2');

  it('are shown from the first message to the last one added', () => {
    expect(ids(EMPTY)).toBe('');
    expect(ids(story)).toBe('q1 a1 q2 a2');
    expect(ids(grow(story, 'q2>b2'))).toBe('q1 a1 q2 b2');
    expect(ids(grow(story, '>other'))).toBe('other');
  });

  it('are counted, the oldest first', () => {
    const tree = grow(story, 'q2>b2', 'q2>c2');
    expect(branchesOf(tree, 'b2')).toEqual({ ids: ['a2', 'b2', 'c2'], index: 1 });
    expect(branchesOf(tree, 'q1')).toEqual({ ids: ['q1'], index: 0 });
    expect(branchesOf(tree, 'nowhere')).toEqual({ ids: [], index: -1 });
  });

  it('are entered at their newest end, and left as they were', () => {
    const tree = grow(story, 'a1>p2', 'p2>x', 'q2>b2', 'a2>q3', 'p2>y');
    expect(ids(selectBranch(tree, 'q2'))).toBe('q1 a1 q2 a2 q3');
    expect(ids(selectBranch(selectBranch(tree, 'q2'), 'p2'))).toBe('q1 a1 p2 y');
    // Already on the path: nothing moves.
    expect(selectBranch(tree, 'a1')).toBe(tree);
    expect(selectBranch(tree, 'nowhere')).toBe(tree);
  });

  it('are removed with all that follows', () => {
    const tree = grow(story, 'q2>b2', 'b2>q3');
    expect(ids(removeBranch(tree, 'b2'))).toBe('q1 a1 q2 a2');
    expect(ids(removeBranch(removeBranch(tree, 'b2'), 'a2'))).toBe('q1 a1 q2');
    expect(removeBranch(tree, 'q1')).toEqual(EMPTY);
    // A branch out of sight.
    expect(ids(removeBranch(tree, 'a2'))).toBe('q1 a1 q2 b2 q3');
  });

  it('take what becomes known of a reply, not of a message', () => {
    const tree = updateReply(story, 'a2', { content: 'new', ending: 'complete' });
    expect(pathOf(tree)[3]).toMatchObject({ content: 'new', ending: 'complete' });
    expect(updateReply(story, 'q2', { content: 'new' }).messages).toEqual(story.messages);
  });
});

describe('repair', () => {
  it('drops what hangs on nothing, rings and doubles, and finds another end', () => {
    const whole = grow(EMPTY, '>q', 'q>a');
    const broken: MessageTree = {
      messages: [
        ...whole.messages,
        message('lost', 'gone', 2),
        message('ring1', 'ring2', 3),
        message('ring2', 'ring1', 4),
        message('a', 'q', 5),
      ],
      headId: 'lost',
    };
    expect(repairTree(broken)).toEqual(whole);
    expect(repairTree(whole)).toBe(whole);
    expect(ids(repairTree({ ...whole, headId: null }))).toBe('q a');
    expect(ids({ ...broken, headId: 'ring1' })).toBe('ring2 ring1');
  });
});

type Step = readonly [kind: 'add' | 'answer' | 'select' | 'remove', which: number];

it('any order of operations leaves a whole tree', () => {
  const step = fc.tuple(fc.constantFrom<Step[0][]>('add', 'answer', 'select', 'remove'), fc.nat());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps: readonly Step[]) => {
      let tree = EMPTY;
      let clock = 0;
      for (const [kind, which] of steps) {
        const { messages } = tree;
        const chosen = messages[which % Math.max(1, messages.length)];
        clock += 1;
        const added = message(`m${clock}`, null, clock);
        switch (kind) {
          case 'add':
            tree = addMessage(tree, { ...added, parentId: tree.headId });
            expect(tree.headId).toBe(added.id);
            break;
          case 'answer':
            tree = addMessage(tree, { ...added, parentId: chosen?.id ?? null });
            break;
          case 'select':
            if (chosen === undefined) break;
            tree = selectBranch(tree, chosen.id);
            expect(pathOf(tree)).toContain(chosen);
            break;
          case 'remove':
            if (chosen === undefined) break;
            tree = removeBranch(tree, chosen.id);
            expect(tree.messages).not.toContain(chosen);
            break;
        }
        expect(repairTree(tree)).toBe(tree);
        for (const { id } of pathOf(tree)) {
          const { ids, index } = branchesOf(tree, id);
          expect(ids[index]).toBe(id);
        }
      }
    }),
    { numRuns: 200 },
  );
});
