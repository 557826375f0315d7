/** Labels beside marks, where there is room for them. @module */
import type { ChartArea } from 'chart.js';

/** A rectangle in CSS pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A mark that wants a label. */
export interface LabelledMark {
  readonly x: number;
  readonly y: number;
  /** Of the mark. */
  readonly radius: number;
  /** Of the label. */
  readonly width: number;
  readonly height: number;
}

/** Between a mark and its label. */
const GAP = 4;

/**
 * Places labels right of, left of, above or below their marks, so that they touch neither each other nor anything taken.
 * The first have the choice; those without room get none.
 *
 * @param taken - boxes to keep clear of; a mark's own does not count
 * @returns for each mark, the box of its label
 */
export function placeLabels(
  marks: readonly LabelledMark[],
  area: Readonly<Pick<ChartArea, 'left' | 'top' | 'right' | 'bottom'>>,
  taken: readonly Box[],
): readonly (Box | undefined)[] {
  const boxes = [...taken];
  return marks.map((mark) => {
    const place = placesOf(mark).find(
      (box) =>
        box.left >= area.left &&
        box.right <= area.right &&
        box.top >= area.top &&
        box.bottom <= area.bottom &&
        !isOver(box, boxes),
    );
    if (place !== undefined) boxes.push(place);
    return place;
  });
}

/** Whether a box touches any of some others. */
export function isOver(box: Box, others: readonly Box[]): boolean {
  return others.some(
    (other) =>
      box.left < other.right &&
      other.left < box.right &&
      box.top < other.bottom &&
      other.top < box.bottom,
  );
}

/** The box of a mark itself. */
export function boxOf({
  x,
  y,
  radius,
}: {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}): Box {
  return { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius };
}

/** Boxes that cover a line, so that labels keep clear of it. */
export function boxesAlong(
  from: { readonly x: number; readonly y: number },
  to: { readonly x: number; readonly y: number },
  halfWidth: number,
): readonly Box[] {
  const count = Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(4, halfWidth)) + 1;
  return Array.from({ length: count }, (_, i) => {
    const part = i / Math.max(1, count - 1);
    const [x, y] = [from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part];
    return boxOf({ x, y, radius: halfWidth });
  });
}

function placesOf({ x, y, radius, width, height }: LabelledMark): readonly Box[] {
  const away = radius + GAP;
  const at = (left: number, top: number): Box => ({
    left,
    top,
    right: left + width,
    bottom: top + height,
  });
  return [
    at(x + away, y - height / 2),
    at(x - away - width, y - height / 2),
    at(x - width / 2, y - away - height),
    at(x - width / 2, y + away),
    at(x + away, y - away - height / 2),
    at(x + away, y + away - height / 2),
    at(x - away - width, y - away - height / 2),
    at(x - away - width, y + away - height / 2),
  ];
}
