/**
 * Speculative decoding: guesses the next tokens of a request and has one step verify them all.
 *
 * ```text
 *   known        … t7          step      t7  d1  d2  d3
 *   drafts           d1 d2 d3  samples   s1  s2  s3  s4        d1 = s1, d2 = s2, d3 ≠ s3:
 *                                                              s1 s2 s3 are the next tokens, s4 is dropped
 * ```
 *
 * What is sampled after a draft is what would be sampled there anyway, if the drafts up to it are right: the draw is a
 * function of the distribution, the seed and the position. So the tokens are those without speculation, not only equally
 * distributed as in Leviathan et al. 2023 (arXiv:2211.17192), and nothing of a draft's own probability is needed.
 *
 * A request that may have drafts is _held_ until its samples are back. How many are worth verifying, if any, follows from
 * the share that was right lately and from what steps cost. Where none are, the request goes on without for a while.
 *
 * @module
 */

import type { Request } from './request.ts';
import type { StepCosts } from './step_costs.ts';

/** Guesses tokens. */
export interface Drafter {
  /** Whether it has a guess what follows the tokens of a request. */
  canDraft(request: Request): boolean;
  /** @returns guesses of the next tokens, at most `most`; -1 where only the GPU will know */
  draft(request: Request, most: number): readonly number[];
  /** Its drafts were verified, and the right ones are now among the tokens of the request. */
  verified(request: Request): void;
}

/** Limits of speculation. */
export interface SpeculationOptions {
  /** Most tokens to guess at a time, at least 1. */
  readonly maxDrafts: number;
  /** As in `SchedulerOptions`. */
  readonly maxInFlight: number;
}

/** What is known of the drafts of a request. */
interface Evidence {
  /** Drafts that were right and wrong, the older the less. */
  right: number;
  wrong: number;
  /** Tokens without drafts, the next time that they do not pay. */
  pause: number;
  /** Number of its tokens at which drafts are tried again. */
  resumeAt: number;
  /** The next drafts are verified even if they seem not to pay: what made it seem so may be no longer true. */
  isTrial: boolean;
}

/** What remains of earlier evidence at each verification. */
const MEMORY = 0.9;
const MIN_PAUSE = 16;
const MAX_PAUSE = 256;

/** Decides which requests have drafts verified, and how many. */
export class Speculation {
  readonly #drafter: Drafter;
  readonly #costs: StepCosts;
  readonly #options: SpeculationOptions;
  readonly #evidence = new WeakMap<Request, Evidence>();
  #numRunning = 1;
  /** Drafts that a step had room for lately. */
  #room = Infinity;
  /** Requests that are to have drafts in the step being planned, as far as not planned. */
  #numDrafting = 0;
  /** Steps that other requests take while one verification is under way. */
  #stride = 1;

  constructor(drafter: Drafter, costs: StepCosts, options: SpeculationOptions) {
    this.#drafter = drafter;
    this.#costs = costs;
    this.#options = options;
  }

  /**
   * Looks at what runs, before a step is planned.
   *
   * @param room - drafts that the step has room for
   */
  begin(running: Iterable<readonly Request[]>, room: number): void {
    const requests = [...running].flat();
    this.#numRunning = Math.max(1, requests.length);
    this.#room = room;
    this.#numDrafting = requests.filter((request) => isReady(request)).length;
    this.#stride = requests.every(({ isHeld }) => isHeld) ? 1 : this.#options.maxInFlight;
  }

  /** Decides whether a request waits for its samples, so that what follows them can be drafted. */
  hold(request: Request): void {
    request.isHeld =
      request.speculates &&
      this.#room > 0 &&
      request.tokens.length >= this.#evidenceOf(request).resumeAt &&
      roomBeforeEnd(request) > 0 &&
      this.#drafter.canDraft(request);
  }

  /**
   * Guesses the next tokens of a request; where it does not, the request is held no longer.
   *
   * @param room - drafts that the step still has room for
   */
  draftsFor(request: Request, room: number): readonly number[] {
    if (!isReady(request)) return [];
    const share = Math.ceil(room / Math.max(1, this.#numDrafting--));
    const most = Math.min(share, this.#options.maxDrafts, roomBeforeEnd(request));
    const wanted = most > 0 ? this.#worth(request, most) : 0;
    const drafts = wanted > 0 ? this.#drafter.draft(request, wanted) : [];
    request.isHeld = drafts.length > 0;
    return drafts;
  }

  /** Takes in how many drafts of a request were right, and decides whether it waits for the next. */
  learn(request: Request, drafted: number, accepted: number): void {
    if (drafted > 0) {
      this.#drafter.verified(request);
      const evidence = this.#evidenceOf(request);
      evidence.right = MEMORY * evidence.right + accepted;
      evidence.wrong = MEMORY * evidence.wrong + Number(accepted < drafted);
    }
    this.hold(request);
  }

  /** The most useful number of drafts up to `most`, or 0 and a pause if none are of use. */
  #worth(request: Request, most: number): number {
    const evidence = this.#evidenceOf(request);
    const rates = Array.from({ length: most }, (_, i) => this.#rate(evidence, i + 1));
    const best = Math.max(...rates);
    const pays = best > this.#numRunning / this.#costs.plain(this.#numRunning);
    if (!pays && !evidence.isTrial) {
      evidence.resumeAt = request.tokens.length + evidence.pause;
      evidence.pause = Math.min(2 * evidence.pause, MAX_PAUSE);
      evidence.isTrial = true;
      Object.assign(evidence, PRIOR);
      return 0;
    }
    if (pays) evidence.pause = MIN_PAUSE;
    evidence.isTrial = false;
    return 1 + rates.indexOf(best);
  }

  /** Tokens per millisecond of all requests, while this one has a verification of `drafts` drafts under way. */
  #rate({ right, wrong }: Evidence, drafts: number): number {
    const chance = right / (right + wrong);
    // Leviathan et al. 2023, equation 1, without the token that is sampled anyway.
    const accepted = chance < 1 ? (chance * (1 - chance ** drafts)) / (1 - chance) : drafts;
    const others = this.#numRunning - 1;
    const stride = this.#stride;
    const tokens = stride * others + 1 + accepted;
    const elapsedMs =
      (stride - 1) * this.#costs.plain(others) + this.#costs.verify(others + 1 + drafts);
    return tokens / elapsedMs;
  }

  #evidenceOf(request: Request): Evidence {
    let evidence = this.#evidence.get(request);
    if (evidence === undefined) {
      evidence = { ...PRIOR, pause: MIN_PAUSE, resumeAt: 0, isTrial: false };
      this.#evidence.set(request, evidence);
    }
    return evidence;
  }
}

/** What is thought of drafts that have not been tried. */
const PRIOR = { right: 2, wrong: 0.5 } as const;

/** Whether the next step of a held request may have drafts: all of its tokens are known, and all but the last computed. */
function isReady(request: Request): boolean {
  const { isHeld, numInFlight, numComputed, tokens } = request;
  return isHeld && numInFlight === 0 && numComputed === tokens.length - 1;
}

/** Drafts after which there is a token to sample. */
function roomBeforeEnd({ maxLength, tokens }: Request): number {
  return maxLength - tokens.length - 1;
}
