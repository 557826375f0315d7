import { describe, expect, it } from 'vitest';
import { StepCosts } from '../../../../src/engine/core/step_costs.ts';

describe('StepCosts', () => {
  it('thinks verifications cost no more than other steps until one was measured', () => {
    const costs = new StepCosts();
    expect(costs.verify(8)).toBe(costs.plain(1));
    costs.record(1, false, 4);
    expect([costs.plain(1), costs.plain(5), costs.verify(5)]).toEqual([4, 4, 4]);
    costs.record(3, false, 8);
    expect([costs.plain(2), costs.verify(2)]).toEqual([6, 6]);
  });

  it('puts lines through what was measured, and beyond', () => {
    const costs = new StepCosts();
    costs.record(1, false, 4);
    costs.record(5, true, 12);
    expect([1, 2, 3, 5, 8].map((rows) => costs.verify(rows))).toEqual([4, 6, 8, 12, 18]);
    expect(costs.plain(5)).toBe(4);
  });

  it('follows slowly, and outliers hardly', () => {
    const costs = new StepCosts();
    costs.record(1, false, 10);
    costs.record(1, false, 5);
    expect(costs.plain(1)).toBeCloseTo(9);
    costs.record(1, false, 1000);
    expect(costs.plain(1)).toBeCloseTo(9 * 1.2);
  });

  it('is not caught at zero by a coarse clock', () => {
    const costs = new StepCosts();
    costs.record(1, false, 0);
    for (let i = 0; i < 100; i++) costs.record(1, false, 1);
    expect(costs.plain(1)).toBeCloseTo(1);
  });

  it('never thinks that more rows cost less beyond what was measured', () => {
    const costs = new StepCosts();
    costs.record(1, false, 4);
    costs.record(2, false, 3);
    expect(costs.plain(8)).toBe(3);
  });
});
