import { useSignal } from '@preact/signals';
import type { JSX, TargetedKeyboardEvent } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from '../../components/icons.tsx';
import { fileName, saveFile } from '../../components/save_file.ts';
import { showToast, theme } from '../../components/ui.ts';
import { activate, drawChart, type LiveChart, pictureOf } from './canvas_chart.ts';
import type { Draw, Heading } from './drawing.ts';
import { isNarrow } from './look.ts';

/**
 * A plot with its heading, the table behind it, and a button that saves it as a picture. The arrow keys move through its
 * marks, which are then read out.
 */
export function Figure({
  title,
  subtitle,
  note,
  label,
  draw,
  isWide = false,
  table,
}: Heading & {
  /** How to read it. */
  readonly note: string;
  /** What it shows, for those who cannot see it. */
  readonly label: string;
  /** The same function as long as it is the same plot. */
  readonly draw: Draw;
  /** Whether nothing stands beside it. */
  readonly isWide?: boolean;
  readonly table: JSX.Element;
}): JSX.Element {
  const titleId = useId();
  const noteId = useId();
  const page = useRef<HTMLElement>(null);
  async function save(): Promise<void> {
    if (page.current === null) return;
    try {
      const picture = await pictureOf(page.current, draw, { title, subtitle });
      saveFile(fileName(`${title} ${subtitle}`, 'png'), picture, 'image/png');
    } catch (error) {
      showToast({ text: `No picture: ${String(error)}`, durationMs: 6000 });
    }
  }
  return (
    <figure ref={page} class={isWide ? 'plot wide' : 'plot'} aria-labelledby={titleId}>
      <figcaption class="plot-head">
        <h3 id={titleId}>{title}</h3>
        <button
          type="button"
          class="icon-button small"
          aria-label={`Save the plot “${title}” as a picture`}
          title="Save as a picture"
          onClick={() => void save()}
        >
          <Icon name="download" />
        </button>
      </figcaption>
      <p class="quiet" id={noteId}>
        {note}
      </p>
      <Canvas label={label} noteId={noteId} draw={draw} />
      <details>
        <summary>{title} as a table</summary>
        {/* Wide ones scroll, also by the keyboard. */}
        <div class="table-frame" tabIndex={0} role="group" aria-label={`${title} as a table`}>
          {table}
        </div>
      </details>
    </figure>
  );
}

function Canvas({
  label,
  noteId,
  draw,
}: {
  readonly label: string;
  readonly noteId: string;
  readonly draw: Draw;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const live = useLiveChart(canvas, draw);
  const spoken = useSignal('');
  const at = useRef<number | undefined>(undefined);
  function move(event: TargetedKeyboardEvent<HTMLCanvasElement>): void {
    const chart = live.current;
    if (chart === undefined) return;
    const next = nextMark(event.key, at.current, chart.marks.length);
    if (next === undefined && (event.key !== 'Escape' || at.current === undefined)) return;
    event.preventDefault();
    at.current = next;
    spoken.value = activate(chart, chart.marks[next ?? -1]);
  }
  function leave(): void {
    if (at.current === undefined) return;
    at.current = undefined;
    if (live.current !== undefined) spoken.value = activate(live.current, undefined);
  }
  return (
    <>
      <div class="plot-box">
        <canvas
          ref={canvas}
          role="img"
          aria-label={label}
          aria-describedby={noteId}
          tabIndex={0}
          onKeyDown={move}
          onBlur={leave}
        />
      </div>
      <p class="visually-hidden" role="status">
        {spoken}
      </p>
    </>
  );
}

/** Keeps a chart on a canvas, and draws it anew when the page's colors or its kind of width change. */
function useLiveChart(
  canvas: { readonly current: HTMLCanvasElement | null },
  draw: Draw,
): { readonly current: LiveChart | undefined } {
  const live = useRef<LiveChart | undefined>(undefined);
  const chosen = theme.value;
  useEffect(() => {
    const element = canvas.current;
    const box = element?.parentElement;
    if (!element || !box) return;
    const redraw = (): void => {
      live.current?.chart.destroy();
      live.current = drawChart(element, box, draw);
    };
    redraw();
    const sizes = new ResizeObserver(() => {
      if (live.current?.isNarrow !== isNarrow(box.clientWidth)) redraw();
    });
    sizes.observe(box);
    const system = matchMedia('(prefers-color-scheme: dark)');
    system.addEventListener('change', redraw);
    return () => {
      system.removeEventListener('change', redraw);
      sizes.disconnect();
      live.current?.chart.destroy();
      live.current = undefined;
    };
  }, [canvas, draw, chosen]);
  return live;
}

/** Where a key leads to; undefined if nowhere. */
function nextMark(key: string, at: number | undefined, count: number): number | undefined {
  if (count === 0) return undefined;
  switch (key) {
    case 'ArrowRight':
    case 'ArrowDown':
      return at === undefined ? 0 : (at + 1) % count;
    case 'ArrowLeft':
    case 'ArrowUp':
      return at === undefined ? count - 1 : (at - 1 + count) % count;
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return undefined;
  }
}
