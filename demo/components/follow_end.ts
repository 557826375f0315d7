import { type ReadonlySignal, useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useCallback, useEffect, useRef } from 'preact/hooks';

/** How near to the end counts as there, in pixels. */
const NEAR = 48;

/** Keeps a scroller at its end while its contents grow, as long as the reader stays there. */
export function useFollowEnd(scroller: RefObject<HTMLElement | null>): {
  readonly isAtEnd: ReadonlySignal<boolean>;
  /** Goes to the end, and follows it again. */
  readonly jump: (behavior?: ScrollBehavior) => void;
} {
  const isAtEnd = useSignal(true);
  // While a smooth scroll is under way the end is not reached yet, and still wanted.
  const isJumping = useRef(false);
  const jump = useCallback(
    (behavior: ScrollBehavior = 'instant') => {
      const element = scroller.current;
      if (element === null) return;
      isJumping.current = behavior === 'smooth';
      isAtEnd.value = true;
      element.scrollTo({ top: element.scrollHeight, behavior });
    },
    [scroller, isAtEnd],
  );
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const contents = new ResizeObserver(() => {
      if (isAtEnd.peek()) element.scrollTop = element.scrollHeight;
    });
    contents.observe(element);
    for (const child of element.children) contents.observe(child);
    const look = (): void => {
      const isNear = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      if (isNear) isJumping.current = false;
      if (!isJumping.current) isAtEnd.value = isNear;
    };
    const take = (): void => {
      isJumping.current = false;
    };
    element.addEventListener('scroll', look, { passive: true });
    element.addEventListener('wheel', take, { passive: true });
    element.addEventListener('touchmove', take, { passive: true });
    return () => {
      contents.disconnect();
      element.removeEventListener('scroll', look);
      element.removeEventListener('wheel', take);
      element.removeEventListener('touchmove', take);
    };
  }, [scroller, isAtEnd]);
  return { isAtEnd, jump };
}
